// `--trace FILE`: a run over its virtual time, as trace-event JSON that Perfetto and chrome://tracing show.
//
// A tick is shown as a microsecond. Three processes: `lines` has what is played, `engine` its spans and
// marks, `disk` its requests, faults and crashes. What overlaps is asynchronous ("b" and "e" with an
// id), since requests and spans end in any order. The file is one JSON array, an event a line; a run that
// dies leaves it without the last bracket, which both viewers take.
//
// Format: "Trace Event Format", the document of the Chromium project.
#pragma once

#include <cstdio>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <tuple>

#include "sim/run/runner.h"

namespace tonearm::sim {

class TraceFile final : public Timeline {
 public:
  // Empty: none. Otherwise `config` gets its listeners; both must outlive the run.
  TraceFile(const std::string& name, RunConfig* config);
  void finish();  // Throws if the file could not be written.

  void line_begins(u64 tick, const Operation& line) override;
  void span_begins(u64 tick, SpanKind kind, const void* owner, SpanPlace place) override;
  void span_ends(u64 tick, SpanKind kind, const void* owner) override;
  void mark_hit(u64 tick, Mark mark, u16 tree) override;

 private:
  enum class Process : u8 { lines = 1, engine = 2, disk = 3 };
  // Begun and not ended.
  struct Open {
    u64 id = 0;
    std::string name;
  };
  using Request = std::tuple<EventKind, u64, u64>;  // By its completion: kind, tag and number, offset.

  void event(const Event& event);
  void write(const char* phase, Process process, const char* category, const std::string& name, u64 tick,
             u64 id, const std::string& detail);
  void instant(Process process, const char* category, const std::string& name, u64 tick);
  Open begin(Process process, const char* category, std::string name, u64 tick, const std::string& detail);
  void end(Process process, const char* category, const Open& open, u64 tick, const char* how);
  void end_line(u64 tick);
  void end_all(u64 tick, const char* how);
  std::string place_text(SpanPlace place) const;

  struct FileCloser {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::string name_;
  std::unique_ptr<std::FILE, FileCloser> file_;
  const World* world_ = nullptr;
  u64 last_tick_ = 0;
  u64 next_id_ = 1;
  Open line_;  // Id 0: none.
  std::map<std::pair<SpanKind, const void*>, Open> spans_;
  std::map<Request, std::deque<Open>> requests_;
};

}  // namespace tonearm::sim
