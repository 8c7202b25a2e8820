#include "sim/cli/trace_file.h"

#include <fmt/format.h>

#include "sim/cli/json.h"
#include "sim/cli/problems.h"
#include "sim/disk/trace.h"

namespace tonearm::sim {

namespace {

constexpr const char* process_names[] = {"lines", "engine", "disk"};

// Of the completion that ends a submission.
EventKind completion_of(EventKind submission) {
  if (submission == EventKind::submit_read) return EventKind::complete_read;
  if (submission == EventKind::submit_write) return EventKind::complete_write;
  ASSERT(submission == EventKind::submit_sync);
  return EventKind::complete_sync;
}

const char* request_category(EventKind completion) {
  if (completion == EventKind::complete_read) return "read";
  if (completion == EventKind::complete_write) return "write";
  ASSERT(completion == EventKind::complete_sync);
  return "sync";
}

std::string tag_of(const Event& event) {
  return tag_text({.purpose = static_cast<IoPurpose>(static_cast<u8>(event.c)),
                   .level = static_cast<u8>(event.c >> 8),
                   .tree = static_cast<u16>(event.c >> 16)},
                  static_cast<u32>(event.c >> 32));
}

}  // namespace

TraceFile::TraceFile(const std::string& name, RunConfig* config) : name_(name) {
  if (name.empty()) return;
  file_.reset(std::fopen(name.c_str(), "wb"));
  if (!file_) throw EnvironmentError(fmt::format("{}: cannot be written", name));
  world_ = &world_of_run(config->workload, config->options);
  config->timeline = this;
  config->event_context = this;
  config->event_listener = [](void* context, u64, const Event& happened) {
    static_cast<TraceFile*>(context)->event(happened);
  };
  for (u64 process = 1; process <= std::size(process_names); ++process) {
    const JsonFields fields = {{"ph", std::string("M")},
                               {"pid", process},
                               {"name", std::string("process_name")},
                               {"args", JsonFields{{"name", std::string(process_names[process - 1])}}}};
    fmt::print(file_.get(), "{}{}", process == 1 ? "[\n" : ",\n", json_text(fields));
  }
}

void TraceFile::finish() {
  if (!file_) return;
  end_line(last_tick_);
  end_all(last_tick_, "end of the run");
  fmt::print(file_.get(), "\n]\n");
  const bool bad = std::ferror(file_.get()) != 0 || std::fflush(file_.get()) != 0;
  if (bad) throw EnvironmentError(fmt::format("{}: cannot be written", name_));
}

// `id` 0: not asynchronous. `detail` empty: none.
void TraceFile::write(const char* phase, Process process, const char* category, const std::string& name,
                      u64 tick, u64 id, const std::string& detail) {
  last_tick_ = std::max(last_tick_, tick);
  JsonFields fields = {{"ph", std::string(phase)},
                       {"pid", static_cast<u64>(process)},
                       {"tid", u64{1}},
                       {"cat", std::string(category)},
                       {"name", name},
                       {"ts", tick}};
  if (id != 0) fields.push_back({"id", id});
  if (*phase == 'i') fields.push_back({"s", std::string("p")});
  if (!detail.empty()) fields.push_back({"args", JsonFields{{"detail", detail}}});
  fmt::print(file_.get(), ",\n{}", json_text(fields));
}

void TraceFile::instant(Process process, const char* category, const std::string& name, u64 tick) {
  write("i", process, category, name, tick, 0, {});
}

TraceFile::Open TraceFile::begin(Process process, const char* category, std::string name, u64 tick,
                                 const std::string& detail) {
  const Open open{.id = next_id_++, .name = std::move(name)};
  write("b", process, category, open.name, tick, open.id, detail);
  return open;
}

void TraceFile::end(Process process, const char* category, const Open& open, u64 tick, const char* how) {
  write("e", process, category, open.name, tick, open.id, how);
}

// Lines follow one another, so they are plain durations of one thread.
void TraceFile::line_begins(u64 tick, const Operation& line) {
  end_line(tick);
  std::string text;
  print_operation(line, &text);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  line_ = {.id = next_id_++, .name = op_id_text(line.id) + " " + operation_kind_name(line.kind)};
  write("B", Process::lines, "line", line_.name, tick, 0, text);
}

void TraceFile::end_line(u64 tick) {
  if (line_.id == 0) return;
  write("E", Process::lines, "line", line_.name, tick, 0, {});
  line_ = {};
}

std::string TraceFile::place_text(SpanPlace place) const {
  if (place.tree == 0) return {};
  const std::string tree = world_->has_id(place.tree) ? tree_name(world_->tree_of(place.tree))
                                                      : fmt::format("tree {}", place.tree);
  return fmt::format(" {} level {}", tree, place.level);
}

void TraceFile::span_begins(u64 tick, SpanKind kind, const void* owner, SpanPlace place) {
  const std::string name = span_name(kind) + place_text(place);
  const auto [at, fresh] = spans_.try_emplace({kind, owner});
  ASSERT(fresh);
  at->second = begin(Process::engine, span_name(kind), name, tick, {});
}

void TraceFile::span_ends(u64 tick, SpanKind kind, const void* owner) {
  const auto at = spans_.find({kind, owner});
  ASSERT(at != spans_.end());
  end(Process::engine, span_name(kind), at->second, tick, "");
  spans_.erase(at);
}

void TraceFile::mark_hit(u64 tick, Mark mark, u16 tree) {
  const std::string where =
      tree != 0 && world_->has_id(tree) ? std::string(" ") + tree_name(world_->tree_of(tree)) : "";
  instant(Process::engine, "mark", mark_name(mark) + where, tick);
}

void TraceFile::event(const Event& event) {
  switch (event.kind) {
    case EventKind::submit_read:
    case EventKind::submit_write:
    case EventKind::submit_sync: {
      const EventKind completion = completion_of(event.kind);
      requests_[{completion, event.c, event.a}].push_back(
          begin(Process::disk, request_category(completion), tag_of(event), event.tick,
                fmt::format("offset {}, {} bytes", event.a, event.b)));
      return;
    }
    case EventKind::complete_read:
    case EventKind::complete_write:
    case EventKind::complete_sync: {
      const auto at = requests_.find({event.kind, event.c, event.a});
      ASSERT(at != requests_.end());
      end(Process::disk, request_category(event.kind), at->second.front(), event.tick,
          event.b == 0 ? "" : "failed");
      at->second.pop_front();
      if (at->second.empty()) requests_.erase(at);
      return;
    }
    case EventKind::crash:
      end_all(event.tick, "crash");
      return instant(Process::disk, "crash", fmt::format("crash, {} writes undecided", event.b), event.tick);
    case EventKind::fault:
      return instant(Process::disk, "fault", fmt::format("fault at offset {}", event.b), event.tick);
    case EventKind::operation:
    case EventKind::answer:
    case EventKind::next_tick_drain:
    case EventKind::decision: last_tick_ = std::max(last_tick_, event.tick); return;
  }
}

void TraceFile::end_all(u64 tick, const char* how) {
  for (const auto& [request, opens] : requests_) {
    for (const Open& open : opens) {
      end(Process::disk, request_category(std::get<EventKind>(request)), open, tick, how);
    }
  }
  requests_.clear();
  // In the order in which they began: addresses decide nothing, not even the order of lines here.
  std::map<u64, std::pair<SpanKind, const Open*>> spans;
  for (const auto& [key, open] : spans_) spans[open.id] = {key.first, &open};
  for (const auto& [id, span] : spans) {
    end(Process::engine, span_name(span.first), *span.second, tick, how);
  }
  spans_.clear();
}

}  // namespace tonearm::sim
