// The interface of libFuzzer, of one target: TONEARM_FUZZ_TARGET is its name.
#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "fuzz/forgery.h"
#include "fuzz/mutate.h"

using tonearm::sim::Target;

extern "C" {
int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size);
std::size_t LLVMFuzzerCustomMutator(unsigned char* data, std::size_t size, std::size_t size_max,
                                    unsigned int seed);
std::size_t LLVMFuzzerCustomCrossOver(const unsigned char* a, std::size_t a_size, const unsigned char* b,
                                      std::size_t b_size, unsigned char* out, std::size_t size_max,
                                      unsigned int seed);
std::size_t LLVMFuzzerMutate(unsigned char* data, std::size_t size, std::size_t size_max);
}

namespace {

const Target& target() {
  static const Target* const found = tonearm::sim::find_target(TONEARM_FUZZ_TARGET);
  ASSERT(found != nullptr);
  return *found;
}

std::string_view view(const unsigned char* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

std::size_t put(const std::string& text, unsigned char* out, std::size_t size_max) {
  ASSERT(text.size() <= size_max);
  std::copy(text.begin(), text.end(), out);
  return text.size();
}

}  // namespace

int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  return target().play(target(), view(data, size));
}

std::size_t LLVMFuzzerCustomMutator(unsigned char* data, std::size_t size, std::size_t size_max,
                                    unsigned int seed) {
  if (target().mutate == nullptr) return LLVMFuzzerMutate(data, size, size_max);
  return put(target().mutate(target(), view(data, size), size_max, seed), data, size_max);
}

std::size_t LLVMFuzzerCustomCrossOver(const unsigned char* a, std::size_t a_size, const unsigned char* b,
                                      std::size_t b_size, unsigned char* out, std::size_t size_max,
                                      unsigned int seed) {
  if (!target().of_scenarios()) {
    // The beginning of one and the end of the other; forgeries stay whole.
    const std::size_t unit = target().mutate == nullptr ? 1 : tonearm::sim::Forgery::size;
    const auto cut = [&](std::size_t size, std::size_t random) {
      return std::min(size, (unit == 1 ? 0 : 1) + random % (size / unit + 1) * unit);
    };
    const std::string_view first = view(a, a_size).substr(0, cut(a_size, seed));
    std::string text(first.substr(0, size_max));
    const std::string_view last = view(b, b_size).substr(cut(b_size, seed / 7));
    text.append(last.substr(0, size_max - text.size()));
    return put(text, out, size_max);
  }
  const std::string text =
      tonearm::sim::cross_inputs(target(), view(a, a_size), view(b, b_size), size_max, seed);
  return put(text, out, size_max);
}
