// The engine's own verification and its scrubber: what they say is compared with the decoded image.
//
// Live, a scrub tour goes on between ops. It begins at a checkpoint, whose image says what is reachable,
// and is compared at a later one: what is in both images was reachable all the time, and must have been
// read. A tour that did not begin at the first table may have missed those that sank past its origin.
//
// On shadow engines, verification and a tour without interruption must find exactly the blocks of the
// image; then one bit of it is flipped, or a lie is told with all checksums right, and they must name it.
#include <fmt/format.h>

#include <algorithm>

#include "sim/decode/disk_format.h"
#include "sim/decode/image_forgery.h"
#include "sim/run/in_order.h"
#include "sim/run/shadow.h"

namespace tonearm::sim {

namespace {

// Of the runs.
constexpr u64 scrubbed_one_in = 2;
constexpr u64 damaged_one_in = 8;
// Of every run, one after the other: some forty lies, most of which hardly cost anything. Two thirds of those
// about grooves are of a dozen kinds that need more than one tree.
constexpr u64 lies_told = 6;
constexpr u64 lies_told_of_grooves = 16;
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

struct BlockCounts {
  u64 index = 0, value = 0, manifest = 0, trailer = 0;

  explicit BlockCounts(const DecodedImage& decoded) {
    for (const DecodedBlock& block : decoded.blocks) {
      switch (block.use) {
        case BlockUse::index: ++index; break;
        case BlockUse::value: ++value; break;
        case BlockUse::manifest: ++manifest; break;
        case BlockUse::trailer_acquired:
        case BlockUse::trailer_released: ++trailer; break;
      }
    }
  }
  // What differs in the counts of verification or scrubber, or an empty text.
  template <class Counts>
  std::string difference(const Counts& counts) const {
    if (counts.index != index) return fmt::format("index: {}, not {}", counts.index, index);
    if (counts.value != value) return fmt::format("value: {}, not {}", counts.value, value);
    if (counts.manifest != manifest) return fmt::format("manifest: {}, not {}", counts.manifest, manifest);
    if (counts.trailer != trailer) return fmt::format("trailer: {}, not {}", counts.trailer, trailer);
    return {};
  }
};

// How many blocks of the image the engine has cached.
u64 cached_count(EngineHost& host, const DecodedImage& decoded) {
  u64 count = 0;
  for (const DecodedBlock& block : decoded.blocks) {
    const BlockReference reference{.address = block.ref.address, .checksum = block.ref.checksum};
    count += host.forest().grid().cached(reference) != nullptr ? 1 : 0;
  }
  return count;
}

bool agrees(const GrooveDisagreement& found, const Forged& forged) {
  using Kind = GrooveDisagreement::Kind;
  if (found.tree != forged.tree || found.timestamp != forged.timestamp) return false;
  switch (forged.disagreement) {
    case ForgedDisagreement::none: return found.kind == Kind::none;
    case ForgedDisagreement::entry_missing: return found.kind == Kind::entry_missing;
    case ForgedDisagreement::entry_left: return found.kind == Kind::entry_left;
    case ForgedDisagreement::entry_differs: return found.kind == Kind::entry_differs;
  }
  UNREACHABLE();
}

}  // namespace

// --- live

// At a checkpoint whose image was decoded just now.
void Player::scrub_begin(u64 op) {
  if (options_.scrub == 0 || host_->scrubber().touring()) return;
  const bool known = decoded_.outcome == DecodeOutcome::ok && decoded_.op == op;
  if (known) compare_tour();
  tour_known_ = known && config_->oracles.has(Oracle::verify);
  tour_targets_ = targets_of(decoded_);
  tour_read_.clear();
  tour_cured_.clear();
  tour_written_.clear();
  tour_repaired_.clear();
  tour_unrepaired_ = host_->scrubber().counters().unrepaired;
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
  host_->scrub_begin(tour_origin_ ? random >> 1 : 0);
}

// After an op. Some reads stay in flight while the next one is played.
void Player::scrub(u64 op) {
  if (options_.scrub == 0 || !host_->scrubber().touring()) return;
  const Attribution before = disk_->attribution();
  disk_->set_attribution(aside("scrub", op));
  const u64 random = scrubs_.at(op, 1);
  for (u64 left = 1 + below(random, 2); left > 0 && host_->scrubber().touring(); --left) {
    host_->scrub_step();
    if (left > 1 || (random & 1) != 0) host_->scrub_wait();
  }
  disk_->set_attribution(before);
  judge_scrub();
}

// What the scrubber has found since it was looked at last. Before anything that may repair it.
void Player::judge_scrub() {
  if (options_.scrub == 0 || !host_ || !config_->oracles.has(Oracle::verify)) return;
  const std::span<const Scrubber::Damage> damages = host_->scrubber().damages();
  for (; tour_judged_ < damages.size(); ++tour_judged_) {
    const Scrubber::Damage& damage = damages[tour_judged_];
    ++result_.counters.checks;
    ++result_.counters.damages_scrubbed;
    const std::string why = why_false({.kind = ErrorKind::block_damaged,
                                       .address = damage.block.address,
                                       .checksum = damage.block.checksum,
                                       .reason = damage.reason});
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
}

void Player::compare_tour() {
  if (!tour_known_) return;
  judge_scrub();
  if (host_->scrubber().damages().size() == EngineHost::scrub_damages_max) {
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
    // It is damaged again, or the write was itself struck; or somebody was reading it.
    const bool left = host_->scrubber().counters().unrepaired > tour_unrepaired_;
    if (mirrored() && !lost(target.address, truth_of(target.address).written) && (repaired || left)) continue;
    fail(FailureClass::oracle, "scrub: damage is not found",
         fmt::format("block {} was damaged before a scrub tour began, and the tour has not found it",
                     target.address));
  }
}

// --- on shadows

void Player::know_image() {
  const u64 op = model_.checkpoint_op();
  if (decoded_.outcome == DecodeOutcome::ok && decoded_.op == op) return;
  decode_image(whole(disk_->truth_durable()), {.shape = shape_, .memo = &memory_->decoded}, &decoded_);
}

// Nothing is damaged: there is nothing to complain about, and no block is left out.
void Player::verify_intact(Shadow& shadow) {
  if (!config_->oracles.has(Oracle::verify)) return;
  know_image();
  const BlockCounts expected(decoded_);
  ++result_.counters.verifications;
  ++result_.counters.checks;
  ForestVerify::Counts counts;
  if (const Error error = shadow.host().verify(&counts)) {
    fail(FailureClass::false_alarm, fmt::format("verify: {}", error.reason),
         fmt::format("verification of an intact image ended in {} ({} at {})", error_name(error.kind),
                     error.reason, error.address));
  }
  if (const std::string text = expected.difference(counts); !text.empty()) {
    fail(FailureClass::oracle, "verify: another number of blocks", "blocks verified, " + text);
  }
}

// The first tour on this shadow.
void Player::scrub_intact(Shadow& shadow) {
  const BlockCounts expected(decoded_);
  const Scrubber& scrubber = shadow.host().scrubber();
  shadow.host().scrub_tour(scrubs_.at(decoded_.op, 2));
  ++result_.counters.checks;
  if (!scrubber.damages().empty()) {
    fail(FailureClass::false_alarm, "scrub: damage without damage",
         fmt::format("a scrub of an intact image says that block {} is damaged",
                     scrubber.damages().front().block.address));
  }
  if (const std::string text = expected.difference(scrubber.counters()); !text.empty()) {
    fail(FailureClass::oracle, "scrub: another number of blocks", "blocks scrubbed, " + text);
  }
}

// One bit of what is written of one block: both must name that block.
void Player::verify_damaged(Shadow& shadow) {
  const u64 random = scrubs_.at(decoded_.op, 3);
  const DecodedBlock& block = decoded_.blocks[below(random, decoded_.blocks.size())];
  std::array<std::byte, PageStore::unit_size> start;
  const u64 block_size = options_.format.block_size;
  whole(disk_->truth_durable()).read(disk_->grid_offset() + (block.ref.address - 1) * block_size, start);
  const u64 sector = options_.format.sector_size;
  const u64 written =
      (disk_format::load<u32>(start, disk_format::header_block_size) + sector - 1) / sector * sector;
  const u64 byte = below(remix(random, 1), written);
  shadow.flip(block.ref.address, byte, static_cast<u32>(below(remix(random, 2), 8)));
  ++result_.counters.damages_shown;
  result_.counters.checks += 2;
  const std::string where =
      fmt::format("{} block {}, byte {}", block_use_name(block.use), block.ref.address, byte);
  ForestVerify::Counts counts;
  const Error error = shadow.host().verify(&counts);
  if (error.kind != ErrorKind::block_damaged || error.address != block.ref.address) {
    fail(FailureClass::oracle, "verify: damage is not found",
         fmt::format("a bit of {} was flipped; verification ended in {} at {}", where, error_name(error.kind),
                     error.address));
  }
  query_damaged(shadow, block.ref.address, remix(random, 4));
  shadow.host().scrub_tour(remix(random, 3));
  const std::span<const Scrubber::Damage> damages = shadow.host().scrubber().damages();
  if (damages.size() != 1 || damages[0].block.address != block.ref.address) {
    fail(FailureClass::oracle, "scrub: damage is not found",
         fmt::format("a bit of {} was flipped; a scrub tour found {} damaged blocks", where, damages.size()));
  }
}

// Whoever asks an index for all that it has, in its order, cannot be answered without its blocks.
void Player::query_damaged(Shadow& shadow, u64 address, u64 random) {
  const auto holds = [address](const DecodedTable& table) {
    return table.index.address == address ||
           std::any_of(table.value_blocks.begin(), table.value_blocks.end(),
                       [address](const auto& block) { return block.ref.address == address; });
  };
  const auto table = std::find_if(decoded_.tables.begin(), decoded_.tables.end(), holds);
  if (table == decoded_.tables.end()) return;
  for (u32 i = 0; i < world_.count; ++i) {
    const TreeName tree = world_.tree(i);
    if (tree_spec(tree).id != table->tree || tree_spec(tree).groove == GrooveName::none) continue;
    if (!query_narrows(tree) || query_existence(tree)) return;
    InOrderResult result;
    shadow.host().in_order({.groove = tree_spec(tree).groove,
                            .tree = tree,
                            .max = query_value_max(tree),
                            .direction = below(random, 2) == 0 ? Direction::ascending : Direction::descending,
                            .filtered = below(remix(random, 1), 2) == 0,
                            .random = random,
                            .last = u64_max},
                           &result);
    ++result_.counters.checks;
    const Error& error = result.error;
    if (error.kind == ErrorKind::block_damaged && error.address == address && result.broken == nullptr)
      return;
    fail(FailureClass::oracle, "scan in order: damage is not found",
         fmt::format("block {} of {} is damaged; a scan of all its entries ended in {} at {}{}{}", address,
                     tree_name(tree), error_name(error.kind), error.address,
                     result.broken == nullptr ? "" : "; ", result.broken == nullptr ? "" : result.broken));
  }
}

// Every checksum is right, and yet the image cannot be.
void Player::verify_forged(u64 random) {
  Image image = whole(disk_->truth_durable());
  const Forged forged = forge_image(&image, decoded_, random);
  if (forged.address == 0) return;
  Shadow shadow(world_, image, options_, memory_->shadow, config_->oracles.has(Oracle::resource),
                config_->poison);
  ++result_.counters.damages_shown;
  ++result_.counters.checks;
  if (const Error error = shadow.host().open()) {
    if (error.kind == ErrorKind::block_damaged && error.address == forged.address) return;  // Seen already.
    fail(FailureClass::sim, "a forged image does not open",
         fmt::format("{}: open ended in {} ({})", forged.lie, error_name(error.kind), error.reason));
  }
  ForestVerify::Counts counts;
  const Error error = shadow.host().verify(&counts);
  const GrooveDisagreement& found = shadow.host().disagreement();
  const bool named = forged.tree == 0 ? error.address == forged.address : agrees(found, forged);
  const ErrorKind expected = forged.damaged ? ErrorKind::block_damaged : ErrorKind::inconsistent;
  if (error.kind != expected || !named) {
    fail(FailureClass::oracle, fmt::format("verify: a lie is believed: {}", forged.lie),
         fmt::format(
             "{} at block {}, in tree {} of timestamp {}; verification ended in {} ({} at {}), in tree {} "
             "of timestamp {}",
             forged.lie, forged.address, forged.tree, forged.timestamp, error_name(error.kind), error.reason,
             error.address, found.tree, found.timestamp));
  }
  if (!forged.scrubbed) return;
  ++result_.counters.checks;
  shadow.host().scrub_tour(remix(random, 5));
  const std::span<const Scrubber::Damage> damages = shadow.host().scrubber().damages();
  const bool any = *forged.scrubbed != 0;
  if (damages.size() == (any ? 1 : 0) && (!any || damages[0].block.address == *forged.scrubbed)) return;
  fail(FailureClass::oracle,
       fmt::format("scrub: a lie is {}: {}", any ? "believed" : "taken for damage", forged.lie),
       fmt::format("{} at block {}; a scrub tour should name block {}, and found {} damaged blocks, first {}",
                   forged.lie, forged.address, *forged.scrubbed, damages.size(),
                   damages.empty() ? 0 : damages[0].block.address));
}

// As many keys as the engine may be asked for at once, one or a few: what is refused must leave no trace.
void Player::prefetch_few(Shadow& shadow) {
  model_.rewind(model_.checkpoint_op());
  Audit audit(shadow.host(), rows_);
  for (u32 i = 0; i < world_.groove_count; ++i) audit.objects(world_.groove(i), model_, Key{}, 1);
  model_.restore();
  result_.counters.checks += audit.outcome().checks;
  if (audit.failed()) {
    const Mismatch& mismatch = *audit.outcome().mismatch;
    fail(FailureClass::oracle, "few keys: " + mismatch.site, mismatch.message,
         history(mismatch.tree, mismatch.key));
  }
  if (audit.outcome().unanswered > 0) alarm(audit.outcome().error, "few keys", "nothing is damaged");
}

// The end of a run: of the last image.
void Player::verify_end() {
  if (!config_->oracles.has(Oracle::verify) || model_.checkpoint_op() == 0) return;
  know_image();
  muted_ = true;
  {
    RunOptions options = options_least();
    options.prefetch_keys_max = 1 + static_cast<u32>(below(scrubs_.at(0, 8), 4));
    Shadow shadow(world_, whole(disk_->truth_durable()), options, memory_->shadow,
                  config_->oracles.has(Oracle::resource), config_->poison);
    if (const Error error = shadow.host().open()) alarm(error, "shadow open", "nothing is damaged");
    const u64 cached_before = cached_count(shadow.host(), decoded_);
    verify_intact(shadow);
    if (below(scrubs_.at(0, 7), scrubbed_one_in) == 0) scrub_intact(shadow);
    ++result_.counters.checks;
    if (cached_count(shadow.host(), decoded_) != cached_before) {
      fail(FailureClass::oracle, "verify: the cache is not as it was",
           "verification or a scrub tour put blocks into the cache");
    }
    prefetch_few(shadow);
    // Nothing was ever written: there is no block to damage.
    const bool any = !decoded_.blocks.empty();
    if (any && below(scrubs_.at(0, 5), damaged_one_in) == 0) verify_damaged(shadow);
  }
  const u64 lies = world_.groove_count > 0 ? lies_told_of_grooves : lies_told;
  for (u64 i = 0; can_forge(decoded_) && i < lies; ++i) verify_forged(scrubs_.at(decoded_.op, 4, i));
  muted_ = false;
}

}  // namespace tonearm::sim
