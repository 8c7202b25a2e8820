#include "sim/cli/worker_report.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <type_traits>

namespace tonearm::sim {

namespace {

constexpr std::size_t text_bytes_max = 1 << 20;

struct Head {
  RunCounters counters;
  Digests digests;
  FaultCounts faults_fired;
  FaultCounts faults_armed;
  FaultCounts faults_expected;
  std::array<u64, mark_count> marks;
  std::array<u64, variation_count> variations_fired;
  std::array<u64, variation_count> variations_armed;
  std::array<u64, mark_count> marks_first;
  OpId op;
  u64 cpu_micros;
  u64 reseed_tick;
  u32 site_bytes, message_bytes, story_bytes, impossible_bytes;
  u32 fired_bytes, crashed_bytes;
  FailureClass failure_class;
  bool has_op;
  bool last;
  bool branched;
  Reseed branch;
};
static_assert(std::is_trivially_copyable_v<Head>);

// As they are in memory: the reader is the same program.
template <class Record>
std::string bytes_of(const std::vector<Record>& records) {
  static_assert(std::is_trivially_copyable_v<Record>);
  return {reinterpret_cast<const char*>(records.data()), records.size() * sizeof(Record)};
}

template <class Record>
std::vector<Record> records_of(const std::string& bytes) {
  std::vector<Record> records(bytes.size() / sizeof(Record));
  if (!bytes.empty()) std::memcpy(static_cast<void*>(records.data()), bytes.data(), bytes.size());
  return records;
}

std::string_view limited(const std::string& text) { return std::string_view(text).substr(0, text_bytes_max); }

}  // namespace

void send_report(int pipe, const WorkerReport& report) {
  const Failure& failure = report.result.failure;
  const std::string_view texts[] = {limited(failure.site), limited(failure.message), limited(failure.story),
                                    limited(report.impossible)};
  Head head;
  std::memset(static_cast<void*>(&head), 0, sizeof(head));
  head.counters = report.result.counters;
  head.digests = report.result.digests;
  head.faults_fired = report.result.faults_fired;
  head.faults_armed = report.result.faults_armed;
  head.faults_expected = report.result.faults_expected;
  head.marks = report.result.marks;
  head.variations_fired = report.result.variations_fired;
  head.variations_armed = report.result.variations_armed;
  head.marks_first = report.result.marks_first;
  head.op = failure.op;
  head.cpu_micros = report.cpu_micros;
  head.reseed_tick = report.result.reseed_tick;
  head.site_bytes = static_cast<u32>(texts[0].size());
  head.message_bytes = static_cast<u32>(texts[1].size());
  head.story_bytes = static_cast<u32>(texts[2].size());
  head.impossible_bytes = static_cast<u32>(texts[3].size());
  head.failure_class = failure.failure_class;
  head.has_op = failure.has_op;
  head.last = report.last;
  head.branched = report.branch.has_value();
  head.branch = report.branch.value_or(Reseed{});
  const std::string fired = bytes_of(report.result.fired);
  const std::string crashed = bytes_of(report.result.crashed);
  head.fired_bytes = static_cast<u32>(fired.size());
  head.crashed_bytes = static_cast<u32>(crashed.size());
  std::string bytes(reinterpret_cast<const char*>(&head), sizeof(head));
  for (const std::string_view text : texts) bytes += text;
  bytes += fired + crashed;
  std::size_t at = 0;
  while (at < bytes.size()) {
    const ssize_t written = write(pipe, bytes.data() + at, bytes.size() - at);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) _exit(1);  // Nobody listens any more.
    at += static_cast<std::size_t>(written);
  }
}

std::optional<WorkerReport> take_report(std::string* bytes) {
  Head head;
  if (bytes->size() < sizeof(head)) return std::nullopt;
  std::memcpy(static_cast<void*>(&head), bytes->data(), sizeof(head));
  const std::size_t size = sizeof(head) + head.site_bytes + head.message_bytes + head.story_bytes +
                           head.impossible_bytes + head.fired_bytes + head.crashed_bytes;
  if (bytes->size() < size) return std::nullopt;
  WorkerReport report;
  RunResult& result = report.result;
  result.counters = head.counters;
  result.digests = head.digests;
  result.faults_fired = head.faults_fired;
  result.faults_armed = head.faults_armed;
  result.faults_expected = head.faults_expected;
  result.marks = head.marks;
  result.variations_fired = head.variations_fired;
  result.variations_armed = head.variations_armed;
  result.marks_first = head.marks_first;
  result.reseed_tick = head.reseed_tick;
  result.failure.failure_class = head.failure_class;
  result.failure.op = head.op;
  result.failure.has_op = head.has_op;
  report.cpu_micros = head.cpu_micros;
  report.last = head.last;
  if (head.branched) report.branch = head.branch;
  std::size_t at = sizeof(head);
  const auto take = [&](u32 length) {
    std::string text = bytes->substr(at, length);
    at += length;
    return text;
  };
  result.failure.site = take(head.site_bytes);
  result.failure.message = take(head.message_bytes);
  result.failure.story = take(head.story_bytes);
  report.impossible = take(head.impossible_bytes);
  result.fired = records_of<FaultRecord>(take(head.fired_bytes));
  result.crashed = records_of<CrashRecord>(take(head.crashed_bytes));
  bytes->erase(0, size);
  return report;
}

}  // namespace tonearm::sim
