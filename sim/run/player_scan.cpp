// Lines about scans of trees that stay open from line to line: what each yields is compared row by row.
#include <fmt/format.h>

#include "sim/run/player.h"
#include "sim/run/twin.h"

namespace tonearm::sim {

namespace {

constexpr u64 answer_of_scan_open = 2;

u64 row_hash(u64 hash, const ScanRow& row) {
  return hash_of(hash_of(hash ^ row.key.low ^ row.key.middle ^ row.key.high) ^ row.value);
}

}  // namespace

// Nothing may change under a scan. A twin is played without the lines that did not apply, and without scopes:
// that they closed scans is said to it.
void Player::maybe_close_scans() {
  if (scans_open_ + query_leaves_open_ == 0 || !ends_scans(line_.kind)) return;
  for (u32 slot = 0; slot < scan_slots; ++slot) {
    if (scans_[slot]) close_scan(slot);
  }
  close_open_queries();
  ASSERT(scans_open_ == 0);
}

void Player::close_scan(u32 slot) {
  host_->scan_close(slot);
  scans_[slot].reset();
  --scans_open_;
  if (config_->record_effective) effective_op_.push_back({.entry = effective_close_bit | slot, .answer = 0});
}

// With the engine they are gone.
void Player::forget_scans() {
  for (std::optional<OpenScan>& scan : scans_) scan.reset();
  scans_open_ = 0;
}

void Player::line_tree_scan() {
  if (line_.kind == OperationKind::scan_open) return line_scan_open();
  if (line_.kind == OperationKind::scan_next) return line_scan_next();
  if (line_.kind == OperationKind::scan_probe) return line_scan_probe();
  if (line_.kind == OperationKind::scan_abort) return line_scan_abort();
  ASSERT(line_.kind == OperationKind::scan_close);
  line_scan_close();
}

void Player::line_scan_open() {
  const u32 slot = scan_slot(line_);
  if (host_->forest().scope_active() || scans_[slot]) return skip();
  const ScanRequest request{.tree = line_.tree,
                            .range = {.min = line_.key, .max = line_.key_end},
                            .direction = line_.direction,
                            .cold = line_.cold};
  const bool full = scans_open_ >= options_.runtime.scans_max;
  const bool opened = host_->scan_open(slot, request);
  record_answer(answer_of_scan_open, opened ? 1 : 0);
  effective_query(opened ? 1 : 0);
  ++result_.counters.checks;
  if (!opened) ++result_.counters.scans_full;
  if (opened == full && config_->oracles.has(Oracle::model)) {
    fail(FailureClass::oracle, opened ? "scan_open: one too many" : "scan_open: refused",
         fmt::format("{} scans are open, {} may be, and the engine says {}", scans_open_,
                     options_.runtime.scans_max, opened ? "ok" : "scans_max_exceeded"));
  }
  if (!opened) return;
  const ModelKey min = model_key(line_.key);
  const ModelKey max = model_key(line_.key_end);
  scans_[slot].emplace(OpenScan{.model = {model_.tree(line_.tree), min, max, line_.direction},
                                .tree = line_.tree,
                                .direction = line_.direction,
                                .line = line_index_});
  ++scans_open_;
}

// Of several scans one value each, again and again, until each has given as many as the line says or has
// ended.
void Player::line_scan_next() {
  BoundedArray<u32, scan_slots> slots;
  for (u32 slot = 0; slot < scan_slots; ++slot) {
    if ((line_.slots >> slot & 1) != 0 && scans_[slot]) slots.push(slot);
  }
  if (slots.empty()) return skip();
  u64 hash = 0;
  u64 rows = 0;
  std::string text = op_id_text(line_.id) + " ->";
  for (u64 turn = 0; turn < line_.count && !slots.empty(); ++turn) {
    bool failed = false;
    std::array<ScanStep, scan_slots> steps;
    host_->scan_next({slots.begin(), slots.count()}, std::span(steps).first(slots.count()));
    BoundedArray<u32, scan_slots> going_on;
    for (u32 i = 0; i < slots.count(); ++i) {
      const ScanStep& step = steps[i];
      const TreeName tree = scans_[slots[i]]->tree;
      failed |= step.kind == ScanStep::Kind::failed;
      judge_step(slots[i], step);
      hash = hash_of(hash ^ slots[i]);
      if (step.kind != ScanStep::Kind::row) continue;
      going_on.push(slots[i]);
      hash = row_hash(hash, step.row);
      ++rows;
      if (config_->answer_listener) {
        text += fmt::format(" {}:{}={}", slots[i], key_text(tree, engine_key(tree, step.row.key)),
                            step.row.value);
      }
    }
    // A twin is not played the line, so nothing that it names goes on.
    for (u32 slot = 0; failed && slot < scan_slots; ++slot) {
      if ((line_.slots >> slot & 1) != 0 && scans_[slot]) close_scan(slot);
    }
    if (failed) return;
    slots = going_on;
  }
  for (const u32 slot : slots) look_ahead(slot);
  result_.counters.scan_rows += rows;
  record_answer(rows, hash);
  effective_query(hash_of(hash ^ rows));
  if (config_->answer_listener) config_->answer_listener(text);
}

// Now and then the engine is asked for one row more, as whoever merges scans does: then it has returned more
// than was taken from it, or waits for a read, when the next line comes.
void Player::look_ahead(u32 slot) {
  if ((looks_.at(line_.id.number, slot) & 1) == 0) return;
  host_->scan_look_ahead(slot);
}

void Player::judge_step(u32 slot, const ScanStep& step) {
  OpenScan& scan = *scans_[slot];
  if (step.kind == ScanStep::Kind::failed) {
    judge_error(step.error, "scan_next");
    return close_scan(slot);
  }
  const std::optional<ModelMap::value_type> expected = scan.model.next();
  ++result_.counters.checks;
  if (!config_->oracles.has(Oracle::model)) return;
  const bool row = step.kind == ScanStep::Kind::row;
  if (row && expected && step.row.key == expected->first && step.row.value == expected->second) {
    ++scan.rows;
    return;
  }
  if (!row && !expected) return;
  const bool ascending = scan.direction == Direction::ascending;
  const bool extra = row && (!expected || (step.row.key < expected->first) == ascending);
  const bool value = row && expected && step.row.key == expected->first;
  const Key key = engine_key(scan.tree, extra || value ? step.row.key : expected->first);
  const char* kind = value ? "another value" : extra ? "an extra row" : "a missing row";
  std::string message = fmt::format("scan n={} of {}: {} at row {}: key {}", slot, tree_name(scan.tree), kind,
                                    scan.rows, key_text(scan.tree, key));
  if (value) {
    message += fmt::format(": the engine says {}, the model says {}", step.row.value, expected->second);
  }
  fail(FailureClass::oracle,
       fmt::format("open scan{} {}: {}", ascending ? "" : " descending", tree_name(scan.tree), kind), message,
       scan_story(slot) + explain(scan.tree, key));
}

// A probe names the tree, because the line that opened the scan may be gone.
void Player::line_scan_probe() {
  const u32 slot = scan_slot(line_);
  if (!scans_[slot] || scans_[slot]->tree != line_.tree) return skip();
  host_->scan_probe(slot, line_.key);
  scans_[slot]->model.probe(model_key(line_.key));
  effective_query(0);
}

void Player::line_scan_abort() {
  const u32 slot = scan_slot(line_);
  if (!scans_[slot]) return skip();
  host_->scan_abort(slot);
  scans_[slot]->model.abort();
  effective_query(0);
}

void Player::line_scan_close() {
  const u32 slot = scan_slot(line_);
  if (!scans_[slot]) return skip();
  close_scan(slot);
}

}  // namespace tonearm::sim
