#include "sim/workload/swarm.h"

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "sim/scenario/setting_relations.h"
#include "sim/scenario/settings.h"
#include "sim/workload/geometry.h"
#include "sim/workload/workload.h"

namespace tonearm::sim {

namespace {

constexpr u64 seeds = 2000;

bool same(const RunOptions& a, const RunOptions& b) {
  return std::all_of(settings().begin(), settings().end(),
                     [&](const Setting& setting) { return setting.get(a) == setting.get(b); });
}

}  // namespace

TEST_CASE("every drawn option is valid", "[swarm]") {
  std::map<std::string, u64> using_last;
  for (u64 seed = 0; seed < seeds; ++seed) {
    for (const Workload& workload : workloads()) {
      RunOptions o;
      workload.draw(seed, &o);
      CAPTURE(seed, workload.name);
      const OptionsError error = validate(o.format, o.runtime);
      CAPTURE(error.field == nullptr ? "" : error.field);
      REQUIRE_FALSE(error);
      const std::string complaint = validate_options(o);
      CAPTURE(complaint);
      REQUIRE(complaint.empty());
      REQUIRE(index_fits(o.format, world_of(workload.name, o.groove)));
      // Of a tree, whose last level must be able to hold the keys, or is to be used or filled.
      const bool tree = find_alphabet(workload.name) == nullptr;
      if (tree && o.key_universe > universe_max(o.format, world_of(workload.name, o.groove))) {
        REQUIRE(o.format.levels <= 6);
        ++using_last[workload.name];
      }
      REQUIRE(o.key_universe >= (tree ? 32 : 4));
      REQUIRE(o.disk.sector_size == o.format.sector_size);
      REQUIRE(o.disk.block_size == o.format.block_size);
      REQUIRE(o.disk.blocks_count == o.runtime.blocks_count);
      REQUIRE(o.disk.tear_unit <= o.disk.sector_size);
      REQUIRE(o.durability_delay_ops_max < o.format.checkpoint_interval);
      for (const Setting& setting : settings()) {
        if (setting.type != SettingType::number) continue;
        if (setting.get(o) < setting.min || setting.get(o) > setting.max) FAIL(setting.name);
      }
      RunOptions again;
      workload.draw(seed, &again);
      REQUIRE(same(o, again));
    }
  }
  REQUIRE(using_last.size() == 5);
  for (const auto& [name, count] : using_last) {
    INFO(name);
    CHECK(count >= seeds * 12 / 100);
    CHECK(count <= seeds * 45 / 100);
  }
}

TEST_CASE("every kind of fault is drawn, for each zone", "[swarm]") {
  for (const char* name : {"tree", "groove", "forest", "scan_tree", "scan"}) {
    std::array<std::array<u64, fault_zone_count>, fault_kind_count> drawn{};
    u64 full = 0, mirrored = 0, healing = 0;
    for (u64 seed = 0; seed < seeds; ++seed) {
      RunOptions o;
      find_workload(name)->draw(seed, &o);
      for (u32 kind = 0; kind < fault_kind_count; ++kind) {
        const FaultOptions::Kind& chances = o.disk.faults.kinds[kind];
        if (chances.ratio.numerator > 0) ++drawn[kind][static_cast<u32>(chances.zone)];
      }
      full += o.full_blocks > 0 ? 1 : 0;
      mirrored += o.disk.mirror ? 1 : 0;
      healing += o.heal_lines > 0 ? 1 : 0;
    }
    for (u32 i = 0; i < fault_kind_count; ++i) {
      const FaultKind kind = static_cast<FaultKind>(i);
      CAPTURE(name, fault_kind_name(kind));
      if (decided_by_crash(kind)) continue;
      CHECK(drawn[i][static_cast<u32>(FaultZone::both)] > 20);
      if (strikes_syncs(kind)) continue;  // Their zone is the whole disk.
      CHECK(drawn[i][static_cast<u32>(FaultZone::grid)] > 20);
      CHECK(drawn[i][static_cast<u32>(FaultZone::superblock)] > 20);
      CHECK(drawn[i][static_cast<u32>(FaultZone::manifest)] > 10);
      CHECK(drawn[i][static_cast<u32>(FaultZone::trailer)] > 10);
    }
    CAPTURE(name);
    CHECK(drawn[static_cast<u32>(FaultKind::write_error)][static_cast<u32>(FaultZone::repairs)] > 10);
    CHECK(full > 20);
    CHECK(mirrored > 20);
    CHECK(healing > 20);
  }
}

TEST_CASE("the swarm is as various as it should be", "[swarm]") {
  u64 tiny = 0, healing = 0, crashing = 0, cached = 0, failing = 0, immediate = 0, delayed = 0, one_set = 0;
  std::vector<u64> lines;
  std::vector<u64> policies(6);
  std::vector<u64> tiny_levels(11);
  u64 blocks_max = 0;
  for (u64 seed = 0; seed < seeds; ++seed) {
    RunOptions o;
    draw_tree(seed, &o);
    lines.push_back(o.ops);
    ++policies[static_cast<u32>(o.disk.policy)];
    if (o.format.batch_values_max <= 8) {
      ++tiny;
      ++tiny_levels[o.format.levels];
      if (o.runtime.cache_blocks == 16) ++one_set;
    }
    if (o.weight_crash > 0) ++crashing;
    if (o.weight_heal > 0) ++healing;
    if (o.weight_crash > 0 && o.disk.profile == DurabilityProfile::cached) ++cached;
    if (o.disk.faults[FaultKind::failed_sync].ratio.numerator > 0) ++failing;
    if (o.disk.write.latency_ticks_mean == 0 && o.disk.sync.latency_ticks_mean == 0) ++immediate;
    if (o.durability_delay_ops_max > 0) ++delayed;
    blocks_max = std::max(blocks_max, o.runtime.blocks_count * o.format.block_size);
  }
  std::sort(lines.begin(), lines.end());
  INFO("lines: min " << lines.front() << ", median " << lines[seeds / 2] << ", max " << lines.back());
  INFO("levels of tiny: 3: " << tiny_levels[3] << ", 4: " << tiny_levels[4] << ", 5: " << tiny_levels[5]
                             << ", 6: " << tiny_levels[6] << ", 7: " << tiny_levels[7]);
  const auto share = [](u64 count, u64 of) { return 100 * count / of; };
  CHECK(lines[seeds / 2] >= 2000);
  CHECK(lines.back() <= 30'000);
  CHECK(share(tiny, seeds) >= 45);
  CHECK(share(tiny, seeds) <= 55);
  CHECK(share(one_set, tiny) >= 40);
  for (u32 levels = 2; levels <= 10; ++levels) CHECK(tiny_levels[levels] > 0);
  CHECK(tiny_levels[10] >= seeds / 100);  // The vast ones.
  CHECK(tiny_levels[10] <= seeds * 4 / 100);
  CHECK(share(crashing, seeds) >= 40);
  CHECK(share(healing, seeds) >= 5);  // Of those with faults a half.
  CHECK(share(healing, seeds) <= 25);
  CHECK(share(cached, crashing) >= 40);
  CHECK(share(cached, crashing) <= 70);
  CHECK(share(failing, crashing) >= 8);
  CHECK(share(immediate, seeds) >= 9);
  CHECK(share(delayed, seeds) >= 40);
  for (const u64 count : policies) CHECK(count > seeds / 20);
  CHECK(blocks_max <= disk_bytes_max);  // Of addresses; only what is written takes memory.
}

TEST_CASE("the canary is short, tiny and fails for one seed in four", "[swarm]") {
  u64 failing = 0;
  for (u64 seed = 0; seed < seeds; ++seed) {
    RunOptions o;
    draw_canary(seed, &o);
    REQUIRE(o.ops == 200);
    REQUIRE(o.format.batch_values_max <= 8);
    REQUIRE(o.weight_crash == 0);
    if (canary_fails(seed)) ++failing;
  }
  CHECK(failing > seeds / 4 - seeds / 20);
  CHECK(failing < seeds / 4 + seeds / 20);
  CHECK(find_workload("canary") != nullptr);
  CHECK(find_workload("nothing") == nullptr);
}

}  // namespace tonearm::sim
