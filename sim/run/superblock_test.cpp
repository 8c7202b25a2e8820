// Workload `superblock`: every way in which an operation may end is met by its first seeds. And a run whose
// superblock faults have cost its quorum.
#include <fmt/format.h>

#include <map>
#include <utility>

#include "base/error.h"
#include "sim/run/storage_seam.h"
#include "sim/run/test_runs.h"

namespace tonearm::sim {

namespace {

// As the component answers: 32 times the operation, plus the kind of the error or `struck`.
constexpr u64 format = 1;
constexpr u64 open = 2;
constexpr u64 checkpoint = 3;
constexpr u64 struck = 31;

// The second checkpoint is struck when one copy of its superblock is there and the next is torn: two good
// copies are left. The open of that is told lies, and its first repair is torn.
std::string torn_repair(const std::string& lies) {
  return "tonearm 1\nworkload tree\nexpect pass\nseed 1\n"
         "set sector_size=512 block_size=1024 levels=4 growth=2 beats=2 checkpoint_interval=4\n"
         "set batch_values_max=8 durability=durable tear_unit=512\n---\n"
         "1 checkpoint\n2 crash at=1 superblock writes=torn_garbage+0x0/0\n" +
         lies + "20 checkpoint\n21 crash at=0 superblock writes=torn_garbage+0x0/0\n22 checkpoint\n";
}

std::string stale(u32 read) {
  return fmt::format("{} fault 2/2/superblock_read#{} stale_read\n", 3 + read, read);
}

// An engine that repairs nothing, and writes zeros over other copies.
class BadRepairs final : public StorageSeam, public Storage {
 public:
  Storage& over(SimStorage& disk) override {
    disk_ = &disk;
    return *this;
  }
  void read(Read& read) override { disk_->read(read); }
  void write(Write& write) override {
    if (write.tag.purpose == IoPurpose::superblock_repair) {
      write.buffer = zeros_;
      write.offset = (write.offset + superblock_zone_size / 2) % superblock_zone_size;
    }
    disk_->write(write);
  }
  void sync(Sync& sync) override { disk_->sync(sync); }
  void next_tick(NextTick& next_tick) override { disk_->next_tick(next_tick); }

 private:
  SimStorage* disk_ = nullptr;
  const std::vector<std::byte> zeros_ = std::vector<std::byte>(superblock_copy_size);
};

}  // namespace

TEST_CASE("the seeds of superblock meet every outcome", "[component][superblock]") {
  std::map<u64, u64> outcomes;
  std::map<u64, u64> details;  // Of opens that succeeded.
  for (u64 seed = 1; seed <= repeats(50); ++seed) {
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

// In one reading a copy that the choice needs looks older than it is: it must not be written over.
TEST_CASE("copies that were read wrong once cost nothing", "[superblock]") {
  const RunResult result = play(require_scenario(torn_repair(stale(0) + stale(2)))).result;
  check_passed(result);
  CHECK(result.faults_fired.of(FaultKind::stale_read, Zone::superblock) == 2);
  CHECK(result.counters.crashes == 2);
  CHECK(result.counters.went_down == 0);
  CHECK(result.counters.ended_lost == 0);
  CHECK(result.counters.checkpoints >= 3);
}

TEST_CASE("a run ends when lies have cost the superblock, and not otherwise", "[superblock]") {
  const std::string lies = stale(0) + stale(2) + stale(4) + stale(6);
  const RunResult lost = play(require_scenario(torn_repair(lies))).result;
  check_passed(lost);
  CHECK(lost.faults_fired.of(FaultKind::stale_read, Zone::superblock) == 4);
  CHECK(lost.counters.ended_lost == 1);

  // The same loss with a fault elsewhere, and by the engine's own doing.
  const Scenario scenario = require_scenario(torn_repair("3 fault 20/lookup(1,0)#0 stale_read\n"));
  const std::unique_ptr<OperationSource> source = source_of(scenario.operations);
  RunConfig config = RunConfig::of(scenario, *source);
  check_passed(run(config, runner_memory()));
  BadRepairs seam;
  config.seam = &seam;
  const RunResult failed = run(config, runner_memory());
  CHECK(failed.failed());
  CHECK(failed.failure.failure_class == FailureClass::crash_legal);
  CHECK(failed.failure.site == "the superblock is lost: no fault has struck the superblock");
  CHECK(failed.counters.ended_lost == 0);
}

}  // namespace tonearm::sim
