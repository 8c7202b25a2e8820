#include "sim/scenario/setting_relations.h"

#include <fmt/format.h>

namespace tonearm::sim {

namespace {

constexpr u64 cache_bytes_max = 1024_MiB;  // Memory is taken for it.

}  // namespace

std::string setting_complaint(std::string_view field, u64 given, std::string_view expected) {
  return fmt::format("{}: {}, expected {}", field, given, expected);
}

std::string validate_setting_relations(const RunOptions& o) {
  const u64 cached = u64{o.runtime.cache_blocks} * o.format.block_size;
  if (cached > cache_bytes_max) {
    return setting_complaint(
        "cache_blocks", o.runtime.cache_blocks,
        fmt::format("at most {} for this block_size", cache_bytes_max / o.format.block_size));
  }
  if (o.runtime.blocks_count > disk_bytes_max / o.format.block_size) {
    return setting_complaint(
        "blocks_count", o.runtime.blocks_count,
        fmt::format("at most {} for this block_size", disk_bytes_max / o.format.block_size));
  }
  if (o.disk.tear_unit != 512 && o.disk.tear_unit != 4096) {
    return setting_complaint("tear_unit", o.disk.tear_unit, "512 or 4096");
  }
  if (o.disk.tear_unit > o.format.sector_size) {
    return setting_complaint("tear_unit", o.disk.tear_unit,
                             fmt::format("at most the sector size {}", o.format.sector_size));
  }
  if (o.disk.sector_size != o.format.sector_size || o.disk.block_size != o.format.block_size ||
      o.disk.blocks_count != o.runtime.blocks_count) {
    return setting_complaint("block_size", o.format.block_size,
                             "the same geometry for the engine and its disk");
  }
  const u64 operations = u64{o.weight_put} + o.weight_remove + o.weight_get + o.weight_scan +
                         o.weight_commit + o.weight_checkpoint + o.weight_scope + o.weight_crash +
                         o.weight_reopen;
  if (operations == 0) return setting_complaint("weight.put", 0, "some operation to have a weight");
  if (u64{o.weight_kv} + o.weight_index + o.weight_id == 0) {
    return setting_complaint("weight.kv", 0, "some tree to have a weight");
  }
  if (o.object_cache_slots % 16 != 0) {
    return setting_complaint("object_cache_slots", o.object_cache_slots, "a multiple of 16");
  }
  if (u64{o.weight_insert} + o.weight_upsert == 0) {
    return setting_complaint("weight.insert", 0, "insert or upsert to have a weight");
  }
  if (u64{o.weight_things} + o.weight_notes + o.weight_events == 0) {
    return setting_complaint("weight.things", 0, "some groove to have a weight");
  }
  const u64 biases = u64{o.bias_recent} + o.bias_removed + o.bias_neighbour + o.bias_limit;
  if (biases > 100) {
    return setting_complaint("bias.recent", o.bias_recent,
                             "recent, removed, neighbour and limit to be at most 100 together");
  }
  return {};
}

}  // namespace tonearm::sim
