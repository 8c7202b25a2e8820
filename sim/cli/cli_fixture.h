// The program as a process: its output and its status, in a directory of its own.
#pragma once

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>

#include "base/types.h"
#include "sim/workload/workload.h"

namespace tonearm::sim {

namespace fs = std::filesystem;

struct Ended {
  int status = -1;
  std::string out;
  std::string err;

  std::string last_line() const {
    const std::size_t end = out.find_last_not_of('\n');
    if (end == std::string::npos) return {};
    const std::size_t begin = out.rfind('\n', end);
    return out.substr(begin == std::string::npos ? 0 : begin + 1,
                      end - (begin == std::string::npos ? 0 : begin + 1) + 1);
  }
};

inline std::string slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// A directory of its own, so that failures/ is written there.
struct Fixture {
  Fixture() {
    char name[] = "/tmp/tonearm-cli-XXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    directory = name;
  }
  ~Fixture() {
    std::error_code error;
    fs::remove_all(directory, error);
  }
  Fixture(const Fixture&) = delete;
  Fixture& operator=(const Fixture&) = delete;

  Ended tonearm(const std::string& words) const {
    const std::string command =
        "cd " + directory.string() + "; " + TONEARM_PROGRAM + " " + words + " 2>stderr.txt </dev/null";
    Ended ended;
    std::FILE* pipe = popen(command.c_str(), "r");
    REQUIRE(pipe != nullptr);
    char buffer[4096];
    std::size_t got = 0;
    while ((got = std::fread(buffer, 1, sizeof(buffer), pipe)) > 0) ended.out.append(buffer, got);
    const int status = pclose(pipe);
    ended.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    ended.err = slurp(directory / "stderr.txt");
    return ended;
  }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(directory / name, std::ios::binary) << text;
  }

  fs::path directory;
};

inline std::string field(const std::string& line, const std::string& name) {
  std::smatch match;
  return std::regex_search(line, match, std::regex("(^| )" + name + "=(\\S+)")) ? match[2].str() : "";
}

inline u64 failing_canary() {
  u64 seed = 1;
  while (!canary_fails(seed)) ++seed;
  return seed;
}

}  // namespace tonearm::sim
