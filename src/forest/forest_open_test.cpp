// Opening what a checkpoint wrote under another limit, and what no checkpoint can have written although
// every checksum is right.
#include "forest/test_blocks.h"
#include "grid/ewah.h"

namespace tonearm {

namespace {

// The root of the last checkpoint and its trailers, to be changed, sealed and believed.
class ForgedRoot {
 public:
  explicit ForgedRoot(TestForest& forest) : forest_(forest) {
    std::vector<std::byte> bytes(superblock_copy_size);
    forest.storage().image().read(0, bytes);
    std::memcpy(&header, bytes.data(), sizeof header);
  }

  void set_acquired(std::span<const std::byte> payload) {
    CheckpointState& state = header.state;
    state.acquired_last = write_trailer(state.acquired_last_address, payload);
    state.acquired_payload = checksum_of(payload);
    state.acquired_size = payload.size();
  }
  void set_released(std::span<const std::byte> payload) {
    CheckpointState& state = header.state;
    state.released_last = write_trailer(state.released_last_address, payload);
    state.released_payload = checksum_of(payload);
    state.released_size = payload.size();
  }
  void write() {
    superblock_seal(header);
    for (u32 copy = 0; copy < superblock_copies; ++copy) {
      header.copy = static_cast<u16>(copy);
      Storage::Write io{.buffer = std::as_bytes(std::span(&header, 1)),
                        .offset = u64{copy} * superblock_copy_size,
                        .zone = Zone::superblock,
                        .durability = Durability::on_completion,
                        .tag = {.purpose = IoPurpose::audit},
                        .done = Callback<Storage::Write&>::to<&ForgedRoot::write_done>(this)};
      forest_.storage().write(io);
      done_ = false;
      while (!done_) REQUIRE(forest_.storage().step());
    }
  }

  alignas(4096) SuperblockHeader header{};

 private:
  Checksum write_trailer(u64 address, std::span<const std::byte> payload) {
    REQUIRE(address >= 1);
    BlockEditor editor(forest_);
    std::vector<std::byte> block = editor.read(address);
    REQUIRE(payload.size() <= block.size() - block_header_size);
    std::fill(block.begin() + block_header_size, block.end(), std::byte{0});
    std::copy(payload.begin(), payload.end(), block.begin() + block_header_size);
    const BlockHeader before = header_of(block.data());
    const Checksum checksum = block_seal(block.data(),
                                         {.type = BlockType::free_set,
                                          .address = address,
                                          .snapshot = before.snapshot,
                                          .size = block_header_size + static_cast<u32>(payload.size()),
                                          .cluster = before.cluster},
                                         forest_->grid().sector_size());
    editor.write(address, block);
    return checksum;
  }
  void write_done(Storage::Write&) { done_ = true; }

  TestForest& forest_;
  bool done_ = false;
};

std::vector<std::byte> encoded(const std::vector<u64>& words) {
  std::vector<std::byte> bytes(ewah_encode_size_max(words.size()));
  bytes.resize(ewah_encode(words, bytes));
  return bytes;
}

void check_refused(TestForest& forest, ErrorKind kind, const std::string& reason) {
  const u64 writes = forest.storage().steps();
  const Error error = forest.reopen();
  CHECK(error.kind == kind);
  CHECK(error.reason == reason);
  CHECK_FALSE(forest->opened());
  // It has ended: nothing goes on.
  while (forest.storage().step()) continue;
  CHECK(forest.open().kind == kind);
  CHECK(forest.storage().steps() > writes);
}

// By another engine, on the same disk.
Error open_at_limit(TestForest& forest, ForestOptions options, u32 blocks_count) {
  options.runtime.blocks_count = blocks_count;
  TestArena arena([&](Arena& measuring) {
    (void)measuring.take<std::byte>(Forest::memory_required(options), Arena::align_max);
  });
  Forest other(forest.storage(), options,
               (*arena).take<std::byte>(Forest::memory_required(options), Arena::align_max));
  other.open(forest.callback());
  forest.pump();
  return other.error();
}

}  // namespace

TEST_CASE("forest: trailers that no checkpoint wrote are refused") {
  TestForest forest(test_options());
  fill(forest, 6, 60);
  ForgedRoot root(forest);
  const u64 words = forest->grid().blocks_count() / 64;
  SECTION("as they are, they open") {
    root.write();
    CHECK_FALSE(forest.reopen());
  }
  SECTION("no bitmap") {
    const std::vector<std::byte> garbage(64, std::byte{0xff});
    GENERATE(true, false) ? root.set_acquired(garbage) : root.set_released(garbage);
    root.write();
    check_refused(forest, ErrorKind::checkpoint_invalid, "a trailer of the free set is no bitmap");
  }
  SECTION("a bit beyond the limit") {
    std::vector<u64> bitmap(2 * words);
    bitmap[words] = 1;
    root.set_acquired(encoded(bitmap));
    root.write();
    check_refused(forest, ErrorKind::storage_size,
                  "the data file has more blocks than the storage limit allows");
  }
  SECTION("a released block that is not acquired") {
    root.set_released(encoded(std::vector<u64>(words, u64_max)));
    root.write();
    check_refused(forest, ErrorKind::checkpoint_invalid,
                  "the trailers of the free set contradict themselves");
  }
}

TEST_CASE("forest: a storage limit that a data file just fits into") {
  const ForestOptions options = test_options();
  TestForest forest(options);
  forest.begin();
  constexpr u32 limit = 256;
  // Two reservations, the first of which is given back: so the last block of the limit is acquired, and
  // hardly any other.
  Grid& grid = forest->grid();
  std::optional<Reservation> before = grid.reserve(200);
  std::optional<Reservation> last = grid.reserve(100);
  REQUIRE((before && last));
  while (grid.acquire(*last) != limit) continue;
  grid.forfeit(*before);
  grid.forfeit(*last);
  forest.commit_to(12);
  REQUIRE(forest->checkpoint_op() == 7);
  REQUIRE(forest->superblock().state.storage_size ==
          superblock_zone_size + u64{limit} * options.format.block_size);
  CHECK_FALSE(open_at_limit(forest, options, limit));
  const Error error = open_at_limit(forest, options, limit - 64);
  CHECK(error.kind == ErrorKind::storage_size);
  CHECK(error.stored == superblock_zone_size + u64{limit} * options.format.block_size);
  CHECK(error.given == superblock_zone_size + u64{limit - 64} * options.format.block_size);
}

}  // namespace tonearm
