#include "sim/decode/free_set_forgery.h"

#include <algorithm>
#include <array>

#include "base/assert.h"
#include "sim/decode/lie.h"
#include "sim/disk/keyed.h"

namespace tonearm::sim {

namespace {

namespace f = disk_format;

struct Trailer {
  // Where the checkpoint state has it.
  u32 last, address, size, payload;
  std::vector<u64> addresses = {};  // Oldest first, and so are the blocks.
  std::vector<std::vector<std::byte>> blocks = {};
  std::vector<u64> words = {};  // Of its bitmap.

  bool empty() const { return blocks.empty(); }
};

struct Lied {
  ForgedFile* file;
  Trailer acquired, released;
  u64 random;
  Forged told;

  Trailer& either() { return (random & 1) == 0 ? acquired : released; }
  std::array<Trailer*, 2> both() { return {&acquired, &released}; }
  u64 draw(u64 number) const { return remix(random, number); }
  u64 chunk() const { return file->place().block_size - f::header_size; }
  u64 blocks_for(u64 size) const { return (size + chunk() - 1) / chunk(); }
  // Of a trailer: a word for each of the bitmap's, and one before them.
  u64 size_max() const { return 8 * (file->blocks_limit() / 64 + 1); }
};

void load(Lied& l, Trailer& trailer, BlockUse use) {
  for (const DecodedBlock& block : l.file->decoded().blocks) {
    if (block.use == use) trailer.addresses.insert(trailer.addresses.begin(), block.ref.address);
  }
  std::vector<std::byte> stream;
  for (const u64 address : trailer.addresses) {
    trailer.blocks.push_back(l.file->read(address));
    const std::vector<std::byte>& block = trailer.blocks.back();
    const u64 size = f::load<u32>(block, f::header_block_size);
    stream.insert(stream.end(), block.begin() + f::header_size,
                  block.begin() + static_cast<std::ptrdiff_t>(size));
  }
  const bool bitmap = f::decode_bitmap(stream, &trailer.words);
  ASSERT(bitmap && stream.size() == l.file->state<u64>(trailer.size));
}

// Writes the blocks from that one on: each has the checksum of the one before it.
void seal(Lied& l, Trailer& trailer, std::size_t from) {
  u128 checksum = 0;
  for (std::size_t i = from; i < trailer.blocks.size(); ++i) {
    std::vector<std::byte>& block = trailer.blocks[i];
    if (i > from) put<u128>(block, f::header_metadata + f::chain_previous, checksum);
    checksum = seal_manifest_block(block);
    l.file->write(trailer.addresses[i], block);
  }
  l.file->set_state<u128>(trailer.last, checksum);
}

// Into the blocks that there are. False: it does not fit, or needs fewer.
bool write_stream(Lied& l, Trailer& trailer, const std::vector<u64>& stream) {
  const u64 size = 8 * stream.size();
  if (size > l.size_max() || l.blocks_for(size) != trailer.blocks.size()) return false;
  const std::span<const std::byte> bytes = std::as_bytes(std::span(stream));
  for (std::size_t i = 0; i < trailer.blocks.size(); ++i) {
    const std::span<const std::byte> chunk =
        bytes.subspan(i * l.chunk()).first(std::min<u64>(l.chunk(), size - i * l.chunk()));
    std::vector<std::byte>& block = trailer.blocks[i];
    std::fill(block.begin() + f::header_size, block.end(), std::byte{0});
    std::copy(chunk.begin(), chunk.end(), block.begin() + f::header_size);
    put<u32>(block, f::header_block_size, static_cast<u32>(f::header_size + chunk.size()));
  }
  l.file->set_state<u64>(trailer.size, size);
  l.file->set_state<u128>(trailer.payload, f::checksum(bytes));
  seal(l, trailer, 0);
  return true;
}

// A marker for each run of words that are all alike, and the words behind it that are not.
std::vector<u64> stream_of(std::vector<u64> words) {
  const auto alike = [](u64 word) { return word == 0 || word == ~u64{0}; };
  while (!words.empty() && words.back() == 0) words.pop_back();
  std::vector<u64> stream;
  for (std::size_t i = 0; i < words.size();) {
    const u64 first = words[i];
    u64 run = 0;
    for (; alike(first) && i < words.size() && words[i] == first; ++i) ++run;
    const std::size_t marker = stream.size();
    stream.push_back(0);
    for (; i < words.size() && !alike(words[i]); ++i) stream.push_back(words[i]);
    stream[marker] = (first & 1 & u64{run > 0}) | run << 1 | u64{stream.size() - marker - 1} << 32;
  }
  return stream;
}

bool write_words(Lied& l, Trailer& trailer) {
  return !trailer.empty() && write_stream(l, trailer, stream_of(trailer.words));
}

void set_bit(std::vector<u64>& words, u64 address) {
  const u64 bit = address - 1;
  if (words.size() <= bit / 64) words.resize(bit / 64 + 1);
  words[bit / 64] |= u64{1} << bit % 64;
}

// --- who must be named

// A block of a trailer, with what refers to it.
bool name(Lied& l, const Trailer& trailer, std::size_t i) {
  l.told.address = trailer.addresses[i];
  l.told.checksum = i + 1 < trailer.blocks.size()
                        ? f::load<u128>(trailer.blocks[i + 1], f::header_metadata + f::chain_previous)
                        : l.file->state<u128>(trailer.last);
  return true;
}

bool invalid(Lied& l) {
  l.told.error = ErrorKind::checkpoint_invalid;
  return true;
}

bool too_large(Lied& l, u64 stored, u64 given) {
  l.told.error = ErrorKind::storage_size;
  l.told.stored = stored;
  l.told.given = given;
  return true;
}

// --- one block

bool spoil(Lied& l, void (*change)(std::span<std::byte> block, u64 random), bool first = false) {
  Trailer& trailer = l.either();
  if (trailer.empty()) return false;
  const std::size_t at = first ? 0 : below(l.draw(1), trailer.blocks.size());
  change(trailer.blocks[at], l.draw(2));
  seal(l, trailer, at);
  return name(l, trailer, at);
}

bool first_has_predecessor(Lied& l) {
  return spoil(
      l,
      [](std::span<std::byte> block, u64 random) {
        const bool address = (random & 1) == 0;
        const u64 byte = remix(random, 1);
        put<u8>(block,
                f::header_metadata +
                    (address ? f::chain_previous_address + byte % 8 : f::chain_previous + byte % 16),
                1);
      },
      true);
}

bool checksum_has_padding(Lied& l) {
  return spoil(l, [](std::span<std::byte> block, u64 random) {
    put<u8>(block, f::header_metadata + f::chain_padding + place_of(random, 16), 1);
  });
}

bool reserved_used(Lied& l) {
  return spoil(l, [](std::span<std::byte> block, u64 random) {
    put<u8>(block, f::header_metadata + f::trailer_reserved + place_of(random, f::trailer_reserved_size), 1);
  });
}

bool of_another_type(Lied& l) {
  return spoil(l, [](std::span<std::byte> block, u64) { put<u8>(block, f::header_type, f::type_manifest); });
}

bool header_is_none(Lied& l) {
  return spoil(l, [](std::span<std::byte> block, u64 random) { (void)header_lies(block, random); });
}

// Longer or shorter; what it holds of the stream is the same, or cut.
bool of_another_size(Lied& l) {
  return spoil(l, [](std::span<std::byte> block, u64 random) {
    const u64 size = f::load<u32>(block, f::header_block_size);
    u64 other = f::header_size + below(remix(random, 1), block.size() - f::header_size + 1);
    if ((random & 1) == 0) other = std::min<u64>(size + 8, block.size());
    if (other == size) other = size - 8;
    put<u32>(block, f::header_block_size, static_cast<u32>(other));
  });
}

bool chain_goes_nowhere(Lied& l) {
  Trailer& trailer = l.either();
  if (trailer.blocks.size() < 2) return false;
  const std::size_t at = 1 + below(l.draw(1), trailer.blocks.size() - 1);
  const u64 nowhere = (l.draw(2) & 1) == 0 ? 0 : l.file->blocks_limit() + 1 + (l.draw(3) >> 16);
  put<u64>(trailer.blocks[at], f::header_metadata + f::chain_previous_address, nowhere);
  seal(l, trailer, at);
  return name(l, trailer, at);
}

// --- what the superblock says

bool payload_of_another_checksum(Lied& l) {
  Trailer& trailer = l.either();
  if (trailer.empty()) return false;
  l.file->set_state<u128>(trailer.payload, l.file->state<u128>(trailer.payload) + 1 + below(l.draw(1), 99));
  return name(l, trailer, trailer.blocks.size() - 1);
}

bool last_is_nowhere(Lied& l) {
  Trailer& trailer = l.either();
  if (trailer.empty()) return false;
  const u64 far = (l.draw(1) & 1) == 0 ? 0 : l.draw(2) >> 16;
  (void)name(l, trailer, trailer.blocks.size() - 1);
  l.told.address = l.file->blocks_limit() + 1 + far;
  l.file->set_state<u64>(trailer.address, l.told.address);
  return true;
}

// As many blocks, one more, or one less. The last one is read first.
bool size_of_another(Lied& l) {
  Trailer& trailer = l.either();
  if (trailer.empty()) return false;
  const u64 count = trailer.blocks.size();
  const u64 size = l.file->state<u64>(trailer.size);
  const u64 kind = below(l.draw(1), 3);
  u64 other = (count - 1) * l.chunk() + 1 + below(l.draw(2), l.chunk());
  std::size_t named = count - 1;
  if (kind == 1 && size > l.chunk()) {
    other = size - l.chunk();
    named = 1;
  } else if (kind == 2) {
    other = size + l.chunk();
    named = 0;
  }
  if (other == size || other > l.size_max()) return false;
  l.file->set_state<u64>(trailer.size, other);
  return name(l, trailer, named);
}

bool size_beyond_limit(Lied& l) {
  Trailer& trailer = l.either();
  if (trailer.empty()) return false;
  const u64 more = (l.draw(1) & 1) == 0 ? 1 + below(l.draw(2), 8) : 1 + (l.draw(2) >> 1);
  l.file->set_state<u64>(trailer.size, l.size_max() + more);
  return too_large(l, l.size_max() + more, l.size_max());
}

// --- what they say

bool no_bitmap(Lied& l) {
  Trailer& trailer = l.either();
  if (trailer.empty()) return false;
  std::vector<u64> stream = stream_of(trailer.words);
  std::vector<std::size_t> markers;
  for (std::size_t i = 0; i < stream.size(); i += 1 + (stream[i] >> 32)) markers.push_back(i);
  const std::size_t marker = markers[below(l.draw(1), markers.size())];
  const u64 follow = stream.size() - marker - 1;
  const u64 more = (l.draw(2) & 1) == 0 ? 1 : 1 + below(l.draw(3), (u64{1} << 32) - 1 - follow);
  stream[marker] = (stream[marker] & ~u32{0}) | (follow + more) << 32;
  return write_stream(l, trailer, stream) && invalid(l);
}

bool block_beyond_limit(Lied& l) {
  Trailer& trailer = l.either();
  const u64 far = (l.draw(1) & 1) == 0 ? 0 : below(l.draw(2), 1 << 16);
  set_bit(trailer.words, l.file->blocks_limit() + 1 + far);
  const u64 zone = u64{f::copies} * f::copy_size;
  return write_words(l, trailer) && too_large(l, l.file->state<u64>(f::state_storage_size),
                                              zone + l.file->blocks_limit() * l.file->place().block_size);
}

// Of the addresses from a drawn one on, around the limit, the first that is `wanted`, or 0.
template <class Wanted>
u64 address_around(const Lied& l, Wanted wanted) {
  const u64 count = l.file->blocks_limit();
  const u64 first = below(l.draw(1), count);
  for (u64 i = 0; i < count; ++i) {
    const u64 address = 1 + (first + i) % count;
    if (wanted(address)) return address;
  }
  return 0;
}

bool free_block_released(Lied& l) {
  const u64 address = address_around(l, [&l](u64 each) { return !bit_of(l.acquired.words, each); });
  if (address == 0) return false;
  set_bit(l.released.words, address);
  return write_words(l, l.released) && invalid(l);
}

bool released_block_free(Lied& l) {
  const u64 address = address_around(l, [&l](u64 each) { return bit_of(l.released.words, each); });
  if (address == 0) return false;
  l.acquired.words[(address - 1) / 64] &= ~(u64{1} << (address - 1) % 64);
  return write_words(l, l.acquired) && invalid(l);
}

bool own_block_acquired(Lied& l) {
  const Trailer& trailer = l.either();
  if (trailer.empty()) return false;
  set_bit(l.acquired.words, trailer.addresses[below(l.draw(1), trailer.addresses.size())]);
  return write_words(l, l.acquired) && invalid(l);
}

// Two neighbours change places, maybe of both trailers.
bool addresses_descend(Lied& l) {
  std::vector<u64*> all;
  for (Trailer* trailer : l.both()) {
    for (u64& address : trailer->addresses) all.push_back(&address);
  }
  if (all.size() < 2) return false;
  const std::size_t at = below(l.draw(1), all.size() - 1);
  std::swap(*all[at], *all[at + 1]);
  for (Trailer* trailer : l.both()) {
    for (std::size_t i = 0; i < trailer->blocks.size(); ++i) {
      put<u64>(trailer->blocks[i], f::header_address, trailer->addresses[i]);
      if (i > 0)
        put<u64>(trailer->blocks[i], f::header_metadata + f::chain_previous_address,
                 trailer->addresses[i - 1]);
    }
    if (trailer->empty()) continue;
    l.file->set_state<u64>(trailer->address, trailer->addresses.back());
    seal(l, *trailer, 0);
  }
  return invalid(l);
}

struct FreeSetLie {
  const char* name;
  bool (*tell)(Lied&);  // False: it cannot be told of this file.
};

constexpr FreeSetLie lies[] = {
    {"the first block of a trailer has one before it", first_has_predecessor},
    {"a trailer's checksum has padding", checksum_has_padding},
    {"a trailer block's reserved bytes are used", reserved_used},
    {"a trailer block is of another type", of_another_type},
    {"a trailer block's header is none", header_is_none},
    {"a trailer block is of another size", of_another_size},
    {"a trailer's chain goes nowhere", chain_goes_nowhere},
    {"a trailer's payload has another checksum", payload_of_another_checksum},
    {"a trailer's last block is nowhere", last_is_nowhere},
    {"a trailer is of another size", size_of_another},
    {"a trailer is larger than any", size_beyond_limit},
    {"a trailer is no bitmap", no_bitmap},
    {"a trailer has a block beyond the limit", block_beyond_limit},
    {"a free block is released", free_block_released},
    {"a released block is free", released_block_free},
    {"a trailer's block is acquired", own_block_acquired},
    {"the blocks of trailers do not ascend", addresses_descend},
};

}  // namespace

Forged forge_free_set(ForgedFile& file, u64 random) {
  const FreeSetLie& lie = lies[below(random, std::size(lies))];
  Lied l{.file = &file,
         .acquired = {.last = f::state_acquired_last,
                      .address = f::state_acquired_address,
                      .size = f::state_acquired_size,
                      .payload = f::state_acquired_payload},
         .released = {.last = f::state_released_last,
                      .address = f::state_released_address,
                      .size = f::state_released_size,
                      .payload = f::state_released_payload},
         .random = remix(random, 1),
         .told = {.lie = lie.name, .refused = true}};
  load(l, l.acquired, BlockUse::trailer_acquired);
  load(l, l.released, BlockUse::trailer_released);
  if (!lie.tell(l)) return {};
  file.write_copies();
  return l.told;
}

}  // namespace tonearm::sim
