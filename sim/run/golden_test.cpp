// corpus/golden.tsv: digests of pinned seeds, equal on every compiler, build type and machine.
#include <fstream>
#include <sstream>

#include "sim/run/test_runs.h"

namespace tonearm::sim {

namespace {

constexpr char golden_path[] = TONEARM_SOURCE_DIR "/corpus/golden.tsv";
constexpr u64 tree_rows = 64;
constexpr u64 canary_rows = 8;
constexpr u64 groove_rows = 16;
constexpr u64 forest_rows = 8;
constexpr u64 scan_rows = 8;  // Of each workload of scans.
constexpr u64 lines_max = 5000;

struct Row {
  std::string workload;
  u64 seed = 0;
  u32 generator = 0;
  Digests digests;
};

std::string hexadecimal(u64 number) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(number));
  return text;
}

Row played_row(const SeedRun& seed) {
  INFO(seed.config.workload << " seed " << seed.config.seed);
  const RunResult result = seed.play();
  check_passed(result);
  return {.workload = seed.config.workload,
          .seed = seed.config.seed,
          .generator = generator_version,
          .digests = result.digests};
}

// Seeds 1, 2, ... that are not too long.
void add_seeds(const char* workload, u64 count, std::vector<Row>* rows) {
  const u64 end = rows->size() + count;
  for (u64 seed = 1; rows->size() < end; ++seed) {
    const SeedRun candidate(seed, workload);
    if (candidate.config.options.ops <= lines_max) rows->push_back(played_row(candidate));
  }
}

// Of the trees, then canaries that pass, then of grooves, then of scans.
std::vector<Row> make_golden() {
  std::vector<Row> rows;
  add_seeds("tree", tree_rows, &rows);
  for (u64 seed = 1; rows.size() < tree_rows + canary_rows; ++seed) {
    if (!canary_fails(seed)) rows.push_back(played_row(SeedRun(seed, "canary")));
  }
  add_seeds("groove", groove_rows, &rows);
  add_seeds("forest", forest_rows, &rows);
  add_seeds("scan_tree", scan_rows, &rows);
  add_seeds("scan", scan_rows, &rows);
  return rows;
}

void write_golden(const std::vector<Row>& rows) {
  std::ofstream file(golden_path);
  file << "# build/release/sim_run_test \"[update-golden]\"    (workload, seed, gen, answers, digest)\n";
  for (const Row& row : rows) {
    file << row.workload << '\t' << row.seed << '\t' << row.generator << '\t'
         << hexadecimal(row.digests.answers) << '\t' << hexadecimal(row.digests.digest) << '\n';
  }
  file.close();
  REQUIRE(file.good());
}

std::vector<Row> read_golden() {
  std::ifstream file(golden_path);
  INFO(golden_path);
  REQUIRE(file.is_open());
  std::vector<Row> rows;
  std::string line;
  REQUIRE(std::getline(file, line));
  REQUIRE(line.starts_with("# "));
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    Row row;
    std::string answers;
    std::string digest;
    fields >> row.workload >> row.seed >> row.generator >> answers >> digest;
    INFO(line);
    REQUIRE_FALSE(fields.fail());
    row.digests = {.answers = std::stoull(answers, nullptr, 16), .digest = std::stoull(digest, nullptr, 16)};
    rows.push_back(row);
  }
  return rows;
}

}  // namespace

// Hidden: it runs only when its tag is given.
TEST_CASE("write the golden digests anew", "[.][update-golden]") {
  write_golden(make_golden());
  WARN("wrote " << golden_path);
}

TEST_CASE("golden digests are what they were", "[golden]") {
  const std::vector<Row> rows = read_golden();
  REQUIRE(rows.size() >= 60);
  const u64 step = rows.size() / repeats(rows.size());
  for (u64 i = 0; i < rows.size(); i += step) {
    const Row& row = rows[i];
    INFO(row.workload << " seed " << row.seed);
    REQUIRE(row.generator == generator_version);
    const Row now = played_row(SeedRun(row.seed, row.workload));
    CHECK(hexadecimal(now.digests.answers) == hexadecimal(row.digests.answers));
    CHECK(hexadecimal(now.digests.digest) == hexadecimal(row.digests.digest));
  }
}

}  // namespace tonearm::sim
