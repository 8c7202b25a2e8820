#include "base/span.h"

#include "base/assert.h"

namespace tonearm {

namespace detail {
SpanHook span_hook;
}

const char* span_name(SpanKind kind) {
  constexpr const char* names[span_kind_count] = {
#define X(name, text) text,
      TONEARM_SPANS(X)
#undef X
  };
  ASSERT(static_cast<u32>(kind) < span_kind_count);
  return names[static_cast<u32>(kind)];
}

SpanHook set_span_hook(SpanHook hook) {
  ASSERT((hook.begins == nullptr) == (hook.ends == nullptr));
  const SpanHook old = detail::span_hook;
  detail::span_hook = hook;
  return old;
}

}  // namespace tonearm
