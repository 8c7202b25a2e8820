// Copy-on-write contents of a simulated disk.
//
// An Image is a table of references to pages that a PageStore owns; copying an image shares all
// pages, and writing copies the pages touched. So a snapshot costs its table, not the disk. The
// store keeps its pages for the next run (a fresh page costs as much as a thousand draws).
//
// A page can also be held, and put into another image (or this one, later), without copying it: so a
// block on its way from a device's cache to its medium is copied once.
//
// Whenever a page changes it gets a stamp that no page had before. Equal stamps are equal bytes.
//
// A unit that was never written reads as poison keyed by (poison seed, offset), never as zeros.
//
// A unit may be *abandoned*: written once, but what it belonged to is gone, since a shorter block was written
// over it. Its bytes lie there until it is written again (or read as poison, in a poison twin), and nothing
// may depend on them. Everything else is the same in the twin, because both abandon the same. When a longer
// write over it tears, what lies there belongs to its block again.
#pragma once

#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

#include "base/assert.h"
#include "base/types.h"

namespace tonearm::sim {

// Must outlive its images.
class PageStore {
 public:
  static constexpr u32 page_size = 4096;
  static constexpr u32 unit_size = 512;  // What is known to be written or not: one bit of 16 per page.
  static constexpr u32 none = ~u32{0};

  PageStore();
  ~PageStore();
  PageStore(const PageStore&) = delete;
  PageStore& operator=(const PageStore&) = delete;

  u64 pages_in_use() const { return pages_.size() - free_.size(); }
  u64 pages_allocated() const { return pages_.size(); }

 private:
  friend class Image;
  friend class PageHold;

  static constexpr u32 pages_per_chunk = 512;

  struct Page {
    std::byte* data;
    u64 stamp;
    u32 references;
    u16 written;    // Bit i: unit i was written.
    u16 abandoned;  // Of those.
  };

  u32 acquire();  // One reference, nothing written, contents arbitrary.
  void release(u32 page);
  u32 copy(u32 page);  // Another page with equal contents, for one reference of `page`.
  void allocate_chunk();

  struct Free {
    void operator()(std::byte* chunk) const { std::free(chunk); }
  };

  std::vector<std::unique_ptr<std::byte, Free>> chunks_;
  std::vector<Page> pages_;
  std::vector<u32> free_;
  u64 stamps_ = 0;  // Given out.
};

// A page as it was, whatever becomes of the images that have it.
class PageHold {
 public:
  PageHold() = default;
  PageHold(const PageHold& other);
  PageHold& operator=(const PageHold& other);
  PageHold(PageHold&& other) noexcept;
  PageHold& operator=(PageHold&& other) noexcept;
  ~PageHold();

  explicit operator bool() const { return store_ != nullptr; }
  const std::byte* data() const { return store_->pages_[page_].data; }

 private:
  friend class Image;
  PageHold(PageStore& store, u32 page);

  PageStore* store_ = nullptr;
  u32 page_ = PageStore::none;
};

class Image {
 public:
  Image(PageStore& store, u64 size, u32 sector_size, u64 poison_seed, bool poison_abandoned = false);
  Image(const Image& other);  // Shares all pages.
  Image& operator=(const Image& other);
  ~Image();

  u64 size() const { return size_; }
  u32 sector_size() const { return sector_size_; }
  u64 poison_seed() const { return poison_seed_; }

  // Offsets and lengths are multiples of PageStore::unit_size: tearing may be finer than sectors.
  void read(u64 offset, std::span<std::byte> target) const;
  // The same without a copy, where that is possible: the range lies in one page and all of it was
  // written and does not read as poison. Else null. Valid until this image changes or goes.
  const std::byte* view(u64 offset, u64 length) const;
  // Brings what lies there into the processor's caches, as far as it lies in one page, for who will read
  // soon.
  void fetch(u64 offset, u64 length) const;
  void write(u64 offset, std::span<const std::byte> source);
  // The page at this offset, a multiple of its size. Every unit of it must have been written.
  PageHold hold(u64 offset) const;
  // As if its bytes were written. It must come from an image of the same store.
  void write(u64 offset, const PageHold& page);
  // Of the page in which the range lies, or 0 if there is none or more than one.
  u64 stamp(u64 offset, u64 length) const;
  bool written(u64 offset, u64 length) const;      // Every unit of the range was written.
  bool written_any(u64 offset, u64 length) const;  // At least one was.
  void forget(u64 offset, u64 length);             // Back to unwritten (a lost first write).
  void abandon(u64 offset, u64 length);            // What of the range is written.
  void adopt(u64 offset, u64 length);              // No longer abandoned, whatever lies there.
  bool owned_any(u64 offset, u64 length) const;    // At least one unit was written and is not abandoned.
  void grow(u64 size);                             // What is added is unwritten.
  // Equal bytes in the range, at a glance: it lies in one page that both share. Else it is not known.
  bool shares(const Image& other, u64 offset, u64 length) const;
  u64 written_end() const { return table_.size() * PageStore::page_size; }  // Nothing is written behind it.
  void clear();                                                             // Nothing is written.

 private:
  u32 page_at(u64 index) const { return index < table_.size() ? table_[index] : PageStore::none; }
  PageStore::Page& page_for_write(u64 index, bool whole);
  u32 readable(u32 page) const;  // Mask of the units that do not read as poison.
  void check_range(u64 offset, u64 length) const;
  void poison(u64 offset, std::byte* target, u32 length) const;

  PageStore* store_;
  u64 size_;
  u32 sector_size_;
  u64 poison_seed_;
  bool poison_abandoned_;
  std::vector<u32> table_;  // Only as long as the highest page ever written demands.
};

}  // namespace tonearm::sim
