// The loops of TableKernel, compiled for one tree type. They work on native keys throughout; a Key
// is converted once at the border of a call.
//
// Whatever a random input would make a coin flip (which side is next?) is selected, not branched on.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>

#include "base/math.h"
#include "table/kernel.h"
#include "table/native_key.h"

namespace tonearm {

template <TableTraits T>
class TypedKernel final : public TableKernel {
 public:
  using Value = typename T::Value;
  using Native = typename T::NativeKey;
  using Convert = NativeKeyOf<Native>;
  static_assert(sizeof(Value) >= 8 && sizeof(Value) <= 256);
  static_assert(is_power_of_two(sizeof(Value)));

  constexpr TypedKernel() : TableKernel(sizeof(Native), sizeof(Value), T::usage) {}

  static constexpr Native key_max_native() {
    if constexpr (requires { T::key_max; }) {
      static_assert(T::key_max < Convert::max);
      return T::key_max;
    } else {
      return Convert::one_less(Convert::max);
    }
  }

  Key key_of(const std::byte* value) const override { return Convert::widen(T::key(load(value))); }
  bool is_tombstone(const std::byte* value) const override { return T::is_tombstone(load(value)); }
  void make_tombstone(const Key& key, std::byte* value) const override {
    const Value tombstone = T::tombstone(Convert::narrow(key));
    ASSERT(T::is_tombstone(tombstone));
    ASSERT(T::key(tombstone) == Convert::narrow(key));
    std::memcpy(value, &tombstone, sizeof(Value));
  }
  Key key_max() const override { return Convert::widen(key_max_native()); }

  u32 lower_bound(const std::byte* bytes, u32 count, const Key& key) const override {
    const Value* values = view(bytes);
    const Native wanted = Convert::narrow(key);
    // Values in a cached block are far away: both places where the next step may look are fetched.
    return search(
        count, wanted, [values](u32 index) { return T::key(values[index]); },
        [values](u32 index) { fetch_key(values + index); });
  }

  void fetch(const std::byte* bytes, u32 count) const override {
    const Value* values = view(bytes);
    const u32 half = count / 2;
    const u32 next = (count - half) / 2;
    if (half > 0) fetch_key(values + half - 1);
    if (next > 0) {
      fetch_key(values + next - 1);
      fetch_key(values + half + next - 1);
    }
  }

  const std::byte* find_last(const std::byte* bytes, u32 count, const Key& key) const override {
    const Value* values = view(bytes);
    const Native wanted = Convert::narrow(key);
    for (u32 index = count; index > 0; --index) {
      if (T::key(values[index - 1]) == wanted) return bytes + u64{index - 1} * sizeof(Value);
    }
    return nullptr;
  }

  void sort(std::byte* bytes, u32 count, std::byte* scratch) const override;
  void merge_runs(std::byte* bytes, u32 left, u32 right, std::byte* scratch) const override;
  u32 dedupe(std::byte* bytes, u32 count, Key* dropped) const override;
  MergeResult merge(const MergeStep& step) const override;
  MergedHeads merge_heads(std::span<StreamHead> heads, Direction direction,
                          std::span<const std::byte*> output) const override {
    return direction == Direction::ascending ? merge_heads_in<Direction::ascending>(heads, output)
                                             : merge_heads_in<Direction::descending>(heads, output);
  }

  Key key_read(const std::byte* keys, u32 index) const override {
    return Convert::widen(load_key(keys, index));
  }
  void key_write(std::byte* keys, u32 index, const Key& key) const override {
    const Native native = Convert::narrow(key);
    std::memcpy(keys + u64{index} * sizeof(Native), &native, sizeof(Native));
  }
  u32 keys_lower_bound(const std::byte* keys, u32 count, const Key& key) const override {
    return search(count, Convert::narrow(key), [keys](u32 index) { return load_key(keys, index); });
  }

 private:
  static constexpr u32 insertion_run = 16;

  // One call of merge().
  struct Merging {
    const Value* a;
    const Value* b;
    Value* output;
    u32 a_count;
    u32 b_count;
    u32 room;
    u64 consume_max;
    bool drop;

    u32 a_at = 0;
    u32 b_at = 0;
    u32 produced = 0;
    u32 tombstones = 0;  // Dropped or kept, by `drop`.
    u32 met = 0;         // Superseded or annihilated, by usage.
    const Value* last_tombstone = nullptr;
    const Value* last_met = nullptr;

    u64 consume_left() const { return consume_max - std::min<u64>(consume_max, u64{a_at} + b_at); }
    bool may_go_on() const { return produced < room && consume_left() > 0; }
  };

  static Value load(const std::byte* bytes) {
    Value value;
    std::memcpy(&value, bytes, sizeof(Value));
    return value;
  }
  static Native load_key(const std::byte* keys, u32 index) {
    Native key;
    std::memcpy(&key, keys + u64{index} * sizeof(Native), sizeof(Native));
    return key;
  }
  static const Value* view(const std::byte* bytes) {
    ASSERT(reinterpret_cast<std::uintptr_t>(bytes) % alignof(Value) == 0);
    return reinterpret_cast<const Value*>(bytes);
  }
  static Value* view(std::byte* bytes) {
    ASSERT(reinterpret_cast<std::uintptr_t>(bytes) % alignof(Value) == 0);
    return reinterpret_cast<Value*>(bytes);
  }
  // The key may stand behind the first bytes of its value.
  static void fetch_key(const Value* value) {
    if constexpr (requires { T::key_place(*value); }) {
      __builtin_prefetch(T::key_place(*value));
    } else {
      __builtin_prefetch(value);
    }
  }
  static void move(Value* to, const Value* from, u64 count) {
    if (count > 0) std::memcpy(static_cast<void*>(to), from, count * sizeof(Value));
  }

  // First index in [0, count) with at(index) >= key. The comparison selects; it does not branch.
  template <class At>
  static u32 search(u32 count, const Native& key, At at) {
    return search(count, key, at, [](u32) {});
  }
  // `soon` is told where the next step will look, whichever way this one goes.
  template <class At, class Soon>
  static u32 search(u32 count, const Native& key, At at, Soon soon) {
    u32 base = 0;
    while (count > 1) {
      const u32 half = count / 2;
      const u32 next = (count - half) / 2;
      if (next > 0) {
        soon(base + next - 1);
        soon(base + half + next - 1);
      }
      base += at(base + half - 1) < key ? half : 0;
      count -= half;
    }
    return base + (count == 1 && at(base) < key ? 1 : 0);
  }

  static bool sorted_unique(const Value* values, u32 count) {
    if (count == 0) return true;
    bool sorted = true;
    Native previous = T::key(values[0]);
    for (u32 index = 1; index < count; ++index) {
      const Native key = T::key(values[index]);
      sorted &= previous < key;
      previous = key;
    }
    return sorted;
  }

  static void sort_insertion(Value* values, u32 count);
  static void merge_into(const Value* left, u32 left_count, const Value* right, u32 right_count, Value* to);
  template <bool drop>
  static void merge_both(Merging& merging);
  template <Direction direction>
  static MergedHeads merge_heads_in(std::span<StreamHead> heads, std::span<const std::byte*> output);
  template <bool drop>
  static void merge_alone(Merging& merging, const Value* from, u32 count, u32* at);
};

template <TableTraits T>
void TypedKernel<T>::sort_insertion(Value* values, u32 count) {
  for (u32 next = 1; next < count; ++next) {
    const Native key = T::key(values[next]);
    if (!(key < T::key(values[next - 1]))) continue;
    const Value value = values[next];
    u32 hole = next;
    do {
      values[hole] = values[hole - 1];
      --hole;
    } while (hole > 0 && key < T::key(values[hole - 1]));
    values[hole] = value;
  }
}

// `to` may be where `left` was copied from: then `right` must stand behind the place of `left`, so
// that it is read before it is overwritten.
template <TableTraits T>
void TypedKernel<T>::merge_into(const Value* left, u32 left_count, const Value* right, u32 right_count,
                                Value* to) {
  const Value* const left_end = left + left_count;
  const Value* const right_end = right + right_count;
  while (left != left_end && right != right_end) {
    const bool right_first = T::key(*right) < T::key(*left);  // Equal: the left one is older.
    *to++ = *(right_first ? right : left);
    right += right_first ? 1 : 0;
    left += right_first ? 0 : 1;
  }
  move(to, left, static_cast<u64>(left_end - left));
  to += left_end - left;
  if (to != right) move(to, right, static_cast<u64>(right_end - right));
}

template <TableTraits T>
void TypedKernel<T>::sort(std::byte* bytes, u32 count, std::byte* scratch_bytes) const {
  Value* const values = view(bytes);
  u32 sorted = 1;
  while (sorted < count && !(T::key(values[sorted]) < T::key(values[sorted - 1]))) ++sorted;
  if (sorted >= count) return;

  for (u32 at = 0; at < count; at += insertion_run) {
    sort_insertion(values + at, std::min(insertion_run, count - at));
  }
  if (count <= insertion_run) return;

  Value* from = values;
  Value* to = view(scratch_bytes);
  for (u64 width = insertion_run; width < count; width *= 2) {
    for (u64 at = 0; at < count; at += 2 * width) {
      const u32 left = static_cast<u32>(std::min<u64>(width, count - at));
      const u32 right = static_cast<u32>(std::min<u64>(width, count - at - left));
      merge_into(from + at, left, from + at + left, right, to + at);
    }
    std::swap(from, to);
  }
  if (from != values) move(values, from, count);
}

template <TableTraits T>
void TypedKernel<T>::merge_runs(std::byte* bytes, u32 left, u32 right, std::byte* scratch_bytes) const {
  if (left == 0 || right == 0) return;
  Value* const values = view(bytes);
  Value* const scratch = view(scratch_bytes);
  if (!(T::key(values[left]) < T::key(values[left - 1]))) return;

  // What is already in its place at the front stays there: every left value <= the first right one.
  const Native first = T::key(values[left]);
  u32 stays = search(left, first, [values](u32 index) { return T::key(values[index]); });
  while (stays < left && T::key(values[stays]) == first) ++stays;
  ASSERT(stays < left);
  move(scratch, values + stays, left - stays);
  merge_into(scratch, left - stays, values + left, right, values + stays);
}

template <TableTraits T>
u32 TypedKernel<T>::dedupe(std::byte* bytes, u32 count, Key* dropped) const {
  Value* const values = view(bytes);
  u32 kept = 0;
  bool ordered = true;
  bool alternating = true;
  Native dropped_key{};
  for (u32 at = 0; at < count;) {
    const Native key = T::key(values[at]);
    u32 end = at + 1;
    while (end < count && T::key(values[end]) == key) {
      alternating &= T::is_tombstone(values[end]) != T::is_tombstone(values[end - 1]);
      ++end;
    }
    ordered &= end == count || key < T::key(values[end]);
    if (end - at > 1) dropped_key = key;
    // The newest version, at its new place; an even number of index versions leaves nothing.
    if (kept != end - 1) values[kept] = values[end - 1];
    kept += T::usage == TableUsage::general || (end - at) % 2 == 1 ? 1 : 0;
    at = end;
  }
  ASSERT(ordered);
  ASSERT_IMPLIES(T::usage == TableUsage::secondary_index, alternating);
  ASSERT(kept <= count);
  if (kept < count) *dropped = Convert::widen(dropped_key);
  return kept;
}

// Both inputs have values. Rounds are cut so that none of the four limits can be passed inside one.
template <TableTraits T>
template <bool drop>
void TypedKernel<T>::merge_both(Merging& m) {
  constexpr bool annihilate = T::usage == TableUsage::secondary_index;
  static_assert(!(drop && annihilate));
  bool alternating = true;
  while (m.a_at < m.a_count && m.b_at < m.b_count && m.may_go_on()) {
    u64 round = std::min<u64>(m.a_count - m.a_at, m.b_count - m.b_at);
    round = std::min<u64>(round, m.room - m.produced);
    round = std::min<u64>(round, std::max<u64>(1, m.consume_left() / 2));
    const Value* a = m.a + m.a_at;
    const Value* b = m.b + m.b_at;
    Value* output = m.output + m.produced;
    u32 tombstones = 0;
    const Value* last_tombstone = m.last_tombstone;
    for (; round > 0; --round) {
      const Native a_key = T::key(*a);
      const Native b_key = T::key(*b);
      if (a_key == b_key) {
        ++m.met;
        m.last_met = a;
        if constexpr (annihilate) {
          alternating &= T::is_tombstone(*a) != T::is_tombstone(*b);
          ++a;
          ++b;
          continue;
        }
        ++b;
      }
      const bool b_first = b_key < a_key;
      const Value* const next = b_first ? b : a;
      const bool tombstone = T::is_tombstone(*next);
      *output = *next;  // Taken back by not counting it.
      output += drop && tombstone ? 0 : 1;
      a += b_first ? 0 : 1;
      b += b_first ? 1 : 0;
      tombstones += tombstone ? 1 : 0;
      last_tombstone = tombstone ? next : last_tombstone;
    }
    m.a_at = static_cast<u32>(a - m.a);
    m.b_at = static_cast<u32>(b - m.b);
    m.produced = static_cast<u32>(output - m.output);
    m.tombstones += tombstones;
    m.last_tombstone = last_tombstone;
  }
  ASSERT_IMPLIES(annihilate, alternating);
}

// The other input has ended. Tombstones of the older input are dropped like those of the newer one:
// `drop_tombstones` speaks of the union of both ranges, so neither has anything left to hide.
template <TableTraits T>
template <bool drop>
void TypedKernel<T>::merge_alone(Merging& m, const Value* from, u32 count, u32* at) {
  while (*at < count && m.may_go_on()) {
    u64 round = std::min<u64>(count - *at, m.room - m.produced);
    round = std::min<u64>(round, m.consume_left());
    const Value* const next = from + *at;
    Value* const output = m.output + m.produced;
    u32 tombstones = 0;
    if constexpr (drop) {
      u32 produced = 0;
      for (u64 index = 0; index < round; ++index) {
        const bool tombstone = T::is_tombstone(next[index]);
        output[produced] = next[index];
        produced += tombstone ? 0 : 1;
        m.last_tombstone = tombstone ? next + index : m.last_tombstone;
      }
      tombstones = static_cast<u32>(round) - produced;
      m.produced += produced;
    } else {
      move(output, next, round);
      for (u64 index = 0; index < round; ++index) tombstones += T::is_tombstone(next[index]) ? 1 : 0;
      for (u64 index = round; tombstones > 0 && index > 0; --index) {
        m.last_tombstone = next + index - 1;
        if (T::is_tombstone(*m.last_tombstone)) break;
      }
      m.produced += static_cast<u32>(round);
    }
    m.tombstones += tombstones;
    *at += static_cast<u32>(round);
  }
}

// Streams are few, mostly two to six: a walk over their keys costs less than the upkeep of a tree of them,
// and the winner keeps its place for as long as it stays before the second.
template <TableTraits T>
template <Direction direction>
MergedHeads TypedKernel<T>::merge_heads_in(std::span<StreamHead> heads, std::span<const std::byte*> output) {
  struct Live {
    StreamHead* head;
    Native key;
  };
  const auto before = [](const Native& a, const Native& b) {
    return direction == Direction::ascending ? a < b : b < a;
  };
  constexpr std::ptrdiff_t step =
      direction == Direction::ascending ? std::ptrdiff_t{sizeof(Value)} : -std::ptrdiff_t{sizeof(Value)};
  ASSERT(heads.size() <= merge_streams_max);
  std::array<Live, merge_streams_max> live;
  u32 live_count = 0;
  for (StreamHead& head : heads) {
    if (head.left > 0) live[live_count++] = {.head = &head, .key = T::key(*view(head.next))};
  }
  MergedHeads merged;
  if (live_count == 0 || output.empty()) return merged;
  // False: that was the last value of the stream.
  const auto advance = [&before](Live& of) {
    if (--of.head->left == 0) return false;
    of.head->next += step;
    const Native key = T::key(*view(of.head->next));
    ASSERT(before(of.key, key));
    of.key = key;
    return true;
  };
  Live* winner = live.data();
  for (u32 i = 1; i < live_count; ++i) {
    if (before(live[i].key, winner->key)) winner = &live[i];
  }
  for (bool all_have = true; all_have && merged.count < output.size();) {
    Live* second = nullptr;
    u32 dropped = 0;
    for (Live* other = live.data(); other != live.data() + live_count; ++other) {
      if (other == winner) continue;
      if (other->key == winner->key) {
        ++dropped;
        all_have &= advance(*other);
        if (other->head->left == 0) continue;
      }
      if (second == nullptr || before(other->key, second->key)) second = other;
    }
    merged.versions_dropped += dropped;
    merged.versions_dropped_max = std::max(merged.versions_dropped_max, dropped);
    do {
      output[merged.count++] = winner->head->next;
      all_have &= advance(*winner);
    } while (all_have && merged.count < output.size() &&
             (second == nullptr || before(winner->key, second->key)));
    // It alone has moved. Of equal keys the first one's is the newest.
    if (second != nullptr && (second < winner || second->key != winner->key)) winner = second;
  }
  return merged;
}

template <TableTraits T>
MergeResult TypedKernel<T>::merge(const MergeStep& step) const {
  constexpr bool annihilate = T::usage == TableUsage::secondary_index;
  ASSERT(step.a.size() % sizeof(Value) == 0 && step.b.size() % sizeof(Value) == 0);
  ASSERT(step.output.size() / sizeof(Value) <= ~u32{0});
  ASSERT_IMPLIES(annihilate, !step.drop_tombstones);
  Merging m{
      .a = view(step.a.data()),
      .b = view(step.b.data()),
      .output = view(step.output.data()),
      .a_count = static_cast<u32>(step.a.size() / sizeof(Value)),
      .b_count = static_cast<u32>(step.b.size() / sizeof(Value)),
      .room = static_cast<u32>(step.output.size() / sizeof(Value)),
      .consume_max = step.consume_max,
      .drop = step.drop_tombstones,
  };
  const auto run = [&m, &step]<bool drop>() {
    merge_both<drop>(m);
    if (m.a_at == m.a_count && step.a_last) merge_alone<drop>(m, m.b, m.b_count, &m.b_at);
    if (m.b_at == m.b_count && step.b_last) merge_alone<drop>(m, m.a, m.a_count, &m.a_at);
  };
  if constexpr (annihilate) {
    run.template operator()<false>();
  } else if (m.drop) {
    run.template operator()<true>();
  } else {
    run.template operator()<false>();
  }
  ASSERT(m.produced <= m.room);
  const u64 consumed = u64{m.a_at} + m.b_at;
  ASSERT(consumed == 0 || consumed - 1 <= m.consume_max);
  ASSERT(consumed == u64{m.produced} + (m.drop ? m.tombstones : 0) + u64{m.met} * (annihilate ? 2 : 1));
  ASSERT(sorted_unique(m.output, m.produced));
  return {
      .a_consumed = m.a_at,
      .b_consumed = m.b_at,
      .produced = m.produced,
      .tombstones_dropped = m.drop ? m.tombstones : 0,
      .tombstones_kept = m.drop ? 0 : m.tombstones,
      .superseded = annihilate ? 0 : m.met,
      .annihilated = annihilate ? m.met : 0,
      .met_key = m.last_met == nullptr ? Key{} : Convert::widen(T::key(*m.last_met)),
      .tombstone_key = m.last_tombstone == nullptr ? Key{} : Convert::widen(T::key(*m.last_tombstone)),
  };
}

}  // namespace tonearm
