#include "base/bytes.h"

#include <array>
#include <catch2/catch.hpp>

namespace tonearm {

TEST_CASE("bytes are all zero or one of them is not, wherever it is", "[bytes]") {
  std::array<u8, 300> bytes{};
  for (u64 begin = 0; begin < 9; ++begin) {
    for (u64 size = 0; begin + size <= bytes.size(); size += 1 + size / 70) {
      REQUIRE(all_zero(bytes.data() + begin, size));
      for (u64 at = 0; at < size; ++at) {
        bytes[begin + at] = static_cast<u8>(1 << at % 8);
        REQUIRE_FALSE(all_zero(bytes.data() + begin, size));
        bytes[begin + at] = 0;
      }
      // What lies around it does not matter.
      if (begin > 0) bytes[begin - 1] = 1;
      if (begin + size < bytes.size()) bytes[begin + size] = 1;
      REQUIRE(all_zero(bytes.data() + begin, size));
      bytes = {};
    }
  }
}

}  // namespace tonearm
