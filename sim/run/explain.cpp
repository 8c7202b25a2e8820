#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "sim/run/player.h"

namespace tonearm::sim {

namespace {

constexpr u32 history_lines_max = 24;
constexpr u32 events_max = 20;

bool interrupts(const Operation& line) {
  return line.kind == OperationKind::crash || line.kind == OperationKind::reopen ||
         line.kind == OperationKind::scope || line.kind == OperationKind::end;
}

bool changes_objects(const Operation& line) {
  return line.of_groove() && line.kind != OperationKind::get && line.kind != OperationKind::exists &&
         line.kind != OperationKind::prefetch;
}

// Lines that may have touched a key of a tree: by name, or by the objects that the key belongs to.
class Touched {
 public:
  Touched(TreeName tree, const Key& key) : tree_(tree), key_(key), groove_(tree_spec(tree).groove) {
    by_timestamp_ = groove_ != GrooveName::none && tree_spec(tree).shape != KeyShape::wide_number;
    timestamp_ = static_cast<u64>(key.lo) & timestamp_max;
    if (groove_ != GrooveName::none && !by_timestamp_) keys_.push_back(key.lo);
  }
  // The first pass: which objects have had the timestamp of an index entry.
  void learn(const Operation& line) {
    const bool inserts = line.kind == OperationKind::insert || line.kind == OperationKind::upsert;
    if (!by_timestamp_ || !line.of_groove() || line.groove() != groove_) return;
    if (!inserts || inserted_timestamp(line) != timestamp_) return;
    keys_.push_back(object_key(line));
  }
  bool touches(const Operation& line) const {
    if (interrupts(line)) return true;
    if (groove_ == GrooveName::none) {
      const bool changes = line.kind == OperationKind::put || line.kind == OperationKind::remove;
      return changes && line.tree == tree_ && line.key == key_;
    }
    if (!changes_objects(line) || line.groove() != groove_) return false;
    return std::find(keys_.begin(), keys_.end(), object_key(line)) != keys_.end();
  }

 private:
  TreeName tree_;
  Key key_;
  GrooveName groove_;
  bool by_timestamp_ = false;
  u64 timestamp_ = 0;
  std::vector<u128> keys_;
};

std::string value_words(const Tree& tree, TreeName name, const std::byte* value) {
  if (value == nullptr) return "no";
  if (tree.kernel().is_tombstone(value)) return "a tombstone";
  const TreeSpec& spec = tree_spec(name);
  if (spec.secondary_index) return "yes";
  if (spec.groove != GrooveName::none && groove_spec(spec.groove).objects == name) {
    ObjectAnswer answer{.kind = GrooveEngine::Found::found, .object = {}};
    std::memcpy(answer.object.data(), value, groove_spec(spec.groove).object_bytes);
    return answer_text(spec.groove, answer);
  }
  return fmt::format("value {}", decode_value(name, value));
}

// The newest version among sorted values, or null.
const std::byte* search(const Tree& tree, std::span<const std::byte> values, const Key& key) {
  const u32 count = static_cast<u32>(values.size() / tree.layout().value_size);
  const u32 at = tree.kernel().lower_bound(values.data(), count, key);
  if (at == count) return nullptr;
  const std::byte* value = values.data() + u64{at} * tree.layout().value_size;
  return tree.kernel().key_of(value) == key ? value : nullptr;
}

}  // namespace

std::string Player::explain(TreeName tree, const Key& key) {
  std::string story = history(tree, key) + whereabouts(tree, key);
  const GrooveName groove = tree_spec(tree).groove;
  if (groove == GrooveName::none || !host_) return story;
  // The object that the key names or belongs to, as the model has it, and its entries in the other trees.
  const bool by_id = tree_spec(tree).shape == KeyShape::wide_number;
  const u64 timestamp = static_cast<u64>(key.lo) & timestamp_max;
  const Side side = by_id ? model_.get_object(groove, key.lo) : model_.object_at(groove, timestamp);
  story += fmt::format("the model says: {}\n", side_text(groove, side));
  if (side.presence != Presence::object) return story;
  std::vector<IndexEntry> entries;
  const GrooveShape* shape = nullptr;
  for (const GrooveShape& candidate : shape_->grooves) {
    if (std::string_view(candidate.name) == groove_spec(groove).name) shape = &candidate;
  }
  ASSERT(shape != nullptr);
  shape->entries(object_bytes(groove, side.object), &entries);
  entries.push_back({.tree = shape->object_tree, .key = {0, side.object.timestamp}});
  if (shape->id_tree != 0) entries.push_back({.tree = shape->id_tree, .key = {0, side.object.id}});
  std::sort(entries.begin(), entries.end());
  for (const IndexEntry& entry : entries) {
    const TreeName other = world_.tree_of(entry.tree);
    const Key other_key{.lo = entry.key.second, .hi = entry.key.first};
    if (other != tree || other_key != key) story += places(other, other_key);
  }
  return story;
}

// In one line, whether the engine has the key in memory and which levels may have it.
std::string Player::places(TreeName name, const Key& key) {
  Tree& tree = host_->tree(name);
  std::string text = fmt::format("  {} {}: mutable: {}, immutable: {}", tree_name(name), key_text(name, key),
                                 value_words(tree, name, tree.table_mutable().get(key)),
                                 value_words(tree, name, tree.table_immutable().get(key)));
  for (u32 level = 0; level < tree.manifest().levels(); ++level) {
    if (const TableInfo* table = tree.manifest().lookup(level, key))
      text += fmt::format(", covered at level {} by table {}", level, table->address);
  }
  return text + "\n";
}

// Which lines touched the key, up to the one at hand. The source is a pure function: asked once more.
std::string Player::history(TreeName tree, const Key& key) {
  std::deque<std::string> lines;
  u64 touched = 0;
  const auto tell = [&](const Operation& told) {
    std::string text = "  ";
    print_operation(told, &text);
    lines.push_back(std::move(text));
    if (lines.size() > history_lines_max) lines.pop_front();
    ++touched;
  };
  // A scope in which the key was not changed has done nothing to it.
  std::optional<Operation> scope;
  Operation line;
  const u64 end = std::min(index_, config_->source->count());
  Touched touched_by(tree, key);
  for (u64 i = 0; i < end && tree_spec(tree).groove != GrooveName::none; ++i) {
    config_->source->at(i, &line);
    touched_by.learn(line);
  }
  for (u64 i = 0; i < end; ++i) {
    config_->source->at(i, &line);
    if (!touched_by.touches(line)) continue;
    if (line.kind == OperationKind::scope) {
      if (!scope) scope = line;
      continue;
    }
    const bool idle = scope && interrupts(line);
    if (scope && !idle) tell(*scope);
    scope.reset();
    if (!idle || line.kind != OperationKind::end) tell(line);
  }
  if (scope) tell(*scope);
  std::string story = fmt::format("history of {} key={} ({} lines; {}, scopes, crashes):\n", tree_name(tree),
                                  key_text(tree, key), touched,
                                  tree_spec(tree).groove == GrooveName::none ? "puts, removes" : "changes");
  if (touched > lines.size()) story += fmt::format("  ... {} earlier lines\n", touched - lines.size());
  for (const std::string& text : lines) story += text;
  return story;
}

// In which memory table, and in which table and block of each level, the engine has the key.
std::string Player::whereabouts(TreeName name, const Key& key) {
  if (!host_) return "";
  Tree& tree = host_->tree(name);
  std::string story = fmt::format("in the engine, at op {}:\n", host_->forest().op());
  story += fmt::format("  mutable table ({} values): {}\n", tree.table_mutable().count(),
                       value_words(tree, name, tree.table_mutable().get(key)));
  story += fmt::format("  immutable table ({} values{}): {}\n", tree.table_immutable().count(),
                       tree.table_immutable().flushed() ? ", flushed" : "",
                       value_words(tree, name, tree.table_immutable().get(key)));
  const u32 block_size = options_.format.block_size;
  std::vector<u128> memory(2 * block_size / sizeof(u128));
  std::byte* index_block = reinterpret_cast<std::byte*>(memory.data());
  std::byte* value_block = index_block + block_size;
  const auto read = [&](const BlockReference& block, std::byte* target) {
    disk_->image().read(disk_->grid_offset() + (block.address - 1) * block_size, {target, block_size});
    return block_verify(target, block_size, options_.format.sector_size, block.checksum);
  };
  for (u32 level = 0; level < tree.manifest().levels(); ++level) {
    const TableInfo* table = tree.manifest().lookup(level, key);
    const u64 tables = tree.manifest().level(level).count();
    if (tables == 0) continue;
    story += fmt::format("  level {} ({} tables): ", level, tables);
    if (table == nullptr) {
      story += "no table covers the key\n";
      continue;
    }
    story += fmt::format("table at {} [{}..{}]: ", table->address, key_text(name, table->key_min),
                         key_text(name, table->key_max));
    if (const BlockResult result = read(table->index_block(), index_block); result != BlockResult::valid) {
      story += fmt::format("index block is {}\n", block_result_name(result));
      continue;
    }
    const IndexBlock index(tree.layout(), tree.kernel(), index_block);
    const u32 position = index.find(key);
    if (position == index.count()) {
      story += "between its value blocks\n";
      continue;
    }
    const BlockReference block = index.value_block(position);
    if (const BlockResult result = read(block, value_block); result != BlockResult::valid) {
      story += fmt::format("value block at {} is {}\n", block.address, block_result_name(result));
      continue;
    }
    const std::byte* value = search(tree, value_block_values(tree.layout(), value_block), key);
    story += fmt::format("{} in the block at {}\n", value_words(tree, name, value), block.address);
  }
  return story;
}

// All lines about an open scan, the one that opened it first.
std::string Player::scan_story(u32 slot) {
  ASSERT(scans_[slot]);
  std::string story = fmt::format("scan n={}:\n", slot);
  Operation line;
  std::deque<std::string> lines;
  for (u64 i = scans_[slot]->line; i < std::min(index_, config_->source->count()); ++i) {
    config_->source->at(i, &line);
    if (!of_scan(line.kind) || (line.slots >> slot & 1) == 0) continue;
    std::string text = "  ";
    print_operation(line, &text);
    if (i == scans_[slot]->line) {
      story += text;
      continue;
    }
    lines.push_back(std::move(text));
    if (lines.size() > history_lines_max) lines.pop_front();
  }
  for (const std::string& text : lines) story += text;
  return story;
}

std::string Player::last_events() {
  std::string story = fmt::format("last {} events:\n", events_max);
  for (const Event& event : trace_.tail(events_max)) story += "  " + Trace::describe(event) + "\n";
  return story;
}

}  // namespace tonearm::sim
