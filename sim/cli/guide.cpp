#include "sim/cli/guide.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/assert.h"

namespace tonearm::sim {

namespace {

constexpr u32 branches_per_mark = 2;

u64 micros_of(const timeval& time) {
  return static_cast<u64>(time.tv_sec) * 1'000'000 + static_cast<u64>(time.tv_usec);
}

}  // namespace

void Guide::mark_hit(Mark mark) {
  u64& word = wish_.marks[static_cast<u32>(mark) / 64];
  const u64 bit = u64{1} << static_cast<u32>(mark) % 64;
  if ((word & bit) == 0) return;
  word &= ~bit;
  pending_ = true;
}

void Guide::line_ends(u64 next) {
  if (!pending_) return;
  pending_ = false;
  if (next >= source_.count()) return;  // Nothing is left to be played otherwise.
  for (u32 i = 0; i < branches_per_mark && branches_ < wish_.branches_max && !branch_; ++i)
    begin_branch(next);
}

// One after the other: a worker has one processor.
void Guide::begin_branch(u64 next) {
  ASSERT(!branch_);
  const Stream seeds("branch", stream_seed(seed_, "branch"));
  const Reseed branch{.from = next, .seed = seeds.at(next, branches_++) >> 32};
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child < 0) {  // The machine has no more room: the run itself goes on.
    wish_ = {};
    return;
  }
  if (child == 0) {
    branch_ = branch;
    wish_ = {};
    source_.reseed(next, branch.seed);
    if (on_birth_ != nullptr) on_birth_();
    return;
  }
  int status = 0;
  rusage usage{};
  while (wait4(child, &status, 0, &usage) < 0 && errno == EINTR) {
  }
  // One that could say what became of it has ended with 0.
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  on_death_(death_context_, {.branch = branch,
                             .status = status,
                             .cpu_micros = micros_of(usage.ru_utime) + micros_of(usage.ru_stime)});
}

}  // namespace tonearm::sim
