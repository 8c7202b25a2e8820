// What a memo does for a decoder is tested with the decoder's other tests.
#include <catch2/catch.hpp>
#include <tuple>

#include "sim/decode/image_decoder.h"

namespace tonearm::sim {

TEST_CASE("what a memo knows is one block in one place, of one data file", "[decode]") {
  const ForestShape& shape = three_trees_shape();
  const ForestShape other;
  DecodeMemo memo;
  const DecodeMemo::Entry block{.checksum = 7, .stamp = 3, .type = 4};
  memo.begin(512, 1024, 1, &shape);
  CHECK_FALSE(memo.knows(5, block));
  memo.learn(5, block);
  CHECK(memo.knows(5, block));
  CHECK_FALSE(memo.knows(6, block));
  CHECK_FALSE(memo.knows(5, {.checksum = 8, .stamp = 3, .type = 4}));
  CHECK_FALSE(memo.knows(5, {.checksum = 7, .stamp = 4, .type = 4}));
  CHECK_FALSE(memo.knows(5, {.checksum = 7, .stamp = 3, .type = 5}));
  memo.learn(6, {.checksum = 7, .stamp = 0, .type = 4});  // Not in one page: never known.
  CHECK_FALSE(memo.knows(6, {.checksum = 7, .stamp = 0, .type = 4}));
  memo.begin(512, 1024, 1, &shape);
  CHECK(memo.knows(5, block));
  for (const auto& [sector, size, cluster, trees] :
       {std::tuple{1024U, 1024U, u128{1}, &shape}, std::tuple{512U, 2048U, u128{1}, &shape},
        std::tuple{512U, 1024U, u128{2}, &shape}, std::tuple{512U, 1024U, u128{1}, &other}}) {
    memo.learn(5, block);
    memo.begin(sector, size, cluster, trees);
    CHECK_FALSE(memo.knows(5, block));
    memo.begin(512, 1024, 1, &shape);
  }
}

TEST_CASE("a block makes sense as long as it is the same", "[decode]") {
  DecodeMemo memo;
  memo.begin(512, 1024, 1, &three_trees_shape());
  const DecodeMemo::Entry block{.checksum = 7, .stamp = 3, .type = 4};
  const DecodeMemo::Entry later{.checksum = 8, .stamp = 4, .type = 4};
  memo.learn_sensible(5, block);  // Its checksums are not known to be right.
  CHECK_FALSE(memo.knows_sensible(5, block));
  memo.learn(5, block);
  CHECK_FALSE(memo.knows_sensible(5, block));
  memo.learn_sensible(5, later);
  CHECK_FALSE(memo.knows_sensible(5, block));
  memo.learn_sensible(5, block);
  CHECK(memo.knows_sensible(5, block));
  CHECK_FALSE(memo.knows_sensible(6, block));
  CHECK_FALSE(memo.knows_sensible(5, later));
  memo.learn(5, later);
  CHECK(memo.knows(5, later));
  CHECK_FALSE(memo.knows_sensible(5, later));
  CHECK_FALSE(memo.knows_sensible(5, block));
}

}  // namespace tonearm::sim
