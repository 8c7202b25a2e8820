#include "sim/cli/crash_guard.h"

#include <fmt/format.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>  // strsignal

#include "sim/cli/problems.h"
#include "sim/cli/report.h"

#if defined(__SANITIZE_ADDRESS__)
#define TONEARM_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TONEARM_ADDRESS_SANITIZER 1
#endif
#endif

#ifdef TONEARM_ADDRESS_SANITIZER
extern "C" void __sanitizer_set_death_callback(void (*callback)(void));
#endif

namespace tonearm::sim {

namespace {

constexpr int signals[] = {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGPROF};

struct Words {
  int signal;  // 0: a sanitizer's report.
  std::string text;
};
std::array<Words, std::size(signals) + 1> all_words;
bool active = false;

void write_all(const std::string& text) {
  const char* at = text.data();
  std::size_t left = text.size();
  while (left > 0) {
    const ssize_t written = write(STDOUT_FILENO, at, left);
    if (written <= 0) return;
    at += written;
    left -= static_cast<std::size_t>(written);
  }
}

void write_words(int signal) {
  if (!active) return;
  active = false;
  for (const Words& words : all_words) {
    if (words.signal == signal) write_all(words.text);
  }
}

void on_signal(int signal) {
  write_words(signal);
  _exit(exit_failed);
}

#ifdef TONEARM_ADDRESS_SANITIZER
void on_death() { write_words(0); }
void install_handlers() {
  __sanitizer_set_death_callback(on_death);
  std::signal(SIGPROF, on_signal);  // The others are the sanitizer's.
}
#else
void install_handlers() {
  constexpr std::size_t stack_size = 64 * 1024;
  alignas(16) static std::array<char, stack_size> stack;
  stack_t alternate{};
  alternate.ss_sp = stack.data();
  alternate.ss_size = stack.size();
  sigaltstack(&alternate, nullptr);
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_ONSTACK | static_cast<int>(SA_RESETHAND);
  for (const int signal : signals) sigaction(signal, &action, nullptr);
}
#endif

// No counter and no digest survives a signal.
std::string words_of(const PreparedRun& prepared, const OutputArgs& output, int signal) {
  RunResult result;
  result.failure = signal_failure(signal, exit_failed);
  if (output.json) return verdict_json(prepared, result, "") + "\n";
  return failure_text(prepared, result, "") + verdict_line(prepared, result) + "\n";
}

}  // namespace

CrashGuard::CrashGuard(const PreparedRun& prepared, const OutputArgs& output, bool save) {
  std::size_t at = 0;
  all_words[at++] = {.signal = 0, .text = words_of(prepared, output, 0)};
  for (const int signal : signals)
    all_words[at++] = {.signal = signal, .text = words_of(prepared, output, signal)};
  active = true;
  install_handlers();
  std::fflush(stdout);
  const bool json = output.json;
  // The runner's report of an assertion; it ends the process with status 1 afterwards.
  set_fatal_failure([&prepared, json, save](const RunConfig&, const RunResult& result) {
    active = false;
    std::string file;
    try {
      if (save) file = save_failure(prepared, result.failure);
    } catch (const EnvironmentError& error) {
      fmt::print(stderr, "tonearm: {}\n", error.what());
    }
    if (json) {
      fmt::print("{}\n", verdict_json(prepared, result, file));
    } else {
      fmt::print("{}{}\n", failure_text(prepared, result, file), verdict_line(prepared, result));
    }
  });
}

CrashGuard::~CrashGuard() {
  active = false;
  set_fatal_failure(nullptr);
}

namespace {

// What looks for a run that stalls is a signal handler, which has no argument of ours.
constexpr u32 looks = 3;  // Without an event between them: then it stalls.
struct Stall {
  const Trace* trace = nullptr;
  u64 seen = 0;  // Events.
  u32 idle = 0;  // Looks at which there was no other.
  u64 micros_each = 0;
  u64 micros_left = 0;
} stall;

void on_look(int) {
  const u64 events = stall.trace->count();
  stall.idle = events == stall.seen ? stall.idle + 1 : 0;
  stall.seen = events;
  stall.micros_left -= stall.micros_left < stall.micros_each ? stall.micros_left : stall.micros_each;
  if (stall.idle < looks && stall.micros_left > 0) return;
  std::signal(SIGPROF, SIG_DFL);
  std::raise(SIGPROF);
}

void set_timer(u64 micros, bool again) {
  constexpr u64 second = 1'000'000;
  itimerval timer{};
  timer.it_value.tv_sec = static_cast<time_t>(micros / second);
  timer.it_value.tv_usec = static_cast<suseconds_t>(micros % second);
  if (again) timer.it_interval = timer.it_value;
  setitimer(ITIMER_PROF, &timer, nullptr);
}

}  // namespace

CpuLimit::CpuLimit(const RunLimits& limits, const Trace* trace) {
  constexpr u64 second = 1'000'000;
  const u64 micros = limits.cpu_seconds * second;
  if (trace == nullptr || limits.stall_millis == 0) {
    set_timer(micros, false);
    return;
  }
  const u64 each = u64{limits.stall_millis} * 1000 / looks + 1;
  stall = {.trace = trace,
           .seen = trace->count(),
           .idle = 0,
           .micros_each = each,
           .micros_left = micros == 0 ? u64_max : micros};
  std::signal(SIGPROF, on_look);
  set_timer(each, true);
}

void CpuLimit::restart(const RunLimits& limits) { set_timer(limits.cpu_seconds * u64{1'000'000}, false); }

CpuLimit::~CpuLimit() { set_timer(0, false); }

Failure signal_failure(int signal, int exit_status) {
  Failure failure;
  failure.failure_class = signal == SIGPROF ? FailureClass::hang : FailureClass::signal;
  if (signal == SIGPROF) {
    failure.site = "hang";
    failure.message = "the run took more CPU time than a run may take";
  } else if (signal != 0) {
    failure.site = fmt::format("signal {}", signal);
    failure.message = fmt::format("the run was killed by signal {} ({})", signal, strsignal(signal));
  } else {
    failure.site = "sanitizer";
    failure.message = fmt::format("the process ended in the middle of the run, with status {}", exit_status);
  }
  return failure;
}

}  // namespace tonearm::sim
