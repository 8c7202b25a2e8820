#include <algorithm>
#include <bit>
#include <catch2/catch.hpp>
#include <set>
#include <string>

#include "sim/scenario/settings.h"
#include "sim/workload/swarm_parts.h"
#include "sim/workload/workload.h"

namespace tonearm::sim {

namespace {

constexpr u64 draws = 6000;

struct Ends {
  const char* name;
  u64 min;
  u64 max;
  u64 max_large;  // With blocks of 16 KiB.
  u64 multiple = 1;
};
// What the engine takes, but for memory and time without end: 6 MiB, at most, of each kind of buffer.
constexpr Ends all_ends[] = {
    {"manifest_extra_blocks", 1, 64, 64},
    {"cache_blocks", 16, 1536, 384, 16},
    {"read_iops", 1, 1024, 384},
    {"write_iops", 1, 1024, 1024},
    {"compaction_blocks", 6, 1024, 384},
    {"read_attempts_max", 1, 64, 64},
    {"scans_max", 1, 64, 24},
    {"object_cache_slots", 16, 16'384, 16'384, 16},
    {"prefetch_workers", 1, 1024, 1024},
    {"scan_sort_timestamps", 1, 8192, 8192},
    {"lookup_workers", 1, 16, 16},
    {"scrub", 1, 64, 64},
};

const Setting& setting_of(const Ends& ends) { return settings()[*find_setting(ends.name)]; }
const Ends* ends_of(const Setting& setting) {
  const auto named = [&](const Ends& ends) { return setting.name == std::string_view(ends.name); };
  const auto found = std::find_if(std::begin(all_ends), std::end(all_ends), named);
  return found == std::end(all_ends) ? nullptr : found;
}

// Of a groove. Each option that may be drawn has a value that is seldom drawn.
RunOptions options_before(u32 block_size) {
  RunOptions o;
  o.format.block_size = block_size;
  for (const Ends& ends : all_ends) setting_of(ends).set(o, ends.min + ends.multiple);
  finish_options(&o);
  return o;
}

RunOptions drawn(u64 seed, const World& world, const RunOptions& before) {
  RunOptions o = before;
  draw_legal_options(Draw(seed), world, &o);
  return o;
}

std::set<std::string> changed(const RunOptions& before, const RunOptions& after) {
  std::set<std::string> names;
  for (const Setting& setting : settings()) {
    if (setting.get(before) != setting.get(after)) names.insert(setting.name);
  }
  return names;
}

}  // namespace

TEST_CASE("options are drawn from all that is legal, both limits included", "[legal]") {
  for (const u32 block_size : {4096U, 16'384U}) {
    const RunOptions before = options_before(block_size);
    for (const Ends& ends : all_ends) {
      INFO(ends.name << " block_size " << block_size);
      const Setting& setting = setting_of(ends);
      const u64 max = block_size == 4096 ? ends.max : ends.max_large;
      u64 count = 0, least = 0, most = 0;
      std::set<u64> magnitudes;
      for (u64 seed = 0; seed < draws; ++seed) {
        const u64 value = setting.get(drawn(seed, world_things, before));
        if (value == setting.get(before)) continue;
        ++count;
        if (value < ends.min || value > max || value % ends.multiple != 0) FAIL(value);
        least += value == ends.min ? 1 : 0;
        most += value == max ? 1 : 0;
        if (value != ends.min && value != max) magnitudes.insert(std::bit_width(value));
      }
      CHECK(count > draws * 6 / 100);
      CHECK(count < draws * 12 / 100);
      // Each limit in a quarter of the draws.
      CHECK(least > count * 15 / 100);
      CHECK(most > count * 15 / 100);
      // Between them every magnitude; that of the value before may be missing.
      for (u64 bits = std::bit_width(setting.get(before)) + 1; bits <= std::bit_width(max - 1); ++bits) {
        INFO("magnitude " << bits);
        CHECK(magnitudes.contains(bits));
      }
    }
  }
}

TEST_CASE("what is drawn is valid, and nothing else changes", "[legal]") {
  u64 alone = 0, several = 0;
  for (const u32 block_size : {512U, 4096U, 65'536U}) {
    RunOptions before = options_before(block_size);
    before.format.sector_size = 512;
    finish_options(&before);
    before.disk.tear_unit = 512;
    REQUIRE(validate_options(before) == "");
    for (u64 seed = 0; seed < draws; ++seed) {
      const RunOptions after = drawn(seed, world_things, before);
      CAPTURE(block_size, seed);
      REQUIRE(validate_options(after) == "");
      const std::set<std::string> names = changed(before, after);
      for (const std::string& name : names) {
        if (ends_of(settings()[*find_setting(name)]) == nullptr) FAIL(name);
      }
      alone += names.size() == 1 ? 1 : 0;
      several += names.size() > 1 ? 1 : 0;
    }
  }
  CHECK(alone > 3 * draws / 4);
  CHECK(several > 3 * draws / 8);
}

TEST_CASE("options that mean nothing to a run are not drawn", "[legal]") {
  RunOptions before = options_before(4096);
  std::set<std::string> of_trees, of_open_scans;
  for (u64 seed = 0; seed < draws; ++seed) {
    before.weight_scan_open = 0;
    of_trees.merge(changed(before, drawn(seed, world_tree, before)));
    before.weight_scan_open = 1;
    of_open_scans.merge(changed(before, drawn(seed, world_tree, before)));
  }
  for (const Ends& ends : all_ends) {
    INFO(ends.name);
    const bool scans = ends.name == std::string("scans_max");
    CHECK(of_trees.contains(ends.name) == (!setting_of(ends).of_grooves && !scans));
    CHECK(of_open_scans.contains(ends.name) == !setting_of(ends).of_grooves);
  }
}

// Keyed by their names, they are the same when they are drawn again.
TEST_CASE("of a whole run nothing is drawn over them", "[legal]") {
  for (const char* name : {"tree", "scan_tree", "groove", "forest", "scan"}) {
    for (u64 seed = 0; seed < draws / 10; ++seed) {
      RunOptions o;
      find_workload(name)->draw(seed, &o);
      CAPTURE(name, seed);
      CHECK(changed(o, drawn(seed, world_of(name, o.groove), o)).empty());
    }
  }
}

TEST_CASE("any number of beats that is legal, up to a bound", "[legal]") {
  std::set<u32> beats;
  u64 unusual = 0;
  for (u64 seed = 0; seed < draws; ++seed) {
    const u32 any = draw_legal_beats(Draw(seed), 2, 64);
    const u32 bounded = draw_legal_beats(Draw(seed), 2, 24);
    beats.insert(any);
    REQUIRE(bounded == std::min<u32>(any, 24));
    unusual += any == 2 ? 0 : 1;
  }
  CHECK(beats == std::set<u32>{2, 6, 10, 12, 14, 24, 48, 64});
  CHECK(unusual > draws * 9 / 100);
  CHECK(unusual < draws * 13 / 100);
}

TEST_CASE("any sector that is legal, up to a block", "[legal]") {
  for (const u32 block_size : {512U, 1024U, 4096U, 65'536U}) {
    std::set<u32> sectors;
    u64 unusual = 0;
    for (u64 seed = 0; seed < draws; ++seed) {
      const u32 sector = draw_legal_sector(Draw(seed), 0, block_size);
      sectors.insert(sector);
      unusual += sector == 0 ? 0 : 1;
    }
    std::set<u32> expected = {0};
    for (u32 sector = 512; sector <= std::min(block_size, 4096U); sector *= 2) expected.insert(sector);
    INFO("block_size " << block_size);
    CHECK(sectors == expected);
    CHECK(unusual > draws * 8 / 100);
    CHECK(unusual < draws * 12 / 100);
  }
}

}  // namespace tonearm::sim
