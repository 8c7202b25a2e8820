// How a call ends the process, found out in a forked child: Catch2 has no death tests.
#pragma once

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

namespace tonearm::sim {

struct Ending {
  bool known = false;  // The child ran, and was waited for.
  int status = 0;      // As waitpid() gives it.
  std::string words;   // What it wrote to standard error.

  bool aborted() const { return known && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT; }
  bool ended_well() const { return known && WIFEXITED(status) && WEXITSTATUS(status) == 0; }
};

template <class Callable>
Ending ending_of(Callable&& callable) {
  int ends[2];
  if (pipe(ends) != 0) return {};
  const pid_t child = fork();
  if (child == 0) {
    const rlimit no_core{.rlim_cur = 0, .rlim_max = 0};
    setrlimit(RLIMIT_CORE, &no_core);
    std::signal(SIGABRT, SIG_DFL);  // Not the test framework's report.
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    callable();
    _exit(0);
  }
  close(ends[1]);
  Ending ending;
  char bytes[4096];
  for (ssize_t got = 0; (got = read(ends[0], bytes, sizeof bytes)) > 0;)
    ending.words.append(bytes, static_cast<std::size_t>(got));
  close(ends[0]);
  ending.known = child > 0 && waitpid(child, &ending.status, 0) == child;
  return ending;
}

// Where no child can be had: no, so that the test that expects a death fails.
template <class Callable>
bool dies(Callable&& callable) {
  return ending_of(callable).aborted();
}

// What a failed assertion says, so that a test sees that it was the right one and that its text tells a
// programmer what is wrong. Empty: the call does not end the process, or not by an assertion.
template <class Callable>
std::string last_words(Callable&& callable) {
  const Ending ending = ending_of(callable);
  const bool asserted = ending.aborted() && ending.words.find("assertion failed: ") != std::string::npos;
  return asserted ? ending.words : "";
}

// Whether the call uses bytes that their owner poisoned (base/sanitizer.h). Never without a sanitizer.
template <class Callable>
bool uses_poisoned(Callable&& callable) {
  const Ending ending = ending_of(callable);
  return ending.known && !ending.ended_well() && ending.words.find("use-after-poison") != std::string::npos;
}

}  // namespace tonearm::sim
