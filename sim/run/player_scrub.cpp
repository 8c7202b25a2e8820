// The scrubber of the live engine: what its tours find, count and leave out.
//
// A tour goes on between ops. It begins at a checkpoint, whose image says what is reachable, and is compared
// at a later one: what is in both images was reachable all the time, and must have been read. A tour that did
// not begin at the first table may have missed those that sank past its origin.
#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "sim/decode/disk_format.h"
#include "sim/run/player.h"

namespace tonearm::sim {

namespace f = disk_format;

namespace {

constexpr u32 log_level = ~u32{0};

std::vector<ScrubTarget> targets_of(const DecodedImage& decoded) {
  std::vector<ScrubTarget> targets;
  const auto add = [&targets](const BlockRef& ref, u32 level, u64 index) {
    targets.push_back({.address = ref.address, .checksum = ref.checksum, .level = level, .index = index});
  };
  for (const DecodedBlock& block : decoded.blocks) {
    if (block.use == BlockUse::manifest) add(block.ref, log_level, 0);
  }
  for (const DecodedTable& table : decoded.tables) {
    add(table.index, table.level, 0);
    for (const DecodedTable::ValueBlock& value_block : table.value_blocks) {
      add(value_block.ref, table.level, table.index.address);
    }
  }
  std::sort(targets.begin(), targets.end());
  return targets;
}

// The index block of the n-th table, modulo how many there are: level by level, tree by tree, by key.
u64 table_at(const DecodedImage& decoded, u64 n) {
  // Of a tree and level they are decoded in the order of their keys.
  std::vector<std::tuple<u32, u16, std::size_t>> tables;
  for (std::size_t i = 0; i < decoded.tables.size(); ++i) {
    tables.emplace_back(decoded.tables[i].level, decoded.tables[i].tree, i);
  }
  if (tables.empty()) return 0;
  std::sort(tables.begin(), tables.end());
  return decoded.tables[std::get<2>(tables[n % tables.size()])].index.address;
}

}  // namespace

// At a checkpoint whose image was decoded just now.
void Player::scrub_begin(u64 op) {
  if (options_.scrub == 0 || host_->scrubber().touring()) return;
  judge_scrub();
  check_tour_counts();
  const bool known = decoded_.outcome == DecodeOutcome::ok && decoded_.op == op;
  if (known) compare_tour();
  tour_known_ = known && config_->oracles.has(Oracle::verify);
  tour_targets_ = targets_of(decoded_);
  tour_read_.clear();
  tour_cured_.clear();
  tour_written_.clear();
  tour_repaired_.clear();
  tour_left_.clear();
  tour_latent_.clear();
  tour_heals_ = result_.counters.healed;
  tour_judged_ = 0;
  for (const ScrubTarget& target : tour_targets_) {
    if (!faulty_ || !damaged_somewhere(target.address, truth_of(target.address).written)) continue;
    tour_latent_.push_back(target.address);
    ++result_.counters.latent;
  }
  const u64 random = scrubs_.at(op);
  tour_origin_ = (random & 1) != 0;
  const u64 origin = tour_origin_ ? random >> 1 : 0;
  tour_counts_ = {.before = host_->scrubber().counters(),
                  .going = true,
                  .op = host_->forest().op(),
                  .first_due = tour_known_ ? table_at(decoded_, origin) : 0};
  host_->scrub_begin(origin);
}

// Of the first side: what it leads to is looked at on the disk.
void Player::scrub_read(u64 address) {
  set_bit(&tour_read_, address);
  std::array<std::byte, PageStore::unit_size> header;
  disk_->image().read(disk_->offset_of(address), header);
  ++tour_counts_.reads;
  if (tour_counts_.first == 0) tour_counts_.first = address;
  const u8 type = f::load<u8>(header, f::header_type);
  if (type == f::type_value) ++tour_counts_.values;
  if (type != f::type_index) return;
  ++tour_counts_.indexes;
  tour_counts_.values_due += f::load<u32>(header, f::header_metadata + f::index_count);
}

// Whatever a tour has met is intact, damaged or left out: all that was read, and all that an index block
// names unless it was itself left out.
void Player::check_tour_counts() {
  if (!std::exchange(tour_counts_.going, false) || faulty_ || !config_->oracles.has(Oracle::verify)) return;
  const Scrubber::Counters& now = host_->scrubber().counters();
  const Scrubber::Counters& before = tour_counts_.before;
  if (now.damaged != before.damaged || now.retries != before.retries) return;
  const u64 said = now.intact() - before.intact() + now.released - before.released;
  const u64 most = tour_counts_.reads - tour_counts_.values + tour_counts_.values_due;
  const u64 least = now.index - before.index == tour_counts_.indexes ? most : tour_counts_.reads;
  ++result_.counters.checks;
  if (said >= least && said <= most) return;
  fail(FailureClass::oracle, "scrub: blocks counted otherwise",
       fmt::format(
           "a scrub tour says that it has read or left out {} blocks; {} were read, and its index blocks "
           "name {}: {} to {}",
           said, tour_counts_.reads, tour_counts_.values_due, least, most));
}

// After an op. Some reads stay in flight while the next one is played.
void Player::scrub(u64 op) {
  if (options_.scrub == 0 || !host_->scrubber().touring()) return;
  const Attribution before = disk_->attribution();
  disk_->set_attribution(aside("scrub", op));
  const u64 random = scrubs_.at(op, 1);
  // Until the next op the tables are those of the image.
  if (!std::exchange(tour_counts_.stepped, true) && tour_counts_.op != op) tour_counts_.first_due = 0;
  for (u64 left = 1 + below(random, 2); left > 0 && host_->scrubber().touring(); --left) {
    host_->scrub_step();
    if (left > 1 || (random & 1) != 0) host_->scrub_wait();
  }
  disk_->set_attribution(before);
  judge_scrub();
  if (tour_counts_.first_due == 0 || tour_counts_.first == 0) return;
  const u64 due = std::exchange(tour_counts_.first_due, 0);
  ++result_.counters.checks;
  if (tour_counts_.first == due) return;
  fail(FailureClass::oracle, "scrub: a tour begins elsewhere",
       fmt::format("a scrub tour has read block {} first; at its origin lies block {}", tour_counts_.first,
                   due));
}

// What the scrubber has found since it was looked at last. Before anything that may repair it.
void Player::judge_scrub() {
  judge_watch();
  if (options_.scrub == 0 || !host_ || !config_->oracles.has(Oracle::verify)) return;
  const std::span<const Scrubber::Damage> damages = host_->scrubber().damages();
  const u64 damaged = host_->scrubber().counters().damaged - tour_counts_.before.damaged;
  if (damages.size() != std::min<u64>(damaged, options_.scrub_damages)) {
    fail(FailureClass::oracle, "scrub: damage is not listed",
         fmt::format("a scrub tour has found {} damaged blocks, and lists {} of at most {}", damaged,
                     damages.size(), options_.scrub_damages));
  }
  for (; tour_judged_ < damages.size(); ++tour_judged_) {
    const Scrubber::Damage& damage = damages[tour_judged_];
    ++result_.counters.checks;
    ++result_.counters.damages_scrubbed;
    std::string why = why_intact({.kind = ErrorKind::block_damaged,
                                  .address = damage.block.address,
                                  .checksum = damage.block.checksum,
                                  .reason = damage.reason});
    if (why.empty() && scrubbed_) {
      std::vector<std::byte> truth(options_.format.block_size);
      disk_->truth().read(disk_->offset_of(damage.block.address), truth);
      why = scrubbed_->why_not(damage.block.address, damage.block.checksum, damage.reason, truth);
    }
    if (why.empty()) continue;
    fail(FailureClass::false_alarm, fmt::format("scrub: {}", damage.reason),
         fmt::format("the scrubber says that block {} is damaged ({}), but {}", damage.block.address,
                     damage.reason, why));
  }
}

bool Player::scrub_found(u64 address) const {
  for (const Scrubber::Damage& damage : host_->scrubber().damages()) {
    if (damage.block.address == address) return true;
  }
  return false;
}

// The engine goes, and its tour with it.
void Player::scrub_end() {
  if (host_) result_.counters.blocks_scrubbed += host_->scrubber().counters().intact();
  tour_known_ = false;
  tour_counts_ = {};
}

void Player::compare_tour() {
  if (!tour_known_) return;
  if (host_->scrubber().damages().size() == options_.scrub_damages) {
    ++result_.counters.scrub_overflows;  // What else there was is not listed.
    return;
  }
  ++result_.counters.scrub_tours;
  const std::vector<ScrubTarget> now = targets_of(decoded_);
  for (const ScrubTarget& target : tour_targets_) {
    const auto found = std::lower_bound(now.begin(), now.end(), ScrubTarget{.address = target.address});
    if (found == now.end() || found->address != target.address || found->checksum != target.checksum)
      continue;
    if (bit_of(tour_written_, target.address)) continue;
    if (tour_origin_ && found->level != target.level) continue;
    if (scrub_found(target.index)) continue;  // Nothing leads to it.
    ++result_.counters.checks;
    if (!bit_of(tour_read_, target.address)) {
      fail(FailureClass::oracle, "scrub: a block was left out",
           fmt::format("a whole scrub tour did not read block {}, of a table at level {} now and {} before",
                       target.address, found->level, target.level));
    }
    const bool latent = std::binary_search(tour_latent_.begin(), tour_latent_.end(), target.address);
    if (!latent || tour_heals_ != result_.counters.healed) continue;
    const bool repaired = bit_of(tour_repaired_, target.address);
    if (!damaged_somewhere(target.address, truth_of(target.address).written)) {
      result_.counters.latent_repaired += repaired ? 1 : 0;
      continue;
    }
    if (scrub_found(target.address)) {
      ++result_.counters.latent_found;
      continue;
    }
    if (bit_of(tour_cured_, target.address)) {
      ++result_.counters.latent_cured;
      continue;
    }
    // It is damaged again, on both sides perhaps, or the write was itself struck.
    if (repaired) {
      ++result_.counters.latent_repaired;
      continue;
    }
    if (bit_of(tour_left_, target.address)) continue;
    fail(FailureClass::oracle, "scrub: damage is not found",
         fmt::format("block {} was damaged before a scrub tour began, and the tour has not found it",
                     target.address));
  }
}

}  // namespace tonearm::sim
