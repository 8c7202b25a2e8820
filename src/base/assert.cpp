#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace tonearm {

namespace {
AssertHook assert_hook = nullptr;
}

AssertHook set_assert_hook(AssertHook hook) {
  AssertHook old = assert_hook;
  assert_hook = hook;
  return old;
}

void assert_failed(const char* expression, const char* file, int line) {
  // A hook that fails an assertion itself must not recurse.
  AssertHook hook = set_assert_hook(nullptr);
  if (hook != nullptr) {
    hook(AssertFailure{.expression = expression, .file = file, .line = line});
  } else {
    std::fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expression);
  }
  std::abort();
}

}  // namespace tonearm
