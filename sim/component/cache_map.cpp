// Workload `cache_map`: the object cache of a groove, its stash and its scopes, against plain maps.
//
// The model is what a groove would hold (`truth_`) and the keys that the cache must not forget
// (`young_`), with a copy of both taken when a scope opens. A young key must be answered, and rightly;
// of any other key "absent" is right too, and anything else must be the truth. How many keys are young
// is predicted exactly.
//
// The settings that matter: cache_blocks (slots of the cache), cache_hash_bits, beats (ops of a bar),
// key_universe. The seed draws how many changes an op may have: some, or hundreds, or so few that a bar
// often touches all keys that it may. Some seeds have no cache at all.
#include <fmt/format.h>

#include <map>
#include <optional>
#include <set>
#include <span>

#include "base/checksum.h"
#include "groove/cache_map.h"
#include "sim/component/support.h"
#include "sim/component/tested.h"

namespace tonearm::sim {

namespace {

struct Object {
  u64 key;
  u64 version;
  u64 filler[2];
};

struct ObjectTraits {
  using Key = u64;
  using Value = Object;
  static Key key_of(const Value& value) { return value.key; }
  static u64 hash(const Key& key) { return hash_of(key); }
};

using Map = CacheMap<ObjectTraits>;

constexpr u64 key_whole = 1'000'000;
constexpr u64 changes_of_runs = 64;  // Of an op that the runs of lines are made for.

// What an op may do.
struct Budget {
  u64 changes;
  u64 keys;  // That it makes young.
  bool tight;
};

Budget draw_budget(u64 random) {
  const u64 size = remix(random, 1);
  switch (below(random, 8)) {
    case 0: {  // More changes than a log of a small number has entries.
      const u64 changes = between(size, 200, 1000);
      return {.changes = changes, .keys = 3 * changes, .tight = false};
    }
    case 1: {  // Powers of two: what a table of as many slots has room for.
      const u64 keys = u64{4} << below(size, 3);
      return {.changes = between(remix(size, 1), div_ceil(keys, 2), keys), .keys = keys, .tight = true};
    }
    default: {
      const u64 changes = between(size, 8, 64);
      return {.changes = changes, .keys = 3 * changes, .tight = false};
    }
  }
}

class CacheMapComponent final : public Component {
 public:
  explicit CacheMapComponent(Referee& referee)
      : referee_(&referee),
        beats_(referee.options().format.beats),
        draw_("cache_map", stream_seed(referee.seed(), "cache_map")),
        budget_(draw_budget(draw_.at(1))) {
    const RunOptions& options = referee.options();
    const u64 slots = round_down_16(options.runtime.cache_blocks % 1024);
    const bool cached = !chance(draw_.at(0), {.numerator = 1, .denominator = budget_.tight ? 2U : 5U});
    map_options_ = {.cache_slots = cached ? slots : 0,
                    .hash_bits = options.runtime.cache_hash_bits,
                    .young_max = beats_ * budget_.keys,
                    .scope_changes_max = budget_.changes};
    universe_ = std::max<u64>(8, std::min<u64>(options.key_universe, 4 * slots));
    if (budget_.tight) universe_ = std::max(universe_, 2 * map_options_.young_max);
    Arena measure;
    Map::measure(measure, map_options_);
    std::vector<std::byte>& memory = referee.memory();
    const u64 size = measure.used();
    if (memory.size() < size + Arena::align_max) memory.resize(size + Arena::align_max);
    const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
    const u64 skip = (Arena::align_max - address % Arena::align_max) % Arena::align_max;
    Arena arena{std::span<std::byte>(memory).subspan(skip, size)};
    map_.emplace(arena, map_options_);
  }

  void play(const Operation& line) override {
    const std::string_view verb = line.verb->name;
    key_ = line.arguments[0] * universe_ / (key_whole + 1);
    if (verb == "prefetch") {
      run(line.arguments[1], &CacheMapComponent::prefetch);
    } else if (verb == "insert") {
      run(line.arguments[1], &CacheMapComponent::insert);
    } else if (verb == "update") {
      run(line.arguments[1], &CacheMapComponent::update);
    } else if (verb == "remove") {
      run(line.arguments[1], &CacheMapComponent::remove);
    } else if (verb == "get") {
      get(key_);
    } else if (verb == "commit") {
      commit();
    } else if (verb == "scope") {
      scope();
    } else if (verb == "end") {
      end(line.arguments[0] != 0);
    } else {
      ASSERT(verb == "walk");
      walk();
    }
    compare_counts();
  }

  void finish() override {
    if (saved_) end(false);
    walk();
    do commit();
    while (ops_ % beats_ != 0);
    check(*referee_, map_->young_count() == 0, "something is young after a bar",
          [&] { return fmt::format("{} keys are young after a compact", map_->young_count()); });
    walk();
  }

 private:
  struct Saved {
    std::map<u64, u64> truth;
    std::set<u64> young;
    u64 changes;
  };

  static u64 round_down_16(u64 n) { return std::max<u64>(16, n / 16 * 16); }

  // As a groove does before it changes anything: what is there becomes young. False: over the budget,
  // or in a scope, where nothing may be brought in.
  bool bring() {
    if (young_.contains(key_)) return true;
    const auto found = truth_.find(key_);
    if (found == truth_.end()) {
      check(*referee_, !map_->protect(key_), "protect: a removed object is known",
            [&] { return fmt::format("key {} is known, and there is no such object", key_); });
      return true;
    }
    if (keys_ == budget_.keys || saved_) return false;
    ++keys_;
    if (!map_->protect(key_)) map_->upsert(object(key_, found->second));
    young_.insert(key_);
    return true;
  }

  // The line is skipped where it first does not apply.
  void run(u64 count, bool (CacheMapComponent::*step)()) {
    count *= std::max<u64>(1, budget_.changes / changes_of_runs);
    for (u64 i = 0; i <= count; ++i, key_ = (key_ + 1) % universe_) {
      if (!(this->*step)()) return i == 0 ? referee_->skip() : void();
    }
  }

  bool prefetch() {
    if (!bring()) return false;
    get(key_);
    return true;
  }

  // The key of the line, or the next one that has an object, or has none.
  bool may_change(bool present) {
    for (u64 i = 0; i < universe_ && truth_.contains(key_) != present; ++i) key_ = (key_ + 1) % universe_;
    if (changes_ == budget_.changes || truth_.contains(key_) != present) return false;
    return (present || young_.contains(key_) || keys_ < budget_.keys) && bring();
  }

  bool insert() { return may_change(false) && change(); }
  bool update() { return may_change(true) && change(); }

  bool change() {
    ++changes_;
    truth_[key_] = ++versions_;
    keys_ += young_.insert(key_).second ? 1 : 0;
    map_->upsert(object(key_, versions_));
    get(key_);
    return true;
  }

  bool remove() {
    if (!may_change(true)) return false;
    ++changes_;
    truth_.erase(key_);
    map_->remove(key_);
    get(key_);
    return true;
  }

  void commit() {
    if (saved_) end(false);
    changes_ = keys_ = 0;
    if (++ops_ % beats_ != 0) return;
    map_->compact();
    young_.clear();
  }

  void scope() {
    if (saved_) return referee_->skip();
    saved_ = Saved{.truth = truth_, .young = young_, .changes = changes_};
    map_->scope_open();
  }

  void end(bool persist) {
    if (!saved_) return referee_->skip();
    map_->scope_close(persist ? ScopeClose::persist : ScopeClose::discard);
    if (!persist) {
      truth_ = saved_->truth;
      young_ = saved_->young;
      changes_ = saved_->changes;
    }
    saved_.reset();
    walk();
  }

  void get(u64 key) {
    const Map::View view = map_->get(key);
    const auto found = truth_.find(key);
    const bool present = found != truth_.end();
    const bool young = young_.contains(key);
    referee_->answer(key, young ? static_cast<u64>(view.found()) : 9);
    switch (view.found()) {
      case Map::Found::absent:
        return check(*referee_, !young, "a young key is forgotten",
                     [&] { return fmt::format("key {} is unknown, and it was touched in this bar", key); });
      case Map::Found::tombstone:
        return check(*referee_, !present && young, "a tombstone too many", [&] {
          return fmt::format("key {} has a tombstone; there is {} object, {}", key, present ? "an" : "no",
                             young ? "young" : "not young");
        });
      case Map::Found::present: break;
    }
    const Object expected = object(key, present ? found->second : 0);
    const Object& actual = view.value();
    const bool same = present && actual.key == key && actual.version == expected.version &&
                      actual.filler[0] == expected.filler[0] && actual.filler[1] == expected.filler[1];
    check(*referee_, same, present ? "another object" : "an object that was removed", [&] {
      return fmt::format("key {} has version {}, expected {}", key, actual.version,
                         present ? std::to_string(expected.version) : "none");
    });
  }

  void walk() {
    map_->assert_valid();
    for (u64 key = 0; key < universe_; ++key) get(key);
  }

  void compare_counts() {
    check(*referee_, map_->young_count() == young_.size(), "another number of young keys",
          [&] { return fmt::format("{} keys are young, expected {}", map_->young_count(), young_.size()); });
    const bool all = map_options_.cache_slots == 0;
    const bool fits = all ? map_->stash_count() == young_.size() : map_->stash_count() <= young_.size();
    check(*referee_, fits, "the stash holds what is not young",
          [&] { return fmt::format("{} keys in the stash, {} young", map_->stash_count(), young_.size()); });
  }

  static Object object(u64 key, u64 version) {
    return {.key = key, .version = version, .filler = {key * 31 + version, ~version}};
  }

  Referee* referee_;
  u64 beats_;
  Stream draw_;
  Budget budget_;
  Map::Options map_options_{};
  u64 universe_ = 0;
  Tested<Map> map_;

  std::map<u64, u64> truth_;  // Key to version.
  std::set<u64> young_;
  std::optional<Saved> saved_;  // When the scope opened.
  u64 versions_ = 0;
  u64 ops_ = 0;
  u64 changes_ = 0;  // Of the op.
  u64 keys_ = 0;     // Made young in the op; a discarded scope does not give them back.
  u64 key_ = 0;      // Of the line.
};

}  // namespace

std::unique_ptr<Component> make_cache_map(Referee& referee) {
  return std::make_unique<CacheMapComponent>(referee);
}

}  // namespace tonearm::sim
