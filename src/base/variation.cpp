#include "base/variation.h"

#include "base/assert.h"

namespace tonearm {

namespace detail {
VariationSource variation_source;
}

namespace {
struct VariationWords {
  const char* name;
  const char* text;
  VariationKind kind;
};
constexpr VariationWords words[variation_count] = {
#define X(name, kind, text) {#name, text, VariationKind::kind},
    TONEARM_VARIATIONS(X)
#undef X
};
static_assert(variation_count <= 32);  // VariationSource::sites.

const VariationWords& words_of(Variation site) {
  ASSERT(static_cast<u32>(site) < variation_count);
  return words[static_cast<u32>(site)];
}
}  // namespace

const char* variation_name(Variation site) { return words_of(site).name; }
const char* variation_text(Variation site) { return words_of(site).text; }
VariationKind variation_kind(Variation site) { return words_of(site).kind; }

VariationSource set_variation_source(VariationSource source) {
  ASSERT(source.sites == 0 || source.ask != nullptr);
  const VariationSource old = detail::variation_source;
  detail::variation_source = source;
  return old;
}

}  // namespace tonearm
