// Lines that ask grooves for objects: whole queries, their pages, and queries that stay open.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "sim/run/player.h"
#include "sim/run/twin.h"

namespace tonearm::sim {

namespace {

constexpr u64 answer_of_query = 4;
constexpr u64 answer_of_query_open = 5;

u64 timestamp_of(GrooveName groove, const std::byte* object) {
  u64 timestamp = 0;
  std::memcpy(&timestamp, object + groove_spec(groove).timestamp_offset, sizeof timestamp);
  return timestamp;
}

bool contains(const std::vector<u64>& timestamps, u64 timestamp) {
  return std::find(timestamps.begin(), timestamps.end(), timestamp) != timestamps.end();
}

QueryRequest request_of(const QueryPlan& plan, const QueryTree& query) {
  return {.groove = plan.groove,
          .query = &query,
          .direction = plan.direction,
          .beyond = plan.beyond,
          .cold = plan.cold};
}

}  // namespace

// --- whole queries

void Player::line_query() {
  if (host_->forest().scope_active()) return skip();
  LastQuery& last = last_query_[static_cast<u32>(line_.groove())];
  last = {.plan = query_plan(line_), .in_op = true, .lost = false};
  play_query(last);
}

void Player::line_page() {
  LastQuery& last = last_query_[static_cast<u32>(line_.groove())];
  if (host_->forest().scope_active() || last.plan.query.size == 0) return skip();
  last.in_op = true;
  ++result_.counters.pages;
  play_query(last);
}

// A crash forgets no query, but a twin is not played the lines that it made undone: what depends on those is
// not asked of it either.
void Player::queries_committed() {
  for (LastQuery& last : last_query_) last.in_op = false;
}
void Player::queries_crashed() {
  for (LastQuery& last : last_query_) last.lost |= last.in_op;
}

void Player::play_query(LastQuery& last) {
  QueryPlan& plan = last.plan;
  const QueryTree query = decode_query(plan.groove, plan.query);
  host_->query(request_of(plan, query), plan.buffer, plan.limit == 0 ? u64_max : plan.limit, &query_result_);
  const bool full = query_leaves_open_ + query.leaves() > options_.runtime.scans_max;
  judge_refused("query", query_result_.refused, full);
  if (query_result_.broken != nullptr) {
    fail(FailureClass::oracle, fmt::format("query: {}", query_result_.broken),
         fmt::format("a query of {}: {}", groove_spec(plan.groove).name, query_result_.broken));
  }
  if (query_result_.error) {
    last.lost = true;  // Its pages begin elsewhere in a twin, where it is answered.
    return judge_error(query_result_.error, "query");
  }
  if (config_->oracles.has(Oracle::model) && !query_result_.refused) compare_query(plan, query);

  const u64 object_size = groove_spec(plan.groove).object_bytes;
  u64 hash = query_result_.refused ? 1 : 0;
  std::string text;
  for (u64 i = 0; i < query_result_.count; ++i) {
    const std::byte* const object = query_result_.objects.data() + i * object_size;
    hash = hash_of(hash ^ object_hash(plan.groove, object));
    if (config_->answer_listener) text += fmt::format(" {}", timestamp_of(plan.groove, object));
    if (i + 1 == query_result_.count) plan.beyond = timestamp_of(plan.groove, object);
  }
  result_.counters.query_objects += query_result_.count;
  record_answer(answer_of_query, hash_of(hash ^ query_result_.count));
  last.lost |= standing_ != Standing::up;
  if (!last.lost) effective_query(hash_of(hash ^ query_result_.count));
  if (!config_->answer_listener) return;
  if (query_result_.refused) text = " scans_max_exceeded";
  config_->answer_listener(op_id_text(line_.id) + " ->" + text);
}

// More leaves than the pool has buffers left: both sides say so.
void Player::judge_refused(const char* where, bool refused, bool full) {
  ++result_.counters.checks;
  if (refused) ++result_.counters.scans_full;
  if (refused == full || !config_->oracles.has(Oracle::model)) return;
  fail(FailureClass::oracle, fmt::format("{}: {}", where, refused ? "refused" : "one leaf too many"),
       fmt::format("{} leaves are open, {} may be, and the engine says {}", query_leaves_open_,
                   options_.runtime.scans_max, refused ? "scans_max_exceeded" : "ok"));
}

void Player::compare_query(const QueryPlan& plan, const QueryTree& query) {
  const std::vector<u64> expected = query_answer(model_, plan);
  const ObjectStore& objects = model_.objects(plan.groove);
  for (const u64 timestamp : expected) objects.fetch_place_at(timestamp);
  for (const u64 timestamp : expected) objects.fetch_at(timestamp);
  const u64 object_size = groove_spec(plan.groove).object_bytes;
  const u64 count = query_result_.count;
  const auto object = [&](u64 i) { return query_result_.objects.data() + i * object_size; };
  for (u64 i = 0; i < std::max<u64>(count, expected.size()); ++i) {
    ++result_.counters.checks;
    if (i == count || i == expected.size() || timestamp_of(plan.groove, object(i)) != expected[i]) {
      std::vector<u64> given;
      for (u64 j = 0; j < count; ++j) given.push_back(timestamp_of(plan.groove, object(j)));
      return fail_query(plan, query, expected, given, i);
    }
    const Side side = objects.at(expected[i]);
    ASSERT(side.presence == Presence::object);
    ObjectAnswer answer{.kind = GrooveEngine::Found::found, .object = {}};
    std::memcpy(answer.object.data(), object(i), object_size);
    compare_object(plan.groove, key_of(plan.groove, side.object), side, answer, FailureClass::oracle,
                   "query");
  }
}

// Of two lists that differ at a place.
void Player::fail_query(const QueryPlan& plan, const QueryTree& query, const std::vector<u64>& expected,
                        const std::vector<u64>& given, u64 at) {
  const bool missing = at < expected.size() && !contains(given, expected[at]);
  const bool extra = at < given.size() && !contains(expected, given[at]);
  const char* const kind = missing ? "missing" : extra ? "extra" : "another order";
  const u64 timestamp = missing ? expected[at] : at < given.size() ? given[at] : expected[at];
  const char* const groove = groove_spec(plan.groove).name;
  std::string text;
  print_query(query, &text);
  fail(FailureClass::oracle, fmt::format("query: {}: {}", groove, kind),
       fmt::format("query {} {}: {} at place {}: timestamp {}; the engine says {}, the model says {}", groove,
                   text, kind, at, timestamp, given.size(), expected.size()),
       explain_query(plan, query, timestamp));
}

// --- queries that stay open

void Player::line_query_scan() {
  if (line_.kind == OperationKind::scan_open) return query_scan_open();
  if (line_.kind == OperationKind::scan_next) return query_scan_next();
  const u32 slot = scan_slot(line_);
  if (!open_queries_[slot]) return skip();
  if (line_.kind == OperationKind::scan_close) return close_query(slot);
  if (line_.kind == OperationKind::scan_abort) {
    host_->query_abort(slot);
    open_queries_[slot]->expected.abort();
  } else {
    ASSERT(line_.kind == OperationKind::scan_probe);
    host_->query_probe(slot, static_cast<u64>(line_.key.lo));
    open_queries_[slot]->expected.probe(static_cast<u64>(line_.key.lo));
  }
  effective_query(0);
}

void Player::query_scan_open() {
  const u32 slot = scan_slot(line_);
  if (host_->forest().scope_active() || open_queries_[slot]) return skip();
  const QueryPlan plan{.groove = line_.groove(),
                       .query = line_.query,
                       .direction = line_.direction,
                       .limit = 0,
                       .buffer = 1,
                       .cold = line_.cold,
                       .beyond = {}};
  const QueryTree query = decode_query(plan.groove, plan.query);
  const bool full = query_leaves_open_ + query.leaves() > options_.runtime.scans_max;
  const bool opened = host_->query_open(slot, request_of(plan, query));
  record_answer(answer_of_query_open, opened ? 1 : 0);
  effective_query(opened ? 1 : 0);
  judge_refused("scan_open", !opened, full);
  if (!opened) return;
  QueryScanModel expected(query_matches(model_, plan.groove, query), plan.direction);
  open_queries_[slot].emplace(
      OpenQuery{.plan = plan, .leaves = query.leaves(), .expected = std::move(expected)});
  query_leaves_open_ += query.leaves();
}

void Player::close_query(u32 slot) {
  ASSERT(open_queries_[slot]);
  host_->query_close(slot);
  query_leaves_open_ -= open_queries_[slot]->leaves;
  open_queries_[slot].reset();
  if (config_->record_effective) effective_op_.push_back({.entry = effective_close_bit | slot, .answer = 0});
}

void Player::close_open_queries() {
  for (u32 slot = 0; slot < scan_slots; ++slot) {
    if (open_queries_[slot]) close_query(slot);
  }
  ASSERT(query_leaves_open_ == 0);
}

// With the engine they are gone.
void Player::forget_open_queries() {
  for (std::optional<OpenQuery>& open : open_queries_) open.reset();
  query_leaves_open_ = 0;
}

// Of several queries one timestamp each, again and again, until each has given as many as the line says or
// has ended.
void Player::query_scan_next() {
  BoundedArray<u32, scan_slots> slots;
  for (u32 slot = 0; slot < scan_slots; ++slot) {
    if ((line_.slots >> slot & 1) != 0 && open_queries_[slot]) slots.push(slot);
  }
  if (slots.empty()) return skip();
  u64 hash = 0;
  u64 values = 0;
  std::string text = op_id_text(line_.id) + " ->";
  for (u64 turn = 0; turn < line_.count && !slots.empty(); ++turn) {
    bool failed = false;
    std::array<QueryStep, scan_slots> steps;
    host_->query_next({slots.begin(), slots.count()}, std::span(steps).first(slots.count()));
    BoundedArray<u32, scan_slots> going_on;
    for (u32 i = 0; i < slots.count(); ++i) {
      const QueryStep& step = steps[i];
      failed |= step.kind == QueryStep::Kind::failed;
      judge_query_step(slots[i], step);
      hash = hash_of(hash ^ slots[i]);
      if (step.kind != QueryStep::Kind::value) continue;
      going_on.push(slots[i]);
      hash = hash_of(hash ^ step.timestamp);
      ++values;
      if (config_->answer_listener) text += fmt::format(" {}:{}", slots[i], step.timestamp);
    }
    // A twin is not played the line, so nothing that it names goes on.
    for (u32 slot = 0; failed && slot < scan_slots; ++slot) {
      if ((line_.slots >> slot & 1) != 0 && open_queries_[slot]) close_query(slot);
    }
    if (failed) return;
    slots = going_on;
  }
  result_.counters.scan_rows += values;
  record_answer(values, hash);
  effective_query(hash_of(hash ^ values));
  if (config_->answer_listener) config_->answer_listener(text);
}

void Player::judge_query_step(u32 slot, const QueryStep& step) {
  OpenQuery& open = *open_queries_[slot];
  if (step.kind == QueryStep::Kind::failed) {
    judge_error(step.error, "scan_next");
    return close_query(slot);
  }
  const std::optional<u64> expected = open.expected.next();
  ++result_.counters.checks;
  const bool value = step.kind == QueryStep::Kind::value;
  if (!config_->oracles.has(Oracle::model)) return;
  if (value ? expected == step.timestamp : !expected) return;
  // What comes first in the direction of the scan is what the other side has not.
  const bool ascending = open.plan.direction == Direction::ascending;
  const bool extra = value && (!expected || (step.timestamp < *expected) == ascending);
  const u64 timestamp = extra ? step.timestamp : *expected;
  const char* const groove = groove_spec(open.plan.groove).name;
  const QueryPlan plan = open.plan;
  const QueryTree query = decode_query(plan.groove, plan.query);
  fail(FailureClass::oracle, fmt::format("open query: {}: {}", groove, extra ? "extra" : "missing"),
       fmt::format("query n={} of {}: {}: timestamp {} {}", slot, groove, query_text(plan.groove, plan.query),
                   timestamp, extra ? "should not be there" : "is missing"),
       explain_query(plan, query, timestamp));
}

}  // namespace tonearm::sim
