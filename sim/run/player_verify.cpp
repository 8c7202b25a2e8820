// The engine's own verification and whole tours of its scrubber, on shadow engines at the end of a run: what
// they say is compared with the decoded image.
//
// Without interruption they must find exactly the blocks of the image; then bits of it are flipped, or a lie
// is told with all checksums right, and they must name it.
#include <fmt/format.h>

#include <algorithm>

#include "sim/decode/disk_format.h"
#include "sim/decode/lie_reasons.h"
#include "sim/run/in_order.h"
#include "sim/run/shadow.h"

namespace tonearm::sim {

namespace f = disk_format;

namespace {

// Of the runs.
constexpr u64 scrubbed_one_in = 2;
constexpr u64 damaged_one_in = 8;
constexpr u64 damaged_twice_one_in = 4;
constexpr u64 both_sides_one_in = 4;
constexpr u64 one_side_one_in = 4;
constexpr u64 again_one_in = 8;  // Verifications, and those of lies.
// Of every run, one after the other: some forty lies, most of which hardly cost anything. Two thirds of those
// about grooves are of a dozen kinds that need more than one tree.
constexpr u64 lies_told = 7;
constexpr u64 lies_told_of_grooves = 16;
constexpr u64 lies_told_least = 4;
// By all lies of a run. A large image is lied about less often, or the end of a long run would take longer
// than thousands of its lines.
constexpr u64 lied_versions_max = u64{1} << 20;
constexpr u64 trees_opened = 2;
constexpr u64 lies_told_to_open = 7;  // Some thirty kinds, and it ends there.

struct BlockCounts {
  u64 index = 0, value = 0, manifest = 0, trailer = 0;
  u64 versions = 0;  // Of verifications, and so is the next one.
  std::optional<u64> keys;

  explicit BlockCounts(const DecodedImage& decoded) {
    for (const DecodedTable& table : decoded.tables) versions += table.value_count;
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
    if constexpr (std::is_same_v<Counts, ForestVerify::Counts>) {
      if (counts.versions != versions) return fmt::format("versions: {}, not {}", counts.versions, versions);
      if (keys && counts.keys != *keys) return fmt::format("keys: {}, not {}", counts.keys, *keys);
    }
    return {};
  }
};

// Of a damaged block: its type, tree and level, as the scrubber should say.
bool described(const DecodedImage& decoded, const Scrubber::Damage& damage) {
  const auto is = [&damage](BlockType type, u16 tree, u32 level) {
    return damage.type == type && damage.tree == tree && damage.level == level;
  };
  const u64 address = damage.block.address;
  for (const DecodedTable& table : decoded.tables) {
    if (table.index.address == address) return is(BlockType::index, table.tree, table.level);
    for (const auto& value_block : table.value_blocks) {
      if (value_block.ref.address == address) return is(BlockType::value, table.tree, table.level);
    }
  }
  for (const DecodedBlock& block : decoded.blocks) {
    if (block.ref.address != address) continue;
    return is(block.use == BlockUse::manifest ? BlockType::manifest : BlockType::free_set, 0, 0);
  }
  return false;
}

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

// As opening must.
bool refuses(const Error& error, const Forged& forged) {
  return error.kind == forged.error && error.address == forged.address && error.checksum == forged.checksum &&
         error.stored == forged.stored && error.given == forged.given && lie_explained(forged, error.reason);
}

bool names(const Error& error, ErrorKind kind, const BlockRef& block) {
  return error.kind == kind && error.address == block.address && error.checksum == block.checksum;
}

}  // namespace

// What a verification comes to.
struct Player::Verified {
  ForestVerify::Counts counts;
  Error error;
  GrooveDisagreement found;

  explicit Verified(EngineHost& host) : error(host.verify(&counts)), found(host.disagreement()) {}

  std::string text() const {
    return fmt::format(
        "{} ({} at {}, checksum {}), in tree {} of timestamp {} ({}); {} index, {} value, {} "
        "manifest, {} trailer blocks, {} versions, {} keys",
        error_name(error.kind), error.reason, error.address, f::hex(error.checksum), found.tree,
        found.timestamp, static_cast<u32>(found.kind), counts.index, counts.value, counts.manifest,
        counts.trailer, counts.versions, counts.keys);
  }
};

void Player::know_image() {
  const u64 op = model_.checkpoint_op();
  if (decoded_.outcome == DecodeOutcome::ok && decoded_.op == op) return;
  decode_image(whole(disk_->truth_durable()), {.shape = shape_, .memo = &memory_->decoded}, &decoded_);
}

// Nothing is damaged: there is nothing to complain about, and no block is left out. `again`: what came before
// leaves no trace.
void Player::verify_intact(Shadow& shadow, u64 again) {
  if (!config_->oracles.has(Oracle::verify)) return;
  know_image();
  BlockCounts expected(decoded_);
  model_.rewind(decoded_.op);
  expected.keys = 0;
  for (u32 i = 0; i < world_.count; ++i) *expected.keys += model_.tree(world_.tree(i)).size();
  model_.restore();
  for (u64 i = 0; i <= again; ++i) {
    ++result_.counters.verifications;
    ++result_.counters.checks;
    const Verified verified(shadow.host());
    if (const Error& error = verified.error) {
      fail(FailureClass::false_alarm, fmt::format("verify: {}", error.reason),
           fmt::format("verification of an intact image ended in {} ({} at {})", error_name(error.kind),
                       error.reason, error.address));
    }
    if (verified.found.kind != GrooveDisagreement::Kind::none) {
      fail(FailureClass::false_alarm, "verify: a disagreement of nothing",
           fmt::format("verification of an intact image has found no error, but: {}", verified.text()));
    }
    if (const std::string text = expected.difference(verified.counts); !text.empty()) {
      fail(FailureClass::oracle, "verify: another number of blocks", "verified, " + text);
    }
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
  if (scrubber.counters().tours != 1) {
    fail(FailureClass::oracle, "scrub: another number of tours",
         fmt::format("one tour is over, and the scrubber counts {}", scrubber.counters().tours));
  }
  if (const std::string text = expected.difference(scrubber.counters()); !text.empty()) {
    fail(FailureClass::oracle, "scrub: another number of blocks", "blocks scrubbed, " + text);
  }
}

// One bit of what is written of one block: both must name that block.
void Player::verify_damaged(Shadow& shadow, u32 listed_max) {
  const u64 random = scrubs_.at(decoded_.op, 3);
  const DecodedBlock& block = decoded_.blocks[below(random, decoded_.blocks.size())];
  std::array<std::byte, PageStore::unit_size> start;
  const u64 block_size = options_.format.block_size;
  whole(disk_->truth_durable()).read(disk_->grid_offset() + (block.ref.address - 1) * block_size, start);
  const u64 sector = options_.format.sector_size;
  const u64 written = (f::load<u32>(start, f::header_block_size) + sector - 1) / sector * sector;
  const u64 byte = below(remix(random, 1), written);
  const u32 bit = static_cast<u32>(below(remix(random, 2), 8));
  shadow.flip(block.ref.address, byte, bit);
  ++result_.counters.damages_shown;
  result_.counters.checks += 2;
  const std::string where =
      fmt::format("{} block {}, byte {}", block_use_name(block.use), block.ref.address, byte);
  const Verified verified(shadow.host());
  if (!names(verified.error, ErrorKind::block_damaged, block.ref)) {
    fail(FailureClass::oracle, "verify: damage is not found",
         fmt::format("a bit of {} (checksum {}) was flipped; verification ended in {}", where,
                     f::hex(block.ref.checksum), verified.text()));
  }
  shadow.flip(block.ref.address, byte, bit);
  verify_intact(shadow);
  shadow.flip(block.ref.address, byte, bit);
  query_damaged(shadow, block.ref.address, remix(random, 4));
  std::set<u64> damaged{block.ref.address};
  std::vector<std::pair<u64, u64>> flipped;  // Address and byte, beside the first.
  for (u64 more = below(remix(random, 5), 4); more > 0; --more) {
    const u64 of = remix(random, 5 + more);
    const u64 address = decoded_.blocks[below(of, decoded_.blocks.size())].ref.address;
    if (!damaged.insert(address).second) continue;
    // Half of them no longer say what type they are.
    flipped.emplace_back(address, (of & 1) != 0 ? f::header_type : below(remix(of, 1), f::header_size));
    shadow.flip(address, flipped.back().second, 0);
  }
  for (const DecodedTable& table : decoded_.tables) {
    if (!damaged.contains(table.index.address)) continue;  // Nothing else leads to its value blocks.
    for (const auto& value_block : table.value_blocks) damaged.erase(value_block.ref.address);
  }
  const Scrubber& scrubber = shadow.host().scrubber();
  const u64 found_before = scrubber.counters().damaged;
  const u64 tours_before = scrubber.counters().tours;
  shadow.host().scrub_tour(remix(random, 3));
  const u64 found = scrubber.counters().damaged - found_before;
  u64 listed = 0;
  for (const Scrubber::Damage& damage : scrubber.damages()) {
    listed += damaged.erase(damage.block.address);
    if (described(decoded_, damage)) continue;
    fail(FailureClass::oracle, "scrub: a damaged block is taken for another",
         fmt::format("block {} is said to be of type {}, tree {} and level {}", damage.block.address,
                     static_cast<u32>(damage.type), damage.tree, damage.level));
  }
  if (found != listed + damaged.size() || listed != scrubber.damages().size() ||
      listed != std::min<u64>(found, listed_max)) {
    fail(
        FailureClass::oracle, "scrub: damage is not found",
        fmt::format("a bit of {} was flipped, and of others; of {} damaged blocks a scrub tour found {}, and "
                    "lists {} of at most {}",
                    where, listed + damaged.size(), found, scrubber.damages().size(), listed_max));
  }
  shadow.flip(block.ref.address, byte, bit);
  for (const auto& [address, at] : flipped) shadow.flip(address, at, 0);
  scrub_mended(shadow, tours_before, remix(random, 9));
}

// What one tour has found is no damage to the next. It was the first one behind so many.
void Player::scrub_mended(Shadow& shadow, u64 tours_before, u64 random) {
  const Scrubber& scrubber = shadow.host().scrubber();
  const u64 found_before = scrubber.counters().damaged;
  shadow.host().scrub_tour(random);
  result_.counters.checks += 2;
  if (scrubber.counters().tours != tours_before + 2) {
    fail(FailureClass::oracle, "scrub: another number of tours",
         fmt::format("two tours more are over, and the scrubber counts {} more",
                     scrubber.counters().tours - tours_before));
  }
  if (scrubber.damages().empty() && scrubber.counters().damaged == found_before) return;
  fail(FailureClass::false_alarm, "scrub: damage that was mended",
       fmt::format("all damaged blocks were mended; the scrub tour behind that lists {} and has found {}",
                   scrubber.damages().size(), scrubber.counters().damaged - found_before));
}

// The first blocks of two levels are asked for one after the other, and together: what is wrong with the one
// that is delivered first is said, and a shadow's disk keeps the order.
void Player::verify_damaged_twice(Shadow& shadow, u64 random) {
  std::vector<std::pair<BlockRef, BlockRef>> pairs;
  const DecodedTable* before = nullptr;  // The first one of the level before.
  for (const DecodedTable& table : decoded_.tables) {
    if (before != nullptr && before->tree == table.tree) {
      if (before->level == table.level) continue;
      pairs.emplace_back(before->index, table.index);
    }
    before = &table;
  }
  if (pairs.empty()) return;
  const auto& [first, second] = pairs[below(random, pairs.size())];
  const u64 byte = below(remix(random, 1), f::header_size);
  for (const BlockRef& block : {first, second}) shadow.flip(block.address, byte, 0);
  const Verified verified(shadow.host());
  for (const BlockRef& block : {first, second}) shadow.flip(block.address, byte, 0);
  ++result_.counters.damages_shown;
  ++result_.counters.checks;
  if (names(verified.error, ErrorKind::block_damaged, first)) return;
  fail(FailureClass::oracle, "verify: another one of two damages",
       fmt::format("block {}, checksum {}, and then {} are damaged; verification ended in {}", first.address,
                   f::hex(first.checksum), second.address, verified.text()));
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

// Every checksum is right, and yet the image cannot be. `opening`: that shows as soon as it is opened.
void Player::verify_forged(u64 random, bool opening) {
  Image image = whole(disk_->truth_durable());
  const Forged forged = opening ? forge_opening(&image, decoded_, options_.runtime.blocks_count, random)
                                : forge_image(&image, decoded_, random);
  if (!forged.told()) return;
  RunOptions options = options_;
  options.scrub_damages = 1;
  Shadow shadow(world_, image, options, memory_->shadow, config_->oracles.has(Oracle::resource),
                config_->poison);
  ++result_.counters.damages_shown;
  ++result_.counters.checks;
  const BlockRef block{.address = forged.address, .checksum = forged.checksum};
  const Error opened = shadow.host().open();
  if (refuses(opened, forged)) return;  // Seen already.
  if (opened || forged.refused) {
    fail(forged.refused ? FailureClass::oracle : FailureClass::sim,
         forged.refused ? fmt::format("open: a lie is believed: {}", forged.lie)
                        : "a forged image does not open",
         fmt::format("{}: {} at block {}, checksum {}, stored {}, given {}; open ended in {} ({}) at {}, "
                     "checksum {}, stored {}, given {}",
                     forged.lie, error_name(forged.error), block.address, f::hex(block.checksum),
                     forged.stored, forged.given, error_name(opened.kind), opened.reason, opened.address,
                     f::hex(opened.checksum), opened.stored, opened.given));
  }
  const Verified verified(shadow.host());
  const ErrorKind expected = forged.damaged ? ErrorKind::block_damaged : ErrorKind::inconsistent;
  const bool named = lie_explained(forged, verified.error.reason) &&
                     (forged.tree == 0 ? names(verified.error, expected, block)
                                       : verified.error.kind == expected && agrees(verified.found, forged));
  // The first pass over all trees has met nothing that it would not meet in the image as it was.
  const std::string count = forged.tree == 0 ? "" : BlockCounts(decoded_).difference(verified.counts);
  if (!named || !count.empty()) {
    fail(FailureClass::oracle, fmt::format("verify: a lie is believed: {}", forged.lie),
         fmt::format("{} at block {}, checksum {}, in tree {} of timestamp {}; verification ended in {}{}{}",
                     forged.lie, block.address, f::hex(block.checksum), forged.tree, forged.timestamp,
                     verified.text(), count.empty() ? "" : "; of all blocks, ", count));
  }
  if (below(remix(random, 6), again_one_in) == 0) verify_again(shadow, verified, remix(random, 7));
  if (!forged.scrubbed) return;
  ++result_.counters.checks;
  shadow.host().scrub_tour(remix(random, 5));
  const std::span<const Scrubber::Damage> damages = shadow.host().scrubber().damages();
  const bool any = *forged.scrubbed != 0;
  const u64 counted = shadow.host().scrubber().counters().damaged;
  if (counted == (any ? 1 : 0) && damages.size() == counted &&
      (!any || damages[0].block.address == *forged.scrubbed))
    return;
  fail(FailureClass::oracle,
       fmt::format("scrub: a lie is {}: {}", any ? "believed" : "taken for damage", forged.lie),
       fmt::format("{} at block {}; a scrub tour should name block {}, and found {} damaged blocks, first {}",
                   forged.lie, forged.address, *forged.scrubbed, counted,
                   damages.empty() ? 0 : damages[0].block.address));
}

// What one verification has come to means nothing to the next one. A disagreement of grooves is hidden by
// damage meanwhile.
void Player::verify_again(Shadow& shadow, const Verified& before, u64 random) {
  ++result_.counters.checks;
  if (before.found.kind != GrooveDisagreement::Kind::none) {
    const BlockRef& block = decoded_.blocks[below(random, decoded_.blocks.size())].ref;
    const u64 byte = below(remix(random, 1), f::header_size);
    shadow.flip(block.address, byte, 0);
    const Verified damaged(shadow.host());
    shadow.flip(block.address, byte, 0);
    if (damaged.error.kind != ErrorKind::block_damaged || damaged.error.address != block.address ||
        damaged.found.kind != GrooveDisagreement::Kind::none) {
      fail(FailureClass::oracle, "verify again: damage is not found",
           fmt::format("a bit of block {} was flipped; verification ended in {}; before it in {}",
                       block.address, damaged.text(), before.text()));
    }
  }
  const Verified after(shadow.host());
  if (after.text() == before.text()) return;
  fail(FailureClass::oracle, "verify again: another end",
       fmt::format("verification ended in {}; of the same bytes before it in {}", after.text(),
                   before.text()));
}

// As many keys as the engine may be asked for at once, one or a few: what is refused must leave no trace.
void Player::prefetch_few(Shadow& shadow, u32 keys_max) {
  model_.rewind(model_.checkpoint_op());
  Audit audit(shadow.host(), rows_);
  for (u32 i = 0; i < world_.groove_count; ++i) {
    audit.objects(world_.groove(i), model_, Key{}, 1, keys_max);
  }
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
    options.scrub_damages = 1 + static_cast<u32>(below(scrubs_.at(0, 9), 4));
    Shadow shadow(world_, whole(disk_->truth_durable()), options, memory_->shadow,
                  config_->oracles.has(Oracle::resource), config_->poison);
    if (const Error error = shadow.host().open()) alarm(error, "shadow open", "nothing is damaged");
    const u64 cached_before = cached_count(shadow.host(), decoded_);
    verify_intact(shadow, below(scrubs_.at(0, 12), again_one_in) == 0 ? 1 : 0);
    if (below(scrubs_.at(0, 7), scrubbed_one_in) == 0) scrub_intact(shadow);
    ++result_.counters.checks;
    if (cached_count(shadow.host(), decoded_) != cached_before) {
      fail(FailureClass::oracle, "verify: the cache is not as it was",
           "verification or a scrub tour put blocks into the cache");
    }
    prefetch_few(shadow, options.prefetch_keys_max);
    if (below(scrubs_.at(0, 13), damaged_twice_one_in) == 0) verify_damaged_twice(shadow, scrubs_.at(0, 15));
    // Nothing was ever written: there is no block to damage.
    const bool any = !decoded_.blocks.empty();
    if (any && below(scrubs_.at(0, 5), damaged_one_in) == 0) verify_damaged(shadow, options.scrub_damages);
  }
  const bool both = mirrored() && !decoded_.blocks.empty();
  if (both && below(scrubs_.at(0, 10), both_sides_one_in) == 0) verify_both_sides(scrubs_.at(0, 11));
  if (both && below(scrubs_.at(0, 18), one_side_one_in) == 0) verify_one_side(scrubs_.at(0, 19));
  verify_limit();
  for (u64 i = 0; i < trees_opened; ++i) verify_trees(scrubs_.at(0, 17, i));
  const u64 lies_max = world_.groove_count > 0 ? lies_told_of_grooves : lies_told;
  const u64 affordable = lied_versions_max / (1 + BlockCounts(decoded_).versions);
  const u64 lies = std::min(lies_max, std::max(affordable, lies_told_least));
  for (u64 i = 0; can_forge(decoded_) && i < lies; ++i) verify_forged(scrubs_.at(decoded_.op, 4, i), false);
  for (u64 i = 0; can_forge(decoded_) && i < lies_told_to_open; ++i) {
    verify_forged(scrubs_.at(decoded_.op, 14, i), true);
  }
  muted_ = false;
}

}  // namespace tonearm::sim
