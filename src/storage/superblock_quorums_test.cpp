// Every combination of twelve kinds of slot contents over four slots, against a predictor that knows
// the kinds only by what they mean, never by their bytes.
#include "storage/superblock_quorums.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace tonearm {
namespace {

SuperblockHeader root_header() {
  SuperblockHeader header;
  std::memset(static_cast<void*>(&header), 0, sizeof(header));
  header.version = superblock_version;
  header.release_format = superblock_release;
  header.sequence = 1;
  header.cluster = 77;
  header.state = checkpoint_state_empty(77);
  header.format = FormatOptions{};
  header.byte_order = superblock_byte_order;
  superblock_seal(header);
  return header;
}

SuperblockHeader child_of(const SuperblockHeader& parent, u64 op, u128 op_id) {
  SuperblockHeader header = parent;
  header.sequence = parent.sequence + 1;
  header.parent = parent.checksum;
  header.state.op = op;
  header.state.op_id = op_id;
  header.state.parent_checkpoint_id = checkpoint_id_of(parent.state);
  header.state.grandparent_checkpoint_id = parent.state.parent_checkpoint_id;
  superblock_seal(header);
  return header;
}

enum class Number { own, next, out_of_range };

// What a slot holds. Contents: O old, N its child, F another child of O, P an old that is not the
// parent of N, S the child of N, R a child of O by a newer release; '-' nothing, 'x' N with a bit flipped.
struct Kind {
  char content;
  Number number;
};
constexpr Kind kinds[] = {
    {'-', Number::own}, {'x', Number::own},          {'O', Number::own}, {'O', Number::next},
    {'N', Number::own}, {'O', Number::out_of_range}, {'F', Number::own}, {'N', Number::next},
    {'P', Number::own}, {'N', Number::out_of_range}, {'S', Number::own}, {'R', Number::own},
};
constexpr u32 kind_count = sizeof(kinds) / sizeof(kinds[0]);
using Combination = std::array<u32, superblock_copies>;

struct Contents {
  SuperblockHeader by_kind[kind_count][superblock_copies];

  Contents() {
    std::map<char, SuperblockHeader> header;
    const SuperblockHeader root = root_header();
    header['O'] = child_of(root, 10, 1);
    header['P'] = child_of(root, 10, 2);
    header['N'] = child_of(header['O'], 20, 3);
    header['F'] = child_of(header['O'], 20, 4);
    header['S'] = child_of(header['N'], 30, 5);
    header['R'] = child_of(header['O'], 20, 6);
    header['R'].version = superblock_version + 1;
    header['R'].reserved[100] = 9;
    header['R'].checksum = superblock_checksum(header['R']);
    header['x'] = header['N'];
    header['x'].reserved[5000] ^= 0x10;
    std::memset(static_cast<void*>(&header['-']), 0, sizeof(SuperblockHeader));
    for (u32 kind = 0; kind < kind_count; ++kind) {
      for (u32 slot = 0; slot < superblock_copies; ++slot) {
        SuperblockHeader& target = by_kind[kind][slot];
        target = header[kinds[kind].content];
        switch (kinds[kind].number) {
          case Number::own: target.copy = static_cast<u16>(slot); break;
          case Number::next: target.copy = static_cast<u16>((slot + 1) % superblock_copies); break;
          case Number::out_of_range: target.copy = static_cast<u16>(superblock_copies + slot * 7919); break;
        }
      }
    }
  }
};

u64 sequence_of(char content) { return content == 'O' || content == 'P' ? 2 : content == 'S' ? 4 : 3; }

struct Prediction {
  std::set<ErrorKind> errors;  // Each would be true; empty: none.
  char chosen = 0;
  std::array<bool, superblock_copies> repair{};
};

Prediction predict(const Combination& combination, u32 threshold) {
  std::map<char, std::set<u32>> found;
  for (u32 slot = 0; slot < superblock_copies; ++slot) {
    const Kind& kind = kinds[combination[slot]];
    if (kind.content == '-' || kind.content == 'x') continue;
    found[kind.content].insert(kind.number == Number::next ? (slot + 1) % superblock_copies : slot);
  }
  Prediction prediction;
  if (found.empty()) return prediction.errors = {ErrorKind::not_found}, prediction;
  for (const auto& [content, numbers] : found) {
    if (numbers.size() < threshold) continue;
    if (prediction.chosen == 0 || sequence_of(content) > sequence_of(prediction.chosen)) {
      prediction.chosen = content;
    }
  }
  const char chosen = prediction.chosen;
  if (chosen == 0) return prediction.errors = {ErrorKind::quorum_lost}, prediction;
  if (chosen == 'R') prediction.errors.insert(ErrorKind::release_unknown);
  for (const auto& [content, numbers] : found) {
    if (content == chosen) continue;
    if (sequence_of(content) == sequence_of(chosen)) {
      prediction.errors.insert(ErrorKind::fork);
      if (content == 'R' && numbers.size() >= threshold) prediction.errors.insert(ErrorKind::release_unknown);
    }
    if (sequence_of(content) >= sequence_of(chosen) + 2) prediction.errors.insert(ErrorKind::quorum_lost);
    const std::string family{content, chosen};
    const bool related = family == "ON" || family == "OF" || family == "OR" || family == "NS";
    if (sequence_of(content) + 1 == sequence_of(chosen) && !related) {
      prediction.errors.insert(ErrorKind::parent_not_connected);
    }
  }
  for (u32 slot = 0; slot < superblock_copies; ++slot) {
    const Kind& kind = kinds[combination[slot]];
    prediction.repair[slot] = kind.content != chosen || kind.number != Number::own;
  }
  return prediction;
}

std::string words(const Combination& combination) {
  std::string text;
  for (const u32 kind : combination) {
    text += kinds[kind].content;
    text += kinds[kind].number == Number::own ? ' ' : kinds[kind].number == Number::next ? '+' : '?';
  }
  return text;
}

using Slots = std::array<const SuperblockHeader*, superblock_copies>;

// Repairs step by step. Before each write lands, the slot may hold garbage: the choice must stand.
std::string repair_all(Slots slots, SuperblockQuorum quorum, const SuperblockHeader& garbage) {
  SuperblockHeader written[superblock_copies];
  const Checksum chosen = slots[quorum.slot]->checksum;
  const SuperblockHeader source = *slots[quorum.slot];
  for (u32 steps = 0;; ++steps) {
    const u32 slot = superblock_repair_next(quorum.holds, quorum.repair);
    if (slot == superblock_copies) break;
    if (steps == superblock_copies || !quorum.repair[slot]) return "writes a slot that is good";
    slots[slot] = &garbage;
    const SuperblockQuorum torn = superblock_quorum(slots, superblock_quorum_open);
    if (torn.error || slots[torn.slot]->checksum != chosen) return "a torn repair changes the choice";
    written[slot] = source;
    written[slot].copy = static_cast<u16>(slot);
    slots[slot] = &written[slot];
    quorum.holds[slot] = static_cast<u8>(slot);
    quorum.repair[slot] = false;
  }
  const SuperblockQuorum after = superblock_quorum(slots, superblock_copies);
  if (after.error || after.mixed) return "is not whole after the repair";
  for (const bool repair : after.repair) {
    if (repair) return "needs repair after the repair";
  }
  return "";
}

std::string check(const Contents& contents, const Combination& combination, u32 threshold) {
  Slots slots;
  for (u32 slot = 0; slot < superblock_copies; ++slot)
    slots[slot] = &contents.by_kind[combination[slot]][slot];
  const Prediction prediction = predict(combination, threshold);
  const SuperblockQuorum quorum = superblock_quorum(slots, threshold);
  if (quorum.error) {
    return prediction.errors.contains(quorum.error.kind) ? "" : error_name(quorum.error.kind);
  }
  if (!prediction.errors.empty()) return std::string("misses ") + error_name(*prediction.errors.begin());
  if (quorum.slot >= superblock_copies) return "slot out of range";
  if (kinds[combination[quorum.slot]].content != prediction.chosen) return "chooses another header";
  if (quorum.repair != prediction.repair) return "repairs other slots";
  if (threshold > superblock_quorum_open) return "";
  return repair_all(slots, quorum, contents.by_kind[0][0]);
}

TEST_CASE("every combination of superblock copies has the predicted outcome") {
  const auto contents = std::make_unique<Contents>();
  std::map<std::string, u32> outcomes;
  u32 wrong = 0;
  Combination at{};
  for (at[0] = 0; at[0] < kind_count; ++at[0]) {
    for (at[1] = 0; at[1] < kind_count; ++at[1]) {
      for (at[2] = 0; at[2] < kind_count; ++at[2]) {
        for (at[3] = 0; at[3] < kind_count; ++at[3]) {
          for (const u32 threshold : {superblock_quorum_open, superblock_quorum_verify}) {
            const std::string complaint = check(*contents, at, threshold);
            const Prediction prediction = predict(at, threshold);
            ++outcomes[prediction.errors.empty() ? "none" : error_name(*prediction.errors.begin())];
            if (complaint.empty() || ++wrong > 10) continue;
            FAIL_CHECK(words(at) << " threshold " << threshold << ": " << complaint);
          }
        }
      }
    }
  }
  REQUIRE(wrong == 0);
  for (const char* outcome :
       {"none", "not_found", "quorum_lost", "fork", "parent_not_connected", "release_unknown"}) {
    INFO(outcome);
    REQUIRE(outcomes[outcome] > 0);
  }
}

Error outcome(const SuperblockHeader& header) {
  SuperblockHeader copies[superblock_copies];
  for (u32 slot = 0; slot < superblock_copies; ++slot) {
    copies[slot] = header;
    copies[slot].copy = static_cast<u16>(slot);
  }
  const Slots slots{&copies[0], &copies[1], &copies[2], &copies[3]};
  return superblock_quorum(slots, superblock_quorum_open).error;
}

TEST_CASE("the superblock's layout is fixed") {
  STATIC_REQUIRE(sizeof(SuperblockHeader) == 8192);
  STATIC_REQUIRE(offsetof(SuperblockHeader, checksum_padding) == 16);
  STATIC_REQUIRE(offsetof(SuperblockHeader, version) == 34);
  STATIC_REQUIRE(offsetof(SuperblockHeader, sequence) == 40);
  STATIC_REQUIRE(offsetof(SuperblockHeader, parent) == 64);
  STATIC_REQUIRE(offsetof(SuperblockHeader, state) == 96);
  STATIC_REQUIRE(offsetof(SuperblockHeader, format) == 1120);
  STATIC_REQUIRE(offsetof(SuperblockHeader, byte_order) == 1184);
  STATIC_REQUIRE(offsetof(SuperblockHeader, tail_sequence) == 8144);
  STATIC_REQUIRE(offsetof(CheckpointState, manifest_oldest) == 128);
  STATIC_REQUIRE(offsetof(CheckpointState, acquired_payload) == 224);
  STATIC_REQUIRE(offsetof(CheckpointState, parent_checkpoint_id) == 272);
  STATIC_REQUIRE(offsetof(CheckpointState, storage_size) == 352);
  STATIC_REQUIRE(offsetof(CheckpointState, release) == 388);
}

TEST_CASE("padding that the checksum covers or not makes a copy invalid") {
  const SuperblockHeader good = root_header();
  REQUIRE_FALSE(outcome(good));

  SuperblockHeader bad = good;
  bad.checksum_padding = 1;
  REQUIRE(outcome(bad).kind == ErrorKind::not_found);

  const auto resealed = [&](auto change) {
    SuperblockHeader header = good;
    change(header);
    header.checksum = superblock_checksum(header);
    return outcome(header).kind;
  };
  REQUIRE(resealed([](SuperblockHeader&) {}) == ErrorKind::none);
  REQUIRE(resealed([](SuperblockHeader& h) { h.reserved[6951] = 1; }) == ErrorKind::not_found);
  REQUIRE(resealed([](SuperblockHeader& h) { h.parent_padding = 1; }) == ErrorKind::not_found);
  REQUIRE(resealed([](SuperblockHeader& h) { h.tail_sequence = 2; }) == ErrorKind::not_found);
  REQUIRE(resealed([](SuperblockHeader& h) { h.tail_zero = 1; }) == ErrorKind::not_found);
  REQUIRE(resealed([](SuperblockHeader& h) { h.tail_checkpoint_id ^= 1; }) == ErrorKind::not_found);
  REQUIRE(resealed([](SuperblockHeader& h) { h.tail_zero2 = 1; }) == ErrorKind::not_found);
  REQUIRE(resealed([](SuperblockHeader& h) { h.version = 0; }) == ErrorKind::not_found);
  REQUIRE(resealed([](SuperblockHeader& h) { h.sequence = 0; }) == ErrorKind::not_found);
  REQUIRE(resealed([](SuperblockHeader& h) {
            h.state.reserved[631] = 1;
            h.tail_checkpoint_id = checkpoint_id_of(h.state);
          }) == ErrorKind::not_found);
  REQUIRE(resealed([](SuperblockHeader& h) {
            h.state.storage_size += 4096;
            h.tail_checkpoint_id = checkpoint_id_of(h.state);
          }) == ErrorKind::not_found);
}

// Of the copies as they are read: 0..3, or all four, which is damage that no copy makes good.
TEST_CASE("every flipped bit of the superblock copies is noticed") {
  constexpr u32 number_begin = offsetof(SuperblockHeader, copy);  // What no checksum covers: see the layout.
  constexpr u32 number_end = number_begin + sizeof(SuperblockHeader::copy);
  const SuperblockHeader whole = child_of(root_header(), 5, 6);
  std::array<SuperblockHeader, superblock_copies> copies;
  for (u32 slot = 0; slot < superblock_copies; ++slot) {
    copies[slot] = whole;
    copies[slot].copy = static_cast<u16>(slot);
  }
  const Slots slots{&copies[0], &copies[1], &copies[2], &copies[3]};
  REQUIRE(superblock_quorum(slots, superblock_quorum_verify).repair == std::array<bool, 4>{});
#if defined(__SANITIZE_ADDRESS__) || !defined(__OPTIMIZE__)
  constexpr u32 stride = 7;
#else
  constexpr u32 stride = 1;
#endif
  const auto flip = [&copies](u32 slot, u32 bit) {
    reinterpret_cast<u8*>(&copies[slot])[bit / 8] ^= static_cast<u8>(1U << (bit % 8));
  };
  u32 unnoticed = 0;
  for (u32 bit = 0; bit < superblock_copy_size * 8; bit += stride) {
    const bool number = bit / 8 >= number_begin && bit / 8 < number_end;
    const u32 slot = bit % superblock_copies;
    flip(slot, bit);
    const SuperblockQuorum one = superblock_quorum(slots, superblock_quorum_open);
    for (u32 other = 0; other < superblock_copies; ++other) {
      unnoticed += one.repair[other] != (other == slot) ? 1 : 0;
    }
    unnoticed += one.error || one.intact[slot] != number ? 1 : 0;
    for (u32 other = 0; other < superblock_copies; ++other) {
      if (other != slot) flip(other, bit);
    }
    const SuperblockQuorum none = superblock_quorum(slots, superblock_quorum_open);
    if (number) {
      unnoticed += none.error || none.repair == std::array<bool, 4>{} ? 1 : 0;
    } else {
      unnoticed += none.error.kind == ErrorKind::not_found ? 0 : 1;
    }
    for (u32 other = 0; other < superblock_copies; ++other) flip(other, bit);
  }
  CHECK(unnoticed == 0);
  REQUIRE(superblock_quorum(slots, superblock_quorum_verify).repair == std::array<bool, 4>{});
}

TEST_CASE("a newer release and the other byte order are told from damage") {
  SuperblockHeader header = root_header();
  header.state.release = superblock_release + 1;
  header.checksum = superblock_checksum(header);
  const Error release = outcome(header);
  REQUIRE(release.kind == ErrorKind::release_unknown);
  REQUIRE(release.stored == superblock_release + 1);
  REQUIRE(release.given == superblock_release);

  header = root_header();
  header.byte_order = 0x0807060504030201;
  REQUIRE(outcome(header).kind == ErrorKind::byte_order);
  // A foreign leftover next to intact copies says nothing.
  SuperblockHeader copies[superblock_copies];
  for (u32 slot = 0; slot < superblock_copies; ++slot) {
    copies[slot] = slot == 0 ? header : root_header();
    copies[slot].copy = static_cast<u16>(slot);
  }
  const Slots slots{&copies[0], &copies[1], &copies[2], &copies[3]};
  REQUIRE_FALSE(superblock_quorum(slots, superblock_quorum_open).error);
}

TEST_CASE("copies in each other's slots are put right") {
  SuperblockHeader copies[superblock_copies];
  const u16 numbers[] = {2, 0, 1, 3};
  for (u32 slot = 0; slot < superblock_copies; ++slot) {
    copies[slot] = root_header();
    copies[slot].copy = numbers[slot];
  }
  const Slots slots{&copies[0], &copies[1], &copies[2], &copies[3]};
  const SuperblockQuorum quorum = superblock_quorum(slots, superblock_quorum_open);
  REQUIRE_FALSE(quorum.error);
  REQUIRE(quorum.repair == std::array<bool, 4>{true, true, true, false});
  SuperblockHeader garbage;
  std::memset(static_cast<void*>(&garbage), 0, sizeof(garbage));
  REQUIRE(repair_all(slots, quorum, garbage) == "");
}

TEST_CASE("repair begins where nothing is lost") {
  constexpr u8 none = superblock_copies;
  // Slot 3 holds nothing and copy 3 is nowhere; slot 2's copy strayed into slot 0.
  REQUIRE(superblock_repair_next({2, 1, none, none}, {true, false, true, true}) == 3);
  REQUIRE(superblock_repair_next({2, 1, none, 3}, {true, false, true, false}) == 2);
  REQUIRE(superblock_repair_next({2, 1, 2, 3}, {true, false, false, false}) == 0);
  REQUIRE(superblock_repair_next({0, 1, 2, 3}, {false, false, false, false}) == superblock_copies);
}

}  // namespace
}  // namespace tonearm
