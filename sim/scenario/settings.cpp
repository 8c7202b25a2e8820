#include "sim/scenario/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <type_traits>

#include "base/assert.h"
#include "sim/scenario/number.h"
#include "sim/scenario/query.h"
#include "sim/scenario/setting_relations.h"

namespace tonearm::sim {

namespace {

// --- a setting's place in RunOptions: a path of member pointers, with one conversion per type

u64 to_value(Ratio ratio) { return u64{ratio.numerator} << 32 | ratio.denominator; }
template <class T>
u64 to_value(T value) {
  return static_cast<u64>(value);
}

template <class T>
T from_value(u64 value) {
  if constexpr (std::is_same_v<T, Ratio>) {
    return {.numerator = static_cast<u32>(value >> 32), .denominator = static_cast<u32>(value)};
  } else {
    return static_cast<T>(value);
  }
}

struct Access {
  u64 (*get)(const RunOptions&);
  void (*set)(RunOptions&, u64);
};

template <auto... path>
constexpr Access field = {
    .get = [](const RunOptions& options) -> u64 { return to_value((options.*....*path)); },
    .set =
        [](RunOptions& options, u64 value) {
          auto& target = (options.*....*path);
          target = from_value<std::remove_reference_t<decltype(target)>>(value);
          finish_options(&options);
        },
};

template <Variation site>
constexpr Access vary_field = {
    .get = [](const RunOptions& options) { return to_value(options.vary[static_cast<u32>(site)]); },
    .set = [](RunOptions& options,
              u64 value) { options.vary[static_cast<u32>(site)] = from_value<Ratio>(value); },
};

template <FaultKind kind>
constexpr Access fault_field = {
    .get = [](const RunOptions& options) { return to_value(options.disk.faults[kind].ratio); },
    .set = [](RunOptions& options, u64 value) { options.disk.faults[kind].ratio = from_value<Ratio>(value); },
};

template <FaultKind kind>
constexpr Access fault_zone_field = {
    .get = [](const RunOptions& options) { return to_value(options.disk.faults[kind].zone); },
    .set = [](RunOptions& options,
              u64 value) { options.disk.faults[kind].zone = from_value<FaultZone>(value); },
};

template <auto member>
constexpr Access format_field = field<&RunOptions::format, member>;
template <auto member>
constexpr Access runtime_field = field<&RunOptions::runtime, member>;
template <auto... path>
constexpr Access disk_field = field<&RunOptions::disk, path...>;

// --- rows

constexpr Setting number(const char* name, u64 min, u64 max, Access access, const char* help) {
  return {.name = name,
          .type = SettingType::number,
          .min = min,
          .max = max,
          .format = false,
          .reopenable = false,
          .of_grooves = false,
          .help = help,
          .get = access.get,
          .set = access.set};
}

constexpr Setting format_number(const char* name, u64 min, u64 max, Access access, const char* help) {
  Setting setting = number(name, min, max, access, help);
  setting.format = true;
  return setting;
}

constexpr Setting runtime_number(const char* name, u64 min, u64 max, Access access, const char* help) {
  Setting setting = number(name, min, max, access, help);
  setting.reopenable = true;
  return setting;
}

constexpr Setting of_grooves(Setting setting) {
  setting.of_grooves = true;
  return setting;
}

constexpr Setting ratio(const char* name, Access access, const char* help) {
  Setting setting = number(name, 0, u64_max, access, help);
  setting.type = SettingType::ratio;
  return setting;
}

constexpr Setting name(const char* name, const char* const* names, u64 count, Access access,
                       const char* help) {
  Setting setting = number(name, 0, count - 1, access, help);
  setting.type = SettingType::name;
  setting.names = names;
  return setting;
}

constexpr u64 policy_count = 6;
constexpr const char* policy_names[policy_count + 1] = {"latency", "fifo",     "lifo", "uniform",
                                                        "starve",  "priority", nullptr};
static_assert(static_cast<u64>(CompletionPolicy::priority) == policy_count - 1);
constexpr const char* groove_names[groove_count + 1] = {"things", "notes", "events", "readings", nullptr};
constexpr u64 timestamps_count = 2;
constexpr const char* timestamps_names[timestamps_count + 1] = {"increasing", "any", nullptr};
static_assert(static_cast<u64>(Timestamps::any) == timestamps_count - 1);
constexpr u64 fault_profile_count = 3;
constexpr const char* fault_profile_names[fault_profile_count + 1] = {"drawn", "full", "none", nullptr};
static_assert(static_cast<u64>(FaultProfile::none) == fault_profile_count - 1);
constexpr const char* zone_names[fault_zone_count + 1] = {
    "grid", "superblock", "both", "first", "mirror", "manifest", "trailer", "repairs", nullptr};
static_assert(static_cast<u64>(FaultZone::repairs) == fault_zone_count - 1);
constexpr u64 mirror_count = 2;
constexpr const char* mirror_names[mirror_count + 1] = {"off", "on", nullptr};
constexpr u64 profile_count = 2;
constexpr const char* profile_names[profile_count + 1] = {"durable", "cached", nullptr};
static_assert(static_cast<u64>(DurabilityProfile::cached) == profile_count - 1);

const std::array<const char*, io_purpose_count + 1> purpose_names = [] {
  std::array<const char*, io_purpose_count + 1> names{};
  for (u32 i = 0; i < io_purpose_count; ++i) names[i] = io_purpose_name(static_cast<IoPurpose>(i));
  return names;
}();

// What a simulated run may ask for is less than what the engine allows: memory is taken for it.
constexpr u64 blocks_count_max = u64{1} << 22;
constexpr u64 ticks_max = 1'000'000'000;
constexpr u64 weight_max = 10'000;

using Format = FormatOptions;
using Runtime = RuntimeOptions;
using Disk = DiskOptions;
using Latency = LatencyProfile;
using Run = RunOptions;

const Setting table[] = {
    format_number("sector_size", 512, 4096, format_field<&Format::sector_size>,
                  "Bytes; a power of two. Unit of reads and writes."),
    format_number("block_size", 512, 1_MiB, format_field<&Format::block_size>,
                  "Bytes; a power of two, at least a sector."),
    format_number("levels", 2, levels_max, format_field<&Format::levels>, "Levels of each tree."),
    format_number("growth", 2, growth_max, format_field<&Format::growth>,
                  "Level l holds up to growth^(l+1) tables."),
    format_number("beats", 2, 64, format_field<&Format::beats>, "Ops per bar; even."),
    format_number("checkpoint_interval", 4, 65536, format_field<&Format::checkpoint_interval>,
                  "Ops from checkpoint to checkpoint; a multiple of beats, two bars or more."),
    format_number("batch_values_max", 1, 65536, format_field<&Format::batch_values_max>,
                  "Values one op may put into each tree."),
    format_number("coalescing_percent", 0, 100, format_field<&Format::coalescing_percent>,
                  "A merge that ends in a table less full than this takes neighbours along."),
    format_number("manifest_extra_blocks", 1, 64, format_field<&Format::manifest_extra_blocks>,
                  "Manifest blocks compacted per half-bar beyond what it appends."),
    format_number("values_per_block_max", 0, 65536, format_field<&Format::values_per_block_max>,
                  "Cap on the values of a block; 0: as many as fit."),
    format_number("value_blocks_max", 0, 65536, format_field<&Format::value_blocks_max>,
                  "Value blocks of a table; 0: as many as a full table needs."),

    runtime_number("blocks_count", 64, blocks_count_max, runtime_field<&Runtime::blocks_count>,
                   "Blocks of the grid; a multiple of 64. A reopen can only raise it."),
    runtime_number("cache_blocks", 16, 1U << 24, runtime_field<&Runtime::cache_blocks>,
                   "Blocks cached; a multiple of 16."),
    runtime_number("cache_hash_bits", 0, 64, runtime_field<&Runtime::cache_hash_bits>,
                   "Fewer make equal tags and crowded sets common."),
    runtime_number("read_iops", 1, 1024, runtime_field<&Runtime::read_iops>, "Grid reads in flight."),
    runtime_number("write_iops", 1, 1024, runtime_field<&Runtime::write_iops>, "Grid writes in flight."),
    runtime_number("compaction_blocks", compaction_blocks_min, 1024,
                   runtime_field<&Runtime::compaction_blocks>, "Block buffers of compaction."),
    runtime_number("read_attempts_max", 1, 64, runtime_field<&Runtime::read_attempts_max>,
                   "Tries to read a block before it counts as damaged."),
    runtime_number("manifest_node_size", manifest_node_size_min, manifest_node_size_max,
                   runtime_field<&Runtime::manifest_node_size>,
                   "Bytes of a node of the tables of a level; a multiple of 256."),
    runtime_number("scans_max", 1, scans_limit, runtime_field<&Runtime::scans_max>,
                   "Scans open at the same time."),

    of_grooves(runtime_number("object_cache_slots", 0, 1U << 20, field<&Run::object_cache_slots>,
                              "Objects that each groove caches; a multiple of 16, 0: none.")),
    of_grooves(runtime_number("object_hash_bits", 0, 64, field<&Run::object_hash_bits>,
                              "Fewer make equal tags and crowded sets in that cache common.")),
    of_grooves(runtime_number("prefetch_keys_max", 1, 1U << 16, field<&Run::prefetch_keys_max>,
                              "Keys an op may prefetch in each groove; after a reopen enough for the log.")),
    of_grooves(runtime_number("prefetch_workers", 1, 1024, field<&Run::prefetch_workers>,
                              "Prefetches of each groove in flight.")),
    of_grooves(runtime_number("scan_sort_timestamps", 1, 1U << 20, field<&Run::scan_sort_timestamps>,
                              "Timestamps that one pass over a range of values brings into order.")),
    of_grooves(runtime_number("lookup_workers", 1, 16, field<&Run::lookup_workers>,
                              "Objects of a scan read at the same time.")),

    number("latency.read.min", 0, ticks_max, disk_field<&Disk::read, &Latency::latency_ticks_min>,
           "Ticks every read takes."),
    number("latency.read.mean", 0, ticks_max, disk_field<&Disk::read, &Latency::latency_ticks_mean>,
           "Mean of the exponential part; 0: none."),
    ratio("latency.read.stall", disk_field<&Disk::read, &Latency::stall>,
          "Chance of taking 100 times as long."),
    number("latency.write.min", 0, ticks_max, disk_field<&Disk::write, &Latency::latency_ticks_min>,
           "Ticks every write takes."),
    number("latency.write.mean", 0, ticks_max, disk_field<&Disk::write, &Latency::latency_ticks_mean>,
           "Mean of the exponential part; 0: none."),
    ratio("latency.write.stall", disk_field<&Disk::write, &Latency::stall>,
          "Chance of taking 100 times as long."),
    number("latency.sync.min", 0, ticks_max, disk_field<&Disk::sync, &Latency::latency_ticks_min>,
           "Ticks every sync takes."),
    number("latency.sync.mean", 0, ticks_max, disk_field<&Disk::sync, &Latency::latency_ticks_mean>,
           "Mean of the exponential part; 0: none."),
    ratio("latency.sync.stall", disk_field<&Disk::sync, &Latency::stall>,
          "Chance of taking 100 times as long."),
    number("latency.superblock.min", 0, ticks_max, disk_field<&Disk::superblock, &Latency::latency_ticks_min>,
           "Ticks every read and write of the superblock zone takes."),
    number("latency.superblock.mean", 0, ticks_max,
           disk_field<&Disk::superblock, &Latency::latency_ticks_mean>,
           "Mean of the exponential part; 0: none."),
    ratio("latency.superblock.stall", disk_field<&Disk::superblock, &Latency::stall>,
          "Chance of taking 100 times as long."),
    ratio("latency.slow", disk_field<&Disk::slow>,
          "Chance that reads, writes or both are 2 to 128 times slower for 8 operations."),

    name("completion", policy_names, policy_count, disk_field<&Disk::policy>,
         "Which pending request completes next."),
    name("starved", purpose_names.data(), io_purpose_count, disk_field<&Disk::starved>,
         "What completion=starve lets wait until nothing else runs."),
    number("queue_depth", 1, 1024, disk_field<&Disk::queue_depth>, "Requests the device works on."),
    name("durability", profile_names, profile_count, disk_field<&Disk::profile>,
         "cached: a volatile write cache, emptied by sync."),
    name("mirror", mirror_names, mirror_count, disk_field<&Disk::mirror>,
         "on: a second side of the grid, from which damage is repaired."),
    number("tear_unit", 512, 4096, disk_field<&Disk::tear_unit>,
           "Bytes that a crash writes wholly or not; 512 or 4096, at most a sector."),

    ratio("fault.failed_sync", fault_field<FaultKind::failed_sync>, "Chance that a sync fails."),
    ratio("fault.lying_sync", fault_field<FaultKind::lying_sync>,
          "Chance that a sync succeeds and makes nothing durable."),
// clang-format off
// clang-format off
#define X(kind, text)                                                                                        \
  ratio("fault." #kind, fault_field<FaultKind::kind>, "Chance that " text),                                  \
  name("fault." #kind ".zone", zone_names, fault_zone_count, fault_zone_field<FaultKind::kind>, "Where.")
    X(read_error, "a read fails, and the next ones of that place."),
    X(write_error, "a write fails, and the next ones of that place; what is there is old, new or mixed."),
    X(corrupt_transfer, "a read brings damaged bytes, although the medium is fine."),
    X(unreadable, "sectors that are read or written cannot be read from then on, until they are written."),
    X(rot, "bytes that are read or were written are others from then on."),
    X(lost_write, "a write succeeds and is not on the medium."),
    X(misdirected_write, "a write succeeds and is in another place."),
    X(misdirected_read, "a read brings the bytes of another place."),
    X(stale_read, "a read brings what was there before the last write."),
#undef X
    // clang-format on
    number("fault.sectors_max", 1, fault_sectors_max, disk_field<&Disk::faults, &FaultOptions::sectors_max>,
           "Adjacent sectors that one rot or unreadable fault takes, at most."),
    number("fault.heal_lines", 0, 100'000, field<&Run::heal_lines>,
           "Lines after an error that ends the engine, until the disk is healed and it is opened again; more "
           "each "
           "64 times."),

    number("fault.full_blocks", 0, u64{1} << 32, field<&Run::full_blocks>,
           "Blocks that the engine is given, and an eighth more each time that the disk is full; 0: all."),

    number("seed.latency", 0, u64_max, disk_field<&Disk::seed_latency>, "0: derived from the run's seed."),
    number("seed.poison", 0, u64_max, disk_field<&Disk::seed_poison>,
           "Of what unwritten sectors hold. 0: derived from the run's seed."),

    number("durability_delay_ops_max", 0, 65536, field<&Run::durability_delay_ops_max>,
           "Ops until released blocks may be reused after a checkpoint, at most."),
    number("scrub", 0, 64, field<&Run::scrub>,
           "Reads of the scrubber in flight, which tours between the ops; 0: none."),
    number("scrub_damages", 1, 64, field<&Run::scrub_damages>, "Damaged blocks that a tour lists, at most."),

    of_grooves(name("groove", groove_names, groove_count, field<&Run::groove>,
                    "Which one the workloads `groove` and `scan` play.")),

#define X(name, kind, text) ratio("vary." #name, vary_field<Variation::name>, "Chance that " text "."),
    TONEARM_VARIATIONS(X)
#undef X

        name("profile.faults", fault_profile_names, fault_profile_count, field<&Run::fault_profile>,
             "full: every seed of trees or grooves draws from all faults; none: no seed has any."),
    number("ops", 0, u64{1} << 32, field<&Run::ops>, "Lines that the generator yields."),
    number("key_universe", 1, u64{1} << 31, field<&Run::key_universe>, "Different keys of each tree."),
    number("phase_lines", 1, 1'000'000, field<&Run::phase_lines>, "Lines of a phase."),
    number("ladder_victims", 0, 1024, field<&Run::ladder_victims>,
           "Keys that are written, sunk and written again."),
    number("episode_lines", 0, 1'000'000, field<&Run::episode_lines>,
           "Lines from one episode to the next, in the trees; 0: none."),

    of_grooves(name("timestamps", timestamps_names, timestamps_count, field<&Run::timestamps>,
                    "Those that insert lines name.")),

    number("weight.put", 0, weight_max, field<&Run::weight_put>, "Of put lines. 0: none."),
    number("weight.remove", 0, weight_max, field<&Run::weight_remove>, "Of remove lines."),
    number("weight.get", 0, weight_max, field<&Run::weight_get>, "Of get lines."),
    number("weight.scan", 0, weight_max, field<&Run::weight_scan>, "Of scan lines."),
    number("weight.commit", 0, weight_max, field<&Run::weight_commit>, "Of commit lines."),
    number("weight.checkpoint", 0, weight_max, field<&Run::weight_checkpoint>, "Of checkpoint lines."),
    number("weight.scope", 0, weight_max, field<&Run::weight_scope>, "Of scope and end lines."),
    number("weight.crash", 0, weight_max, field<&Run::weight_crash>, "Of crash lines."),
    number("weight.reopen", 0, weight_max, field<&Run::weight_reopen>, "Of reopen lines."),
    number("weight.heal", 0, weight_max, field<&Run::weight_heal>, "Of heal lines."),
    number("weight.kv", 0, weight_max, field<&Run::weight_kv>, "Of the tree kv."),
    number("weight.index", 0, weight_max, field<&Run::weight_index>, "Of the tree index."),
    number("weight.id", 0, weight_max, field<&Run::weight_id>, "Of the tree id."),

    number("weight.scan_open", 0, weight_max, field<&Run::weight_scan_open>,
           "Of lines between which scans are open."),
    of_grooves(number("weight.query", 0, weight_max, field<&Run::weight_query>, "Of query lines.")),
    of_grooves(number("weight.page", 0, weight_max, field<&Run::weight_page>, "Of page lines.")),

    of_grooves(number("weight.insert", 0, weight_max, field<&Run::weight_insert>, "Of insert lines.")),
    of_grooves(number("weight.update", 0, weight_max, field<&Run::weight_update>, "Of update lines.")),
    of_grooves(number("weight.upsert", 0, weight_max, field<&Run::weight_upsert>, "Of upsert lines.")),
    of_grooves(number("weight.orphan", 0, weight_max, field<&Run::weight_orphan>, "Of orphan lines.")),
    of_grooves(number("weight.exists", 0, weight_max, field<&Run::weight_exists>, "Of exists lines.")),
    of_grooves(number("weight.prefetch", 0, weight_max, field<&Run::weight_prefetch>, "Of prefetch lines.")),
    of_grooves(number("weight.things", 0, weight_max, field<&Run::weight_things>, "Of the groove things.")),
    of_grooves(number("weight.notes", 0, weight_max, field<&Run::weight_notes>, "Of the groove notes.")),
    of_grooves(number("weight.events", 0, weight_max, field<&Run::weight_events>, "Of the groove events.")),

    number("bias.recent", 0, 100, field<&Run::bias_recent>, "Percent of the keys: written lately."),
    number("bias.removed", 0, 100, field<&Run::bias_removed>, "Percent of the keys: removed lately."),
    number("bias.neighbour", 0, 100, field<&Run::bias_neighbour>, "Percent of the keys: a present one +-1."),
    number("bias.limit", 0, 100, field<&Run::bias_limit>, "Percent of the keys: limits of the type."),
    number("bias.cold", 0, 100, field<&Run::bias_cold>, "Percent of the reads that no cache may answer."),

    of_grooves(number("query_leaves_max", 1, query_leaves_max, field<&Run::query_leaves_max>,
                      "Predicates of most queries.")),
    of_grooves(number("query_depth_max", 1, query_leaves_max, field<&Run::query_depth_max>,
                      "Operators around a predicate.")),
    of_grooves(number("bias.range", 0, 100, field<&Run::bias_range>,
                      "Percent of the predicates: more than one value.")),
    of_grooves(number("bias.narrowed", 0, 100, field<&Run::bias_narrowed>,
                      "Percent of the predicates: timestamps of their own.")),

    of_grooves(number("bias.hot", 0, 100, field<&Run::bias_hot>, "Percent of the values of fields: few.")),
    of_grooves(number("bias.surprise", 0, 100, field<&Run::bias_surprise>,
                      "Percent of the changes whose key is not chosen so that they apply.")),

    number("audit_live_percent", 0, 100, field<&Run::audit_live_percent>,
           "Chance that full audits go through the live engine, not a shadow."),
    number("shadow_every_checkpoints", 0, 1'000'000, field<&Run::shadow_every_checkpoints>,
           "Checkpoints from one shadow audit to the next; 0: none."),
    number("directed_checks_max", 0, 1024, field<&Run::directed_checks_max>, "Directed checks per commit."),
    number("directed_every_lines", 1, 1000000, field<&Run::directed_every_lines>,
           "Lines that pay for a directed check."),
    number("liveness_ticks_max", 1, u64{1} << 62, field<&Run::liveness_ticks_max>,
           "Ticks that one call of the engine may take."),
};

EngineCheck engine_check = nullptr;

std::string expected_value(const Setting& setting) {
  switch (setting.type) {
    case SettingType::number: return fmt::format("a number from {} to {}", setting.min, setting.max);
    case SettingType::ratio: return "a ratio, for instance 1/50, at most one";
    case SettingType::name: {
      std::string names;
      for (u64 i = 0; i <= setting.max; ++i) {
        names += i == 0 ? "" : i == setting.max ? " or " : ", ";
        names += setting.names[i];
      }
      return names;
    }
  }
  UNREACHABLE();
}

bool valid_value(const Setting& setting, u64 value) {
  if (setting.type != SettingType::ratio) return value >= setting.min && value <= setting.max;
  const Ratio given = from_value<Ratio>(value);
  return given.denominator >= 1 && given.numerator <= given.denominator;
}

}  // namespace

std::span<const Setting> settings() { return table; }

std::optional<u16> find_setting(std::string_view name) {
  for (u16 i = 0; i < std::size(table); ++i) {
    if (name == table[i].name) return i;
  }
  return std::nullopt;
}

SettingValue parse_setting(const Setting& setting, std::string_view text) {
  switch (setting.type) {
    case SettingType::number: {
      SettingValue result;
      result.error = parse_number(text, setting.min, setting.max, &result.value);
      return result;
    }
    case SettingType::ratio: {
      if (text == "0") return {.value = to_value(Ratio{.numerator = 0, .denominator = 1}), .error = {}};
      const std::size_t slash = text.find('/');
      u64 numerator = 0;
      u64 denominator = 0;
      if (slash == std::string_view::npos ||
          !parse_number(text.substr(slash + 1), 1, 0xffffffff, &denominator).empty() ||
          !parse_number(text.substr(0, slash), 0, denominator, &numerator).empty()) {
        return {.value = 0, .error = expected_value(setting)};
      }
      return {.value = numerator << 32 | denominator, .error = {}};
    }
    case SettingType::name:
      for (u64 i = 0; i <= setting.max; ++i) {
        if (text == setting.names[i]) return {.value = i, .error = {}};
      }
      return {.value = 0, .error = expected_value(setting)};
  }
  UNREACHABLE();
}

std::string print_setting(const Setting& setting, u64 value) {
  switch (setting.type) {
    case SettingType::number:
      // A seed is a bit pattern; everything else is an amount.
      if (value != 0 && std::string_view(setting.name).starts_with("seed."))
        return fmt::format("{:#x}", value);
      return fmt::format("{}", value);
    case SettingType::ratio: return fmt::format("{}/{}", value >> 32, value & 0xffffffff);
    case SettingType::name: return value <= setting.max ? setting.names[value] : "?";
  }
  UNREACHABLE();
}

void finish_options(RunOptions* options) {
  options->disk.sector_size = options->format.sector_size;
  options->disk.block_size = options->format.block_size;
  options->disk.blocks_count = options->runtime.blocks_count;
  options->disk.faults.times_max = 2 * options->runtime.read_attempts_max;
}

std::string validate_options(const RunOptions& options) {
  if (const OptionsError error = validate(options.format, options.runtime)) {
    return setting_complaint(error.field, error.given, error.expected);
  }
  for (const Setting& setting : table) {
    const u64 value = setting.get(options);
    if (!valid_value(setting, value)) {
      return fmt::format("{}: {}, expected {}", setting.name, print_setting(setting, value),
                         expected_value(setting));
    }
  }
  if (std::string error = validate_setting_relations(options); !error.empty()) return error;
  return engine_check != nullptr ? engine_check(options) : std::string();
}

void set_engine_check(EngineCheck check) { engine_check = check; }

}  // namespace tonearm::sim
