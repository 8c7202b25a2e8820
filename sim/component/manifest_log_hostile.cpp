// Workload `manifest_log`: opens that must fail. Each begins with a checkpoint and ends healed.
#include <fmt/format.h>

#include <algorithm>

#include "base/math.h"
#include "sim/component/manifest_forgery.h"
#include "sim/component/manifest_log_component.h"

namespace tonearm::sim {

namespace f = disk_format;

ManifestPlace ManifestLogComponent::place() const {
  return {.grid_offset = disk_.grid_offset(),
          .block_size = referee_->options().format.block_size,
          .blocks_count = blocks_count()};
}

void ManifestLogComponent::write_block(u64 address, const std::vector<std::byte>& bytes) {
  write_at_rest(Zone::grid, (address - 1) * bytes.size(), bytes);
}

// Opens what was saved, or what was made of it. False: a crash struck.
bool ManifestLogComponent::open_failing(const ManifestEnds& ends, u64 tables_max, ErrorKind kind, u64 address,
                                        const char* what) {
  begin_open(ends, tables_max);
  if (!wait("open")) return false;
  const Error error = log_->error();
  referee_->answer(static_cast<u64>(error.kind), error.address);
  const u64 given = kind == ErrorKind::manifest_full ? tables_max : 0;
  require(error.kind == kind && error.address == address && error.given == given, "open ends otherwise", [&] {
    return fmt::format("{}: {} of block {} ({}, given {}), expected {} of {}, given {}", what,
                       error_name(error.kind), error.address, error.reason, error.given, error_name(kind),
                       address, given);
  });
  ++referee_->counters().unanswered;
  crash();
  return true;
}

// A smaller manifest than the tables need.
void ManifestLogComponent::open_small(u64 percent) {
  if (!checkpoint()) return;
  crash();
  const std::vector<ManifestEntry> tables = model_.replay();
  const u64 tables_max = std::max<u64>(1, tables.size() * percent / 100);
  if (tables_max >= tables.size() || tables_max > tables_max_) {
    ensure_open();
    return;
  }
  const u64 ordinal = model_.latest.at(tables[tables_max].address()).ordinal;
  const u64 address = saved_.addresses[ordinal - model_.blocks.front().ordinal];
  if (open_failing(saved_.ends, tables_max, ErrorKind::manifest_full, address, "a smaller manifest"))
    ensure_open();
}

void ManifestLogComponent::damage(u64 where, u64 bit) {
  if (!checkpoint()) return;
  crash();
  if (saved_.ends.count == 0) return referee_->skip();
  const ManifestChain chain = read_manifest_chain(disk_.image(), place(), saved_.ends);
  const ManifestChain::Block& block = chain.blocks[where % chain.blocks.size()];
  std::vector<std::byte> bytes = block.bytes;
  const u64 size =
      round_up(f::load<u32>(bytes, f::header_block_size), referee_->options().format.sector_size);
  const u64 at = bit % (size * 8);
  bytes[at / 8] ^= static_cast<std::byte>(1U << at % 8);
  protect(false);
  write_block(block.ref.address, bytes);
  open_failing(saved_.ends, tables_max_, ErrorKind::block_damaged, block.ref.address, "a flipped bit");
  write_block(block.ref.address, block.bytes);
  protect(true);
  ensure_open();
}

void ManifestLogComponent::forge(u64 where, u64 kind, u64 value) {
  if (!checkpoint()) return;
  FreeSet& free_set = grid_->free_set();
  ForgedManifest forged{.chain = read_manifest_chain(disk_.image(), place(), saved_.ends),
                        .ends = saved_.ends,
                        .blocks_count = blocks_count(),
                        .free_address = free_set.is_free(blocks_count()) ? blocks_count() : 0,
                        .log_capacity = std::min(log_->pace().log_blocks_max, blocks_count()),
                        .levels = referee_->options().format.levels,
                        .value = value};
  crash();
  if (saved_.ends.count == 0) return referee_->skip();
  const ManifestChain original = forged.chain;
  forged.index = where % original.blocks.size();
  kind %= manifest_forgery_count();
  forge_manifest(kind, &forged);
  protect(false);
  for (u64 i = 0; i < original.blocks.size(); ++i) {
    if (forged.chain.blocks[i].bytes != original.blocks[i].bytes) {
      write_block(original.blocks[i].ref.address, forged.chain.blocks[i].bytes);
    }
  }
  if (forged.error) {
    open_failing(forged.ends, tables_max_, ErrorKind::block_damaged, forged.address,
                 manifest_forgery_name(kind));
  } else {
    begin_open(forged.ends, tables_max_);
    if (wait("open")) {
      require(!log_->error(), FailureClass::false_alarm, "open fails without a reason",
              [&] { return fmt::format("{}: {}", manifest_forgery_name(kind), log_->error().reason); });
      compare_delivered(saved_.model.replay());
      crash();
    }
  }
  for (u64 i = 0; i < original.blocks.size(); ++i) {
    if (forged.chain.blocks[i].bytes != original.blocks[i].bytes) {
      write_block(original.blocks[i].ref.address, original.blocks[i].bytes);
    }
  }
  protect(true);
  ensure_open();
}

}  // namespace tonearm::sim
