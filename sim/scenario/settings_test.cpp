#include "sim/scenario/settings.h"

#include <catch2/catch.hpp>
#include <set>

using namespace tonearm;
using namespace tonearm::sim;

namespace {

const Setting& named(std::string_view name) {
  const std::optional<u16> index = find_setting(name);
  REQUIRE(index.has_value());
  return settings()[*index];
}

RunOptions with(std::string_view name, u64 value) {
  RunOptions options;
  named(name).set(options, value);
  return options;
}

}  // namespace

TEST_CASE("settings: names are unique and found, defaults are valid") {
  std::set<std::string> names;
  for (const Setting& setting : settings()) {
    INFO(setting.name);
    REQUIRE(names.insert(setting.name).second);
    REQUIRE(find_setting(setting.name) == static_cast<u16>(&setting - settings().data()));
    REQUIRE(std::string(setting.help).size() > 5);
    REQUIRE_FALSE((setting.format && setting.reopenable));
    const u64 value = setting.get(RunOptions{});
    const SettingValue parsed = parse_setting(setting, print_setting(setting, value));
    REQUIRE(parsed.error.empty());
    REQUIRE(parsed.value == value);
  }
  REQUIRE(names.size() >= 60);
  REQUIRE_FALSE(find_setting("").has_value());
  REQUIRE_FALSE(find_setting("block_siz").has_value());
  REQUIRE(validate_options(RunOptions{}).empty());
}

TEST_CASE("settings: setting one changes that one and no other") {
  for (const Setting& setting : settings()) {
    INFO(setting.name);
    const u64 before = setting.get(RunOptions{});
    u64 value = before == setting.max ? setting.min : setting.max;
    if (setting.type == SettingType::ratio) value = u64{3} << 32 | 7;
    RunOptions options;
    setting.set(options, value);
    REQUIRE(setting.get(options) == value);
    for (const Setting& other : settings()) {
      if (&other != &setting) REQUIRE(other.get(options) == other.get(RunOptions{}));
    }
  }
}

TEST_CASE("settings: every io purpose can be starved, by its name") {
  const Setting& starved = named("starved");
  for (u32 i = 0; i < io_purpose_count; ++i) {
    const SettingValue value = parse_setting(starved, io_purpose_name(static_cast<IoPurpose>(i)));
    REQUIRE(value.error.empty());
    REQUIRE(value.value == i);
  }
  const Setting& completion = named("completion");
  for (u64 i = 0; i <= completion.max; ++i) {
    REQUIRE(std::string(completion.names[i]) == completion_policy_name(static_cast<CompletionPolicy>(i)));
  }
}

TEST_CASE("settings: geometry reaches the disk") {
  RunOptions options;
  named("sector_size").set(options, 512);
  named("block_size").set(options, 1024);
  named("blocks_count").set(options, 640);
  REQUIRE(options.disk.sector_size == 512);
  REQUIRE(options.disk.block_size == 1024);
  REQUIRE(options.disk.blocks_count == 640);
  REQUIRE(validate_options(options).empty());
  options.format.block_size = 2048;
  REQUIRE(validate_options(options) ==
          "block_size: 2048, expected the same geometry for the engine and its disk");
  finish_options(&options);
  REQUIRE(validate_options(options).empty());
}

TEST_CASE("settings: values are parsed strictly") {
  struct Row {
    const char* name;
    const char* text;
    u64 value;
    const char* error;
  };
  const Row rows[] = {
      {"block_size", "512", 512, ""},
      {"block_size", "0x1000", 4096, ""},
      {"block_size", "511", 0, "a number from 512 to 1048576"},
      {"block_size", "1048577", 0, "a number from 512 to 1048576"},
      {"block_size", "", 0, "a number from 512 to 1048576"},
      {"block_size", "+512", 0, "a number from 512 to 1048576"},
      {"block_size", "-512", 0, "a number from 512 to 1048576"},
      {"block_size", " 512", 0, "a number from 512 to 1048576"},
      {"block_size", "512k", 0, "a number from 512 to 1048576"},
      {"block_size", "01000", 0, "a number without leading zeros (there is no octal)"},
      {"block_size", "18446744073709552128", 0, "a number from 512 to 1048576"},
      {"fault.failed_sync", "1/50", u64{1} << 32 | 50, ""},
      {"fault.failed_sync", "0", 1, ""},
      {"fault.failed_sync", "50/50", u64{50} << 32 | 50, ""},
      {"fault.failed_sync", "51/50", 0, "a ratio, for instance 1/50, at most one"},
      {"fault.failed_sync", "0/0", 0, "a ratio, for instance 1/50, at most one"},
      {"fault.failed_sync", "1", 0, "a ratio, for instance 1/50, at most one"},
      {"fault.failed_sync", "1/4294967296", 0, "a ratio, for instance 1/50, at most one"},
      {"completion", "lifo", 2, ""},
      {"completion", "", 0, "latency, fifo, lifo, uniform, starve or priority"},
      {"durability", "Cached", 0, "durable or cached"},
      {"seed.latency", "18446744073709551615", u64_max, ""},
  };
  for (const Row& row : rows) {
    INFO(row.name << "=" << row.text);
    const SettingValue parsed = parse_setting(named(row.name), row.text);
    REQUIRE(parsed.error == row.error);
    REQUIRE(parsed.value == row.value);
  }
}

TEST_CASE("settings: impossible geometry is refused in one line") {
  REQUIRE(validate_options(with("block_size", 513)) ==
          "block_size: 513, expected a power of two from the sector size to 1048576");
  REQUIRE(validate_options(with("block_size", 512)) ==
          "block_size: 512, expected a power of two from the sector size to 1048576");
  REQUIRE(validate_options(with("checkpoint_interval", 22)) ==
          "checkpoint_interval: 22, expected a multiple of beats, from 2 bars to 65536");
  REQUIRE(validate_options(with("blocks_count", u64{1} << 23)) ==
          "blocks_count: 8388608, expected a number from 64 to 4194304");
  REQUIRE(validate_options(with("tear_unit", 1024)) == "tear_unit: 1024, expected 512 or 4096");
  RunOptions torn = with("sector_size", 512);
  torn.disk.tear_unit = 4096;
  REQUIRE(validate_options(torn) == "tear_unit: 4096, expected at most the sector size 512");
  REQUIRE(validate_options(with("cache_blocks", 1U << 24)) ==
          "cache_blocks: 16777216, expected at most 262144 for this block_size");
  REQUIRE(validate_options(with("blocks_count", 1U << 20)) ==
          "blocks_count: 1048576, expected at most 262144 for this block_size");
  REQUIRE(validate_options(with("bias.recent", 90)) ==
          "bias.recent: 90, expected recent, removed, neighbour and limit to be at most 100 together");
  RunOptions idle;
  idle.weight_kv = idle.weight_index = idle.weight_id = 0;
  REQUIRE(validate_options(idle) == "weight.kv: 0, expected some tree to have a weight");
  RunOptions ratio;
  ratio.disk.faults[FaultKind::failed_sync].ratio = {.numerator = 3, .denominator = 2};
  REQUIRE(validate_options(ratio) ==
          "fault.failed_sync: 3/2, expected a ratio, for instance 1/50, at most one");
}

TEST_CASE("settings: the engine's own rules come last") {
  set_engine_check([](const RunOptions& options) -> std::string {
    return options.format.levels == 3 ? "levels: 3, expected luck" : "";
  });
  CHECK(validate_options(with("levels", 3)) == "levels: 3, expected luck");
  CHECK(validate_options(with("levels", 1)) == "levels: 1, expected 2 to 10");
  CHECK(validate_options(with("levels", 4)).empty());
  set_engine_check(nullptr);
  CHECK(validate_options(with("levels", 3)).empty());
}

TEST_CASE("settings: an unknown name is told the nearest ones") {
  REQUIRE(nearest_settings("cach_blocks", 1) == std::vector<std::string>{"cache_blocks"});
  REQUIRE(nearest_settings("latency.raed.min", 1) == std::vector<std::string>{"latency.read.min"});
  REQUIRE(nearest_settings("", 3).size() == 3);
  REQUIRE(nearest_settings("x", 1000).size() == settings().size());
  REQUIRE(nearest_settings(std::string(10'000'000, 'x'), 2).size() == 2);
}
