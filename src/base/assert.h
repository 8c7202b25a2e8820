// Assertions stay on in every build: a wrong state must end a run, not colour its results.
//
// A failed assertion calls one hook (the simulator's prints the verdict and the line that replays
// the run) and then aborts. The engine is built without exceptions, so a hook never returns into it.
#pragma once

namespace tonearm {

struct AssertFailure {
  const char* expression;  // Source text of what did not hold.
  const char* file;
  int line;
};

// Called once with the failure before the process aborts. Null: print to stderr. Returns the old hook.
using AssertHook = void (*)(const AssertFailure&);
AssertHook set_assert_hook(AssertHook hook);

[[noreturn]] void assert_failed(const char* expression, const char* file, int line);

}  // namespace tonearm

#define ASSERT(condition) \
  (__builtin_expect(!(condition), 0) ? ::tonearm::assert_failed(#condition, __FILE__, __LINE__) : void(0))

// "If premise, then conclusion": reads as the sentence it is.
#define ASSERT_IMPLIES(premise, conclusion) ASSERT(!(premise) || (conclusion))

#define UNREACHABLE() ::tonearm::assert_failed("unreachable", __FILE__, __LINE__)
