#include "sim/cli/version.h"

#include <fmt/format.h>

#include <cctype>

#include "sim/cli/git_version.h"  // Written by git_version.cmake at build time.
#include "sim/scenario/scenario.h"

namespace tonearm::sim {

std::string git_commit() { return TONEARM_GIT; }

std::string build_name() {
#if defined(__clang__)
  std::string name = fmt::format("clang-{}.{}", __clang_major__, __clang_minor__);
#else
  std::string name = fmt::format("gcc-{}.{}", __GNUC__, __GNUC_MINOR__);
#endif
  for (const std::string_view part :
       {std::string_view(TONEARM_BUILD_TYPE), std::string_view(TONEARM_SANITIZERS)}) {
    if (part.empty()) continue;
    name += '-';
    for (const char c : part)
      name += c == ',' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return name;
}

std::string version_text() {
  return fmt::format("tonearm {}\ngit {}\nbuild {}\nscenario format {}\ngenerator {}", program_version,
                     git_commit(), build_name(), scenario_version, generator_version);
}

}  // namespace tonearm::sim
