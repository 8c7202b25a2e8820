// Workload `superblock`: every way in which an operation may end is met by its first seeds.
#include <map>
#include <utility>

#include "base/error.h"
#include "sim/run/test_runs.h"

namespace tonearm::sim {

namespace {

// As the component answers: 32 times the operation, plus the kind of the error or `struck`.
constexpr u64 format = 1;
constexpr u64 open = 2;
constexpr u64 checkpoint = 3;
constexpr u64 struck = 31;

}  // namespace

TEST_CASE("the seeds of superblock meet every outcome", "[component][superblock]") {
  std::map<u64, u64> outcomes;
  std::map<u64, u64> details;  // Of opens that succeeded.
  for (u64 seed = 1; seed <= repeats(80); ++seed) {
    SeedRun run(seed, "superblock");
    run.config.answer_listener = [&](const std::string& line) {
      u64 outcome = 0;
      u64 detail = 0;
      const std::size_t at = line.find("-> ");
      REQUIRE(at != std::string::npos);
      unsigned long long numbers[2] = {};
      REQUIRE(std::sscanf(line.c_str() + at, "-> %llu %llu", &numbers[0], &numbers[1]) == 2);
      outcome = numbers[0];
      detail = numbers[1];
      ++outcomes[outcome];
      if (outcome == open * 32) ++details[detail];
    };
    check_passed(run.play());
  }
  const auto met = [&](u64 operation, u64 outcome) {
    INFO("operation " << operation << ", outcome " << outcome);
    CHECK(outcomes[operation * 32 + outcome] > 0);
  };
  for (const ErrorKind kind :
       {ErrorKind::none, ErrorKind::not_found, ErrorKind::quorum_lost, ErrorKind::fork,
        ErrorKind::parent_not_connected, ErrorKind::byte_order, ErrorKind::release_unknown,
        ErrorKind::options_mismatch, ErrorKind::write_failed}) {
    met(open, static_cast<u64>(kind));
  }
  for (const u64 operation : {format, checkpoint}) {
    for (const ErrorKind kind : {ErrorKind::none, ErrorKind::write_failed, ErrorKind::checkpoint_failed}) {
      met(operation, static_cast<u64>(kind));
    }
  }
  for (const u64 operation : {format, open, checkpoint}) met(operation, struck);
  // Opens that found one header, or two, or three, and wrote no copy or up to three again, or all four.
  std::map<u64, u64> repaired;
  std::map<u64, u64> headers;
  for (const auto& [detail, count] : details) {
    repaired[detail / 8] += count;
    headers[detail % 8] += count;
  }
  for (u64 copies = 0; copies <= 4; ++copies) {
    INFO(copies << " copies repaired");
    CHECK(repaired[copies] > 0);
  }
  for (u64 count = 1; count <= 3; ++count) {
    INFO(count << " headers found");
    CHECK(headers[count] > 0);
  }
}

}  // namespace tonearm::sim
