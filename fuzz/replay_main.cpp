// Plays inputs of the targets where there is no libFuzzer, built by any compiler.
//
//   fuzz_replay TARGET FILE-OR-DIRECTORY...      plays them in the order of their names
//   fuzz_replay all DIRECTORY                    plays DIRECTORY/TARGET of every target
//   fuzz_replay --mutate N TARGET FILE-OR-DIRECTORY...
//                                                and N mutants of them, each of one before it
//   fuzz_replay --seeds N TARGET DIRECTORY       writes N inputs of the generators
//
// An input that breaks a promise ends the process, and what it prints says which it was. No input at all is a
// mistake, not a success.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

#include "base/checksum.h"
#include "fuzz/mutate.h"
#include "sim/disk/keyed.h"

namespace tonearm::sim {

namespace {

struct Totals {
  u64 inputs = 0;
  u64 kept = 0;  // By the target: within its bounds.
};

std::vector<std::string> files_of(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return {path.string()};
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
    if (entry.is_regular_file()) files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// Neither a device, which has no end, nor a pipe that nobody writes to.
bool read(const std::string& name, std::string* input) {
  constexpr std::uintmax_t bytes_max = std::uintmax_t{64} << 20;
  std::error_code error;
  const bool regular = std::filesystem::is_regular_file(name, error);
  if (!regular || std::filesystem::file_size(name, error) > bytes_max || error) {
    std::fprintf(stderr, "%s: no file, or one of more than %ju bytes\n", name.c_str(), bytes_max);
    return false;
  }
  std::ifstream file(name, std::ios::binary);
  *input = {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (file.is_open() && !file.bad()) return true;
  std::fprintf(stderr, "%s: cannot be read\n", name.c_str());
  return false;
}

bool play(const Target& target, const std::string& name, Totals* totals, std::vector<std::string>* played) {
  std::string input;
  if (!read(name, &input)) return false;
  std::fprintf(stderr, "%s %s: %zu bytes\n", target.name, name.c_str(), input.size());
  totals->kept += target.play(target, input) == 0 ? 1 : 0;
  ++totals->inputs;
  if (played != nullptr) played->push_back(std::move(input));
  return true;
}

// Of an input that is no scenario: a few bytes are others, or there are more or fewer of them.
std::string change_bytes(std::string input, u64 random) {
  const u64 count = 1 + below(random, 4);
  for (u64 i = 0; i < count; ++i) {
    const u64 more = remix(random, i);
    const u64 at = below(more, input.size() + 1);
    const char byte = static_cast<char>(remix(more, 1) >> 8);
    if (at == input.size() || (more & 3) == 0) {
      input.insert(at, 1 + below(remix(more, 2), 12), byte);
    } else if ((more & 3) == 1) {
      input.erase(at, 1 + below(remix(more, 2), 12));
    } else {
      input[at] = byte;
    }
  }
  return input;
}

// A walk from the inputs: each mutant of one of them, or of a mutant before it.
void play_mutants(const Target& target, std::vector<std::string> inputs, u64 count, Totals* totals) {
  constexpr std::size_t pool_max = 256;
  if (inputs.empty()) return;
  for (u64 i = 0; i < count; ++i) {
    const u64 random = hash_of(i + 1);
    const std::string& from = inputs[below(random, inputs.size())];
    const std::string& with = inputs[below(remix(random, 1), inputs.size())];
    std::string mutant = target.mutate == nullptr ? change_bytes(from, remix(random, 3))
                         : target.of_scenarios() && below(remix(random, 2), 8) == 0
                             ? cross_inputs(target, from, with, input_bytes_max, remix(random, 3))
                             : target.mutate(target, from, input_bytes_max, remix(random, 3));
    ++totals->inputs;
    if (target.play(target, mutant) != 0) continue;
    ++totals->kept;
    if (inputs.size() < pool_max) {
      inputs.push_back(std::move(mutant));
    } else {
      inputs[below(remix(random, 4), pool_max)] = std::move(mutant);
    }
  }
}

bool play_target(const Target& target, const std::vector<std::string>& paths, u64 mutants, Totals* totals) {
  std::vector<std::string> inputs;
  for (const std::string& path : paths) {
    for (const std::string& name : files_of(path)) {
      if (!play(target, name, totals, &inputs)) return false;
    }
  }
  const Totals before = *totals;
  play_mutants(target, std::move(inputs), mutants, totals);
  // Mutants that nothing plays prove nothing.
  const u64 tried = totals->inputs - before.inputs;
  const u64 kept = totals->kept - before.kept;
  if (tried > 0) {
    std::fprintf(stderr, "%s: %llu of %llu mutants were played\n", target.name,
                 static_cast<unsigned long long>(kept), static_cast<unsigned long long>(tried));
  }
  return tried == 0 || kept * 4 > tried;
}

bool write_seeds(const Target& target, u64 count, const std::string& directory) {
  std::filesystem::create_directories(directory);
  for (u64 written = 0, random = 1; written < count; ++random) {
    const std::string text = input_text(generated_input(target, random));
    if (target.play(target, text) != 0) continue;
    std::ofstream file(directory + "/seed-" + std::to_string(random) + ".scenario", std::ios::binary);
    file << text;
    if (!file.flush()) return false;
    ++written;
  }
  return true;
}

int usage() {
  std::fprintf(stderr,
               "usage: fuzz_replay [--mutate N] TARGET FILE-OR-DIRECTORY...\n"
               "       fuzz_replay [--mutate N] all DIRECTORY\n"
               "       fuzz_replay --seeds N TARGET DIRECTORY\n"
               "TARGET: ");
  for (const Target& target : targets()) std::fprintf(stderr, "%s ", target.name);
  std::fprintf(stderr, "\n");
  return 2;
}

int run(std::vector<std::string> words) {
  u64 mutants = 0, seeds = 0;
  if (words.size() > 2 && (words[0] == "--mutate" || words[0] == "--seeds")) {
    const u64 number = std::strtoull(words[1].c_str(), nullptr, 10);
    if (number == 0) return usage();
    (words[0] == "--mutate" ? mutants : seeds) = number;
    words.erase(words.begin(), words.begin() + 2);
  }
  if (words.size() < 2) return usage();
  const std::string name = words[0];
  words.erase(words.begin());
  const Target* const target = find_target(name);
  if (target == nullptr && (name != "all" || words.size() != 1 || seeds > 0)) return usage();
  if (seeds > 0) return target->of_scenarios() && write_seeds(*target, seeds, words[0]) ? 0 : 3;
  Totals totals;
  bool good = true;
  for (const Target& each : targets()) {
    if (target != nullptr && &each != target) continue;
    const std::vector<std::string> paths =
        target == nullptr ? std::vector{words[0] + "/" + each.name} : words;
    good = play_target(each, paths, mutants, &totals) && good;
  }
  if (totals.inputs == 0) return good ? usage() : 3;
  std::printf("%llu inputs hold, %llu of them were played to the end\n",
              static_cast<unsigned long long>(totals.inputs), static_cast<unsigned long long>(totals.kept));
  return good ? 0 : 3;
}

}  // namespace

}  // namespace tonearm::sim

int main(int argc, char** argv) {
  try {
    return tonearm::sim::run({argv + 1, argv + argc});
  } catch (const std::exception& error) {  // Of the file system, or of a file that cannot be read after all.
    std::fprintf(stderr, "%s\n", error.what());
    return 3;
  }
}
