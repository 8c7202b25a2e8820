// Whether a call ends the process, found out in a forked child: Catch2 has no death tests.
#pragma once

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

namespace tonearm::sim {

template <class Callable>
bool dies(Callable&& callable) {
  const pid_t child = fork();
  if (child < 0) return false;  // The test that expects a death then fails.
  if (child == 0) {
    const rlimit no_core{.rlim_cur = 0, .rlim_max = 0};
    setrlimit(RLIMIT_CORE, &no_core);
    std::signal(SIGABRT, SIG_DFL);  // Not the test framework's report.
    const int null = open("/dev/null", O_WRONLY);
    if (null >= 0) dup2(null, STDERR_FILENO);
    callable();
    _exit(0);
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child) return false;
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

// Whether the call uses bytes that their owner poisoned (base/sanitizer.h). Never without a sanitizer.
template <class Callable>
bool uses_poisoned(Callable&& callable) {
  int ends[2];
  if (pipe(ends) != 0) return false;
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    callable();
    _exit(0);
  }
  close(ends[1]);
  std::string text;
  char bytes[4096];
  for (ssize_t got = 0; (got = read(ends[0], bytes, sizeof bytes)) > 0;)
    text.append(bytes, static_cast<std::size_t>(got));
  close(ends[0]);
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) return false;
  const bool ended_well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  return !ended_well && text.find("use-after-poison") != std::string::npos;
}

}  // namespace tonearm::sim
