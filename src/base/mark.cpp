#include "base/mark.h"

#include "base/assert.h"

namespace tonearm {

namespace detail {
MarkHook mark_hook;
}

namespace {
struct MarkWords {
  const char* name;
  const char* text;
};
constexpr MarkWords words[mark_count] = {
#define X(name, text) {#name, text},
    TONEARM_MARKS(X)
#undef X
};
}  // namespace

const char* mark_name(Mark mark) {
  ASSERT(static_cast<u32>(mark) < mark_count);
  return words[static_cast<u32>(mark)].name;
}

const char* mark_text(Mark mark) {
  ASSERT(static_cast<u32>(mark) < mark_count);
  return words[static_cast<u32>(mark)].text;
}

MarkHook set_mark_hook(MarkHook hook) {
  const MarkHook old = detail::mark_hook;
  detail::mark_hook = hook;
  return old;
}

}  // namespace tonearm
