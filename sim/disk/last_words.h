// What a call says that ends the process, found out in a forked child (see death.h): that it was the right
// assertion that failed, and that its text tells a programmer what is wrong.
#pragma once

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

namespace tonearm::sim {

// Empty: it does not end the process, or not by an assertion.
template <class Callable>
std::string last_words(Callable&& callable) {
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
  std::string text;
  char bytes[1024];
  for (ssize_t got = 0; (got = read(ends[0], bytes, sizeof bytes)) > 0;)
    text.append(bytes, static_cast<std::size_t>(got));
  close(ends[0]);
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) return {};
  const bool asserted = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
  return asserted && text.find("assertion failed: ") != std::string::npos ? text : "";
}

}  // namespace tonearm::sim
