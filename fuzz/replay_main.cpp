// Plays inputs that a fuzzer found, one after another, where there is no libFuzzer: files, or whole
// directories in the order of their names. An input that breaks a promise ends the process, and the
// line before says which it was. No input at all is a mistake, not a success.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size);

namespace {

std::vector<std::string> files_of(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return {path.string()};
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
    if (entry.is_regular_file()) files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

bool play(const std::string& name) {
  std::ifstream file(name, std::ios::binary);
  const std::string input{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file.is_open() || file.bad()) {
    std::fprintf(stderr, "%s: cannot be read\n", name.c_str());
    return false;
  }
  std::fprintf(stderr, "%s: %zu bytes\n", name.c_str(), input.size());
  LLVMFuzzerTestOneInput(reinterpret_cast<const unsigned char*>(input.data()), input.size());
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t played = 0;
  try {
    for (int i = 1; i < argc; ++i) {
      for (const std::string& name : files_of(argv[i])) {
        if (!play(name)) return 3;
        ++played;
      }
    }
  } catch (const std::filesystem::filesystem_error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 3;
  }
  if (played == 0) {
    std::fprintf(stderr, "usage: %s FILE-OR-DIRECTORY...   (no input found)\n", argv[0]);
    return 2;
  }
  std::printf("%zu inputs hold\n", played);
  return 0;
}
