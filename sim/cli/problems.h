// Exit statuses, and what ends a command early. Every message is one line, without the program's name.
#pragma once

#include <stdexcept>

namespace tonearm::sim {

inline constexpr int exit_passed = 0;
inline constexpr int exit_failed = 1;
inline constexpr int exit_usage = 2;
inline constexpr int exit_environment = 3;

// Bad usage or bad input: nothing ran.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The world around the program: a file that cannot be written, a worker that does not start.
struct EnvironmentError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace tonearm::sim
