#include "sim/run/full_at.h"

#include <catch2/catch.hpp>
#include <optional>

namespace tonearm::sim {

TEST_CASE("a disk is full at an op or at its checkpoint, which are two places", "[full][full_at]") {
  const FullAt op{.op = 7};
  const FullAt checkpoint{.op = 7, .checkpoint = true};
  CHECK(op.text() == "op 7");
  CHECK(checkpoint.text() == "op 7, its checkpoint");
  CHECK(op == FullAt{.op = 7, .checkpoint = false});
  CHECK(op != checkpoint);
  CHECK(op != FullAt{.op = 8});
  std::optional<FullAt> full;
  CHECK(full != FullAt{});  // Nowhere is not op 0.
}

}  // namespace tonearm::sim
