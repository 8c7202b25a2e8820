#include <fmt/format.h>

#include "sim/run/player.h"

namespace tonearm::sim {

namespace {

constexpr u32 history_lines_max = 24;
constexpr u32 events_max = 20;

bool touches(const Operation& line, TreeName tree, const Key& key) {
  switch (line.kind) {
    case OperationKind::put:
    case OperationKind::remove: return line.tree == tree && line.key == key;
    case OperationKind::crash:
    case OperationKind::reopen:
    case OperationKind::scope:
    case OperationKind::end: return true;
    case OperationKind::get:
    case OperationKind::scan:
    case OperationKind::commit:
    case OperationKind::checkpoint:
    case OperationKind::fault:
    case OperationKind::latency:
    case OperationKind::insert:
    case OperationKind::update:
    case OperationKind::upsert:
    case OperationKind::orphan:
    case OperationKind::exists:
    case OperationKind::prefetch:
    case OperationKind::call: return false;
  }
  return false;
}

std::string value_words(const Tree& tree, TreeName name, const std::byte* value) {
  if (value == nullptr) return "no";
  if (tree.kernel().is_tombstone(value)) return "a tombstone";
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
  return history(tree, key) + whereabouts(tree, key);
}

// Which lines touched the key, up to the one at hand. The source is a pure function: asked once more.
std::string Player::history(TreeName tree, const Key& key) {
  std::deque<std::string> lines;
  u64 touched = 0;
  Operation line;
  const u64 end = std::min(index_, config_->source->count());
  for (u64 i = 0; i < end; ++i) {
    config_->source->at(i, &line);
    if (!touches(line, tree, key)) continue;
    std::string text = "  ";
    print_operation(line, &text);
    lines.push_back(std::move(text));
    if (lines.size() > history_lines_max) lines.pop_front();
    ++touched;
  }
  std::string story = fmt::format("history of {} key={} ({} lines; puts, removes, scopes, crashes):\n",
                                  tree_name(tree), key_text(tree, key), touched);
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

std::string Player::last_events() {
  std::string story = fmt::format("last {} events:\n", events_max);
  for (const Event& event : trace_.tail(events_max)) story += "  " + Trace::describe(event) + "\n";
  return story;
}

}  // namespace tonearm::sim
