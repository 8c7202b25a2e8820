// Parsers of what is typed, and files.
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "sim/cli/crash_guard.h"
#include "sim/cli/prepared_run.h"
#include "sim/cli/problems.h"
#include "sim/scenario/number.h"

namespace tonearm::sim {

namespace {

[[noreturn]] void refuse(const char* what, std::string_view text, std::string_view expected) {
  throw UsageError(
      fmt::format("{}: found {}, expected {}", what, text.empty() ? "nothing" : quoted(text), expected));
}

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, FileCloser>;

}  // namespace

u64 seed_argument(const std::string& text) {
  const SeedResult result = parse_seed(text);
  if (!result.error.empty()) throw UsageError("--seed: " + result.error);
  return result.seed;
}

u64 number_argument(const char* what, const std::string& text, u64 min, u64 max) {
  u64 value = 0;
  if (const std::string expected = parse_number(text, min, max, &value); !expected.empty()) {
    refuse(what, text, expected);
  }
  return value;
}

OpId op_argument(const char* what, const std::string& text) {
  OpId id{};
  if (const std::string expected = parse_op_id(text, &id); !expected.empty()) refuse(what, text, expected);
  return id;
}

u32 cpu_limit_argument(const std::string& text) {
  constexpr u64 day = 86400;
  return text.empty() ? run_cpu_seconds_max : static_cast<u32>(number_argument("--cpu-limit", text, 0, day));
}

u64 seconds_argument(const char* what, const std::string& text) {
  constexpr const char* expected = "a duration: a number with s, m or h, for instance 30s, 5m or 8h";
  constexpr u64 days_max = 365;
  u64 unit = 0;
  if (!text.empty()) unit = text.back() == 's' ? 1 : text.back() == 'm' ? 60 : text.back() == 'h' ? 3600 : 0;
  u64 value = 0;
  if (unit == 0 ||
      !parse_number(std::string_view(text).substr(0, text.size() - 1), 1, days_max * 86400 / unit, &value)
           .empty()) {
    refuse(what, text, expected);
  }
  return value * unit;
}

SeedRange range_argument(const std::string& text) {
  constexpr const char* expected = "two seeds A..B with A at most B, or one seed";
  const std::size_t dots = text.find("..");
  const SeedResult first = parse_seed(std::string_view(text).substr(0, dots));
  const SeedResult last =
      dots == std::string::npos ? first : parse_seed(std::string_view(text).substr(dots + 2));
  if (!first.error.empty() || !last.error.empty() || first.seed > last.seed)
    refuse("--seeds", text, expected);
  return {.first = first.seed, .last = last.seed};
}

u64 fresh_seed() {
  u64 seed = 0;
  if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) throw EnvironmentError("no fresh seed could be had");
  return seed;
}

// A pipe that nobody writes to would be waited for without end.
void expect_no_pipe(const std::string& name) {
  struct stat about {};
  if (stat(name.c_str(), &about) != 0 || S_ISREG(about.st_mode) || S_ISDIR(about.st_mode)) return;
  throw UsageError(fmt::format("{}: a pipe or a device, expected a file", name));
}

std::string read_text_file(const std::string& name, u64 bytes_max) {
  expect_no_pipe(name);
  const File file(std::fopen(name.c_str(), "rb"));
  if (!file) throw UsageError(fmt::format("{}: {}, expected a file", name, std::strerror(errno)));
  std::string text;
  char buffer[1 << 16];
  std::size_t got = 0;
  while ((got = std::fread(buffer, 1, sizeof(buffer), file.get())) > 0) {
    text.append(buffer, got);
    if (text.size() > bytes_max) {
      throw UsageError(fmt::format("{}: longer than expected: at most {} bytes", name, bytes_max));
    }
  }
  if (std::ferror(file.get()) != 0) {
    throw UsageError(fmt::format("{}: {}, expected a file", name, std::strerror(errno)));
  }
  return text;
}

void write_text_file(const std::string& name, const std::string& text) {
  File file(std::fopen(name.c_str(), "wb"));
  bool good = file && std::fwrite(text.data(), 1, text.size(), file.get()) == text.size();
  if (file) good = std::fclose(file.release()) == 0 && good;
  if (!good) throw EnvironmentError(fmt::format("{}: cannot be written: {}", name, std::strerror(errno)));
}

}  // namespace tonearm::sim
