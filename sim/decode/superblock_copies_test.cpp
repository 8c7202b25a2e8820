// The enumerator and the engine must agree on every combination of copies, and every repair of the
// engine's order must leave, while it is torn, what leads to the same choice.
#include "sim/decode/superblock_copies.h"

#include <array>
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "sim/decode/open_error.h"
#include "storage/superblock_quorums.h"

namespace tonearm::sim {

namespace {

namespace f = disk_format;

// What a slot may hold: a header, under a number that is the slot's plus `off`.
struct Variant {
  const char* name;
  CopyBytes header;
  u32 off = 0;
};

PlainState state_at(u64 op) {
  PlainState state = plain_state_empty(op);
  state.op = op;
  return state;
}

std::vector<Variant> variants() {
  const FormatOptions options;
  const auto format = std::as_bytes(std::span(&options, 1));
  const auto after = [&](const CopyBytes& parent, u64 op) {
    return encode_copy(parent, 7, state_at(op), format);
  };
  const CopyBytes root = encode_copy({}, 7, plain_state_empty(7), format);
  const CopyBytes two = after(root, 20);
  const CopyBytes three = after(two, 30);
  CopyBytes torn = three;
  std::copy(root.begin() + 4096, root.end(), torn.begin() + 4096);
  CopyBytes swapped = three;
  store(swapped, f::copy_byte_order, __builtin_bswap64(f::byte_order_native));
  seal_copy(swapped, true);
  CopyBytes newer = three;
  store<u16>(newer, f::copy_version, 2);
  seal_copy(newer, true);
  return {
      {"zero", CopyBytes(f::copy_size)},
      {"torn", torn},
      {"three", three},
      {"three, misplaced", three, 1},
      {"three, misplaced far", three, 2},
      {"three, unnumbered", three, 100},
      {"two", two},
      {"two, misplaced", two, 3},
      {"another two", after(root, 21)},
      {"four", after(three, 40)},
      {"another three", after(two, 31)},
      {"five", after(after(three, 40), 50)},
      {"other byte order", swapped},
      {"newer", newer},
  };
}

struct Combination {
  std::array<CopyBytes, f::copies> bytes;
  std::array<const SuperblockHeader*, f::copies> engine{};
  CopiesAsRead view;

  void set(u32 slot, const CopyBytes& header, u32 number) {
    bytes[slot] = header;
    store<u16>(bytes[slot], f::copy_number, static_cast<u16>(number));
    engine[slot] = reinterpret_cast<const SuperblockHeader*>(bytes[slot].data());
    view[slot] = bytes[slot];
  }
};

// Repairs in the engine's order. Returns the writes; 100: one of them, torn, changes the choice.
u32 repair(const Combination& combination, SuperblockQuorum quorum, const CopiesVerdict& chosen) {
  Combination after = combination;
  for (u32 slot = 0; slot < f::copies; ++slot) after.view[slot] = after.bytes[slot];
  const CopyBytes header = after.bytes[chosen.slot];
  for (u32 writes = 0;; ++writes) {
    const u32 slot = superblock_repair_next(quorum.holds, quorum.repair);
    if (slot == f::copies) return writes;
    after.view[slot] = {};
    const CopiesVerdict torn = judge_copies(after.view, f::quorum);
    if (torn.outcome != DecodeOutcome::ok || torn.checksum != chosen.checksum) return 100;
    after.set(slot, header, slot);
    quorum.holds[slot] = static_cast<u8>(slot);
    quorum.repair[slot] = false;
  }
}

}  // namespace

TEST_CASE("all combinations of copies are judged alike, and no torn repair changes the choice",
          "[superblock]") {
  const std::vector<Variant> all = variants();
  const u64 count = all.size();
  std::map<DecodeOutcome, u64> outcomes;
  std::map<u32, u64> repairs;
  Combination combination;
  u64 different = 0;
  for (u64 index = 0; index < count * count * count * count; ++index) {
    u64 rest = index;
    for (u32 slot = 0; slot < f::copies; ++slot, rest /= count) {
      const Variant& variant = all[rest % count];
      const u32 number = variant.off == 100 ? 100 : (slot + variant.off) % f::copies;
      combination.set(slot, variant.header, number);
    }
    const CopiesVerdict verdict = judge_copies(combination.view, f::quorum);
    const SuperblockQuorum quorum = superblock_quorum(combination.engine, superblock_quorum_open);
    ++outcomes[verdict.outcome];
    bool same = quorum.error.kind == error_of(verdict.outcome);
    if (same && verdict.outcome == DecodeOutcome::ok) {
      same = quorum.slot == verdict.slot && quorum.mixed == (verdict.headers > 1);
      for (u32 slot = 0; slot < f::copies; ++slot) {
        same = same && quorum.repair[slot] == ((verdict.right >> slot & 1) == 0);
        same = same && quorum.intact[slot] == ((verdict.intact >> slot & 1) != 0);
      }
      ++repairs[repair(combination, quorum, verdict)];
    }
    if (same) continue;
    ++different;
    INFO(all[index % count].name << ", " << all[index / count % count].name << ", "
                                 << all[index / count / count % count].name << ", "
                                 << all[index / count / count / count].name << ": "
                                 << error_name(quorum.error.kind) << ", expected "
                                 << decode_outcome_name(verdict.outcome));
    CHECK(same);
    if (different > 10) break;
  }
  CHECK(different == 0);
  CHECK(outcomes.size() == 7);
  CHECK(repairs.size() == 5);  // 0 to 4 copies written again.
  CHECK(repairs[100] == 0);
}

TEST_CASE("what the engine seals is what the enumerator encodes", "[superblock]") {
  const FormatOptions options;
  SuperblockHeader header;
  std::memset(static_cast<void*>(&header), 0, sizeof(header));
  header.version = superblock_version;
  header.release_format = superblock_release;
  header.sequence = 1;
  header.cluster = 7;
  header.state = checkpoint_state_empty(7);
  header.format = options;
  header.byte_order = superblock_byte_order;
  superblock_seal(header);
  const CopyBytes encoded = encode_copy({}, 7, plain_state_empty(7), std::as_bytes(std::span(&options, 1)));
  REQUIRE(std::memcmp(&header, encoded.data(), encoded.size()) == 0);
  REQUIRE(copy_fault(encoded) == nullptr);
  // Every byte but those of the number counts.
  u32 survived = 0;
  for (u32 at = 0; at < f::copy_size; ++at) {
    CopyBytes damaged = encoded;
    damaged[at] ^= std::byte{4};
    survived += copy_fault(damaged) == nullptr ? 1 : 0;
  }
  REQUIRE(survived == 2);
}

}  // namespace tonearm::sim
