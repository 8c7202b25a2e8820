#include "sim/disk/image.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "sim/disk/keyed.h"
#include "sim/disk/large_pages.h"

namespace tonearm::sim {

namespace {

constexpr u32 page_size = PageStore::page_size;
constexpr u32 unit_size = PageStore::unit_size;
static_assert(page_size / unit_size <= 16);

// The part of a range that lies in one page.
struct Piece {
  u64 page;
  u32 offset;
  u32 length;
  u32 units;  // Mask.
};

Piece piece_at(u64 offset, u64 end) {
  const u32 inside = static_cast<u32>(offset % page_size);
  const u32 length = static_cast<u32>(std::min<u64>(page_size - inside, end - offset));
  const u32 ones = (u32{1} << length / unit_size) - 1;
  return {
      .page = offset / page_size, .offset = inside, .length = length, .units = ones << (inside / unit_size)};
}

constexpr u32 all_units = (u32{1} << page_size / unit_size) - 1;

}  // namespace

PageStore::PageStore() = default;

PageStore::~PageStore() { ASSERT(pages_in_use() == 0); }

void PageStore::allocate_chunk() {
  constexpr std::size_t chunk_size = std::size_t{pages_per_chunk} * page_size;
  static_assert(chunk_size == large_page_size);
  chunks_.emplace_back(static_cast<std::byte*>(std::aligned_alloc(large_page_size, chunk_size)));
  ASSERT(chunks_.back() != nullptr);
  prefer_large_pages(chunks_.back().get(), chunk_size);
  const u32 first = static_cast<u32>(pages_.size());
  for (u32 i = 0; i < pages_per_chunk; ++i) {
    pages_.push_back({.data = chunks_.back().get() + u64{i} * page_size,
                      .stamp = 0,
                      .references = 0,
                      .written = 0,
                      .abandoned = 0});
  }
  for (u32 i = pages_per_chunk; i-- > 0;) free_.push_back(first + i);
}

u32 PageStore::acquire() {
  if (free_.empty()) allocate_chunk();
  const u32 index = free_.back();
  free_.pop_back();
  Page& page = pages_[index];
  ASSERT(page.references == 0);
  page.references = 1;
  page.written = 0;
  page.abandoned = 0;
  return index;
}

void PageStore::release(u32 index) {
  Page& page = pages_[index];
  ASSERT(page.references > 0);
  if (--page.references == 0) free_.push_back(index);
}

u32 PageStore::copy(u32 index) {
  const u32 target = acquire();
  std::memcpy(pages_[target].data, pages_[index].data, page_size);
  pages_[target].written = pages_[index].written;
  pages_[target].abandoned = pages_[index].abandoned;
  release(index);
  return target;
}

PageHold::PageHold(PageStore& store, u32 page) : store_(&store), page_(page) {
  ++store.pages_[page].references;
}

PageHold::PageHold(const PageHold& other) : store_(other.store_), page_(other.page_) {
  if (store_ != nullptr) ++store_->pages_[page_].references;
}

PageHold& PageHold::operator=(const PageHold& other) {
  PageHold copy(other);
  return *this = std::move(copy);
}

PageHold::PageHold(PageHold&& other) noexcept
    : store_(std::exchange(other.store_, nullptr)), page_(std::exchange(other.page_, PageStore::none)) {}

PageHold& PageHold::operator=(PageHold&& other) noexcept {
  std::swap(store_, other.store_);
  std::swap(page_, other.page_);
  return *this;
}

PageHold::~PageHold() {
  if (store_ != nullptr) store_->release(page_);
}

Image::Image(PageStore& store, u64 size, u32 sector_size, u64 poison_seed, bool poison_abandoned)
    : store_(&store),
      size_(size),
      sector_size_(sector_size),
      poison_seed_(poison_seed),
      poison_abandoned_(poison_abandoned) {
  ASSERT(std::has_single_bit(sector_size));
  ASSERT(sector_size >= unit_size);
  ASSERT(size % sector_size == 0);
}

Image::Image(const Image& other)
    : store_(other.store_),
      size_(other.size_),
      sector_size_(other.sector_size_),
      poison_seed_(other.poison_seed_),
      poison_abandoned_(other.poison_abandoned_),
      table_(other.table_) {
  for (const u32 page : table_) {
    if (page != PageStore::none) ++store_->pages_[page].references;
  }
}

Image& Image::operator=(const Image& other) {
  if (this == &other) return *this;
  for (const u32 page : other.table_) {
    if (page != PageStore::none) ++other.store_->pages_[page].references;
  }
  clear();
  store_ = other.store_;
  size_ = other.size_;
  sector_size_ = other.sector_size_;
  poison_seed_ = other.poison_seed_;
  poison_abandoned_ = other.poison_abandoned_;
  table_ = other.table_;
  return *this;
}

Image::~Image() { clear(); }

void Image::clear() {
  for (const u32 page : table_) {
    if (page != PageStore::none) store_->release(page);
  }
  table_.clear();
}

void Image::check_range(u64 offset, u64 length) const {
  ASSERT(offset % unit_size == 0);
  ASSERT(length % unit_size == 0);
  ASSERT(length <= size_);
  ASSERT(offset <= size_ - length);
}

void Image::grow(u64 size) {
  ASSERT(size >= size_);
  ASSERT(size % sector_size_ == 0);
  size_ = size;
}

// `whole`: all of it will be overwritten, so that nothing need be copied.
PageStore::Page& Image::page_for_write(u64 index, bool whole) {
  if (index >= table_.size()) table_.resize(index + 1, PageStore::none);
  u32& page = table_[index];
  if (page == PageStore::none) {
    page = store_->acquire();
  } else if (store_->pages_[page].references > 1) {
    if (whole) store_->release(page);
    page = whole ? store_->acquire() : store_->copy(page);
  }
  store_->pages_[page].stamp = ++store_->stamps_;
  return store_->pages_[page];
}

// Each unit has its own key; its words are a walk from there that compilers turn into vectors, since nothing
// else can lie where they are collected.
void Image::poison(u64 offset, std::byte* target, u32 length) const {
  std::array<u64, unit_size / 8> words;
  for (u32 at = 0; at < length; at += unit_size) {
    const u64 key = remix(poison_seed_, (offset + at) / unit_size);
    u64 word = key;
    for (u64 i = 0; i < words.size(); ++i, word += 0x9e3779b97f4a7c15) words[i] = word ^ word >> 29;
    if constexpr (std::endian::native == std::endian::big) {
      for (u64& each : words) each = __builtin_bswap64(each);
    }
    std::memcpy(target + at, words.data(), unit_size);
  }
}

u32 Image::readable(u32 index) const {
  if (index == PageStore::none) return 0;
  const PageStore::Page& page = store_->pages_[index];
  return poison_abandoned_ ? page.written & ~u32{page.abandoned} : page.written;
}

void Image::read(u64 offset, std::span<std::byte> target) const {
  check_range(offset, target.size());
  const u64 end = offset + target.size();
  for (std::byte* to = target.data(); offset < end;) {
    const Piece piece = piece_at(offset, end);
    const u32 index = page_at(piece.page);
    const u32 written = readable(index) & piece.units;
    if (written == piece.units) {
      std::memcpy(to, store_->pages_[index].data + piece.offset, piece.length);
    } else if (written == 0) {
      poison(offset, to, piece.length);
    } else {
      for (u32 at = 0; at < piece.length; at += unit_size) {
        if (written >> ((piece.offset + at) / unit_size) & 1) {
          std::memcpy(to + at, store_->pages_[index].data + piece.offset + at, unit_size);
        } else {
          poison(offset + at, to + at, unit_size);
        }
      }
    }
    to += piece.length;
    offset += piece.length;
  }
}

void Image::fetch(u64 offset, u64 length) const {
  constexpr u32 line = 64;
  check_range(offset, length);
  const Piece piece = piece_at(offset, offset + length);
  const u32 index = page_at(piece.page);
  if (index == PageStore::none) return;
  const std::byte* const bytes = store_->pages_[index].data + piece.offset;
  for (u32 at = 0; at < piece.length; at += line) __builtin_prefetch(bytes + at, 0, 2);
  asm volatile("");  // Else a call is one of a function that does nothing, and is left out.
}

const std::byte* Image::view(u64 offset, u64 length) const {
  check_range(offset, length);
  const Piece piece = piece_at(offset, offset + length);
  if (piece.length != length) return nullptr;
  const u32 index = page_at(piece.page);
  if (index == PageStore::none) return nullptr;
  if ((readable(index) & piece.units) != piece.units) return nullptr;
  return store_->pages_[index].data + piece.offset;
}

void Image::write(u64 offset, std::span<const std::byte> source) {
  check_range(offset, source.size());
  const u64 end = offset + source.size();
  for (const std::byte* from = source.data(); offset < end;) {
    const Piece piece = piece_at(offset, end);
    PageStore::Page& page = page_for_write(piece.page, piece.length == page_size);
    std::memcpy(page.data + piece.offset, from, piece.length);
    page.written = static_cast<u16>(page.written | piece.units);
    page.abandoned = static_cast<u16>(page.abandoned & ~piece.units);
    from += piece.length;
    offset += piece.length;
  }
}

PageHold Image::hold(u64 offset) const {
  check_range(offset, page_size);
  ASSERT(offset % page_size == 0);
  const u32 index = page_at(offset / page_size);
  ASSERT(index != PageStore::none);
  ASSERT(store_->pages_[index].written == all_units);
  return {*store_, index};
}

void Image::write(u64 offset, const PageHold& page) {
  check_range(offset, page_size);
  ASSERT(offset % page_size == 0);
  ASSERT(page.store_ == store_);
  const u64 place = offset / page_size;
  if (place >= table_.size()) table_.resize(place + 1, PageStore::none);
  ++store_->pages_[page.page_].references;
  if (table_[place] != PageStore::none) store_->release(table_[place]);
  table_[place] = page.page_;
}

u64 Image::stamp(u64 offset, u64 length) const {
  check_range(offset, length);
  const Piece piece = piece_at(offset, offset + length);
  const u32 index = page_at(piece.page);
  return piece.length != length || index == PageStore::none ? 0 : store_->pages_[index].stamp;
}

bool Image::written(u64 offset, u64 length) const {
  check_range(offset, length);
  for (const u64 end = offset + length; offset < end;) {
    const Piece piece = piece_at(offset, end);
    const u32 index = page_at(piece.page);
    if (index == PageStore::none) return false;
    if ((store_->pages_[index].written & piece.units) != piece.units) return false;
    offset += piece.length;
  }
  return true;
}

bool Image::written_any(u64 offset, u64 length) const {
  check_range(offset, length);
  for (const u64 end = offset + length; offset < end;) {
    const Piece piece = piece_at(offset, end);
    const u32 index = page_at(piece.page);
    if (index != PageStore::none && (store_->pages_[index].written & piece.units) != 0) return true;
    offset += piece.length;
  }
  return false;
}

bool Image::owned_any(u64 offset, u64 length) const {
  check_range(offset, length);
  for (const u64 end = offset + length; offset < end;) {
    const Piece piece = piece_at(offset, end);
    const u32 index = page_at(piece.page);
    if (index != PageStore::none) {
      const PageStore::Page& page = store_->pages_[index];
      if ((page.written & ~u32{page.abandoned} & piece.units) != 0) return true;
    }
    offset += piece.length;
  }
  return false;
}

bool Image::shares(const Image& other, u64 offset, u64 length) const {
  check_range(offset, length);
  ASSERT(store_ == other.store_);
  const Piece piece = piece_at(offset, offset + length);
  return piece.length == length && page_at(piece.page) == other.page_at(piece.page);
}

void Image::forget(u64 offset, u64 length) {
  check_range(offset, length);
  for (const u64 end = offset + length; offset < end;) {
    const Piece piece = piece_at(offset, end);
    const u32 index = page_at(piece.page);
    if (index != PageStore::none && (store_->pages_[index].written & piece.units) != 0) {
      PageStore::Page& page = page_for_write(piece.page, false);
      page.written = static_cast<u16>(page.written & ~piece.units);
      page.abandoned = static_cast<u16>(page.abandoned & ~piece.units);
    }
    offset += piece.length;
  }
}

void Image::abandon(u64 offset, u64 length) {
  check_range(offset, length);
  for (const u64 end = offset + length; offset < end;) {
    const Piece piece = piece_at(offset, end);
    if (owned_any(offset, piece.length)) {
      PageStore::Page& page = page_for_write(piece.page, false);
      page.abandoned = static_cast<u16>(page.abandoned | (page.written & piece.units));
    }
    offset += piece.length;
  }
}

void Image::adopt(u64 offset, u64 length) {
  check_range(offset, length);
  for (const u64 end = offset + length; offset < end;) {
    const Piece piece = piece_at(offset, end);
    const u32 index = page_at(piece.page);
    if (index != PageStore::none && (store_->pages_[index].abandoned & piece.units) != 0) {
      PageStore::Page& page = page_for_write(piece.page, false);
      page.abandoned = static_cast<u16>(page.abandoned & ~piece.units);
    }
    offset += piece.length;
  }
}

}  // namespace tonearm::sim
