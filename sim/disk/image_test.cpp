#include "sim/disk/image.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

#include "sim/disk/death.h"

namespace tonearm::sim {

namespace {

using Bytes = std::vector<std::byte>;

constexpr u64 size = 1_MiB;

Bytes filled(u64 length, u8 value) { return Bytes(length, std::byte{value}); }

Bytes read(const Image& image, u64 offset, u64 length) {
  Bytes bytes(length);
  image.read(offset, bytes);
  return bytes;
}

}  // namespace

TEST_CASE("a view shows what a read copies, within a page of which all was written", "[image]") {
  PageStore store;
  Image image(store, size, 512, 1);
  image.write(8192 + 512, filled(3584 + 512, 7));
  const std::byte* const seen = image.view(8192 + 512, 3584);
  REQUIRE(seen != nullptr);
  CHECK(Bytes(seen, seen + 3584) == read(image, 8192 + 512, 3584));
  CHECK(image.view(8192, 4096) == nullptr);        // Its first unit is poison.
  CHECK(image.view(8192 + 512, 4096) == nullptr);  // Two pages.
  CHECK(image.view(40'960, 512) == nullptr);
  image.write(8192, filled(512, 9));
  CHECK(image.view(8192, 4096) != nullptr);
  image.forget(8192 + 1024, 512);
  CHECK(image.view(8192, 4096) == nullptr);
}

TEST_CASE("what was written is read, over page borders and in part", "[image]") {
  PageStore store;
  Image image(store, size, 512, 1);
  Bytes bytes(40'960);
  for (u64 i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 7 + i / 512);
  image.write(12'288, bytes);
  REQUIRE(read(image, 12'288, bytes.size()) == bytes);
  REQUIRE(read(image, 16'384, 512) == Bytes(bytes.begin() + 4096, bytes.begin() + 4608));
  REQUIRE(image.written(12'288, 40'960));
  REQUIRE_FALSE(image.written(12'288 - 512, 1024));
  REQUIRE(image.written_any(12'288 - 512, 1024));
  REQUIRE_FALSE(image.written_any(0, 12'288));
  REQUIRE_FALSE(image.written_any(12'288 + 40'960, 16'384));
  REQUIRE(image.written(0, 0));

  // The last page of the disk.
  image.write(size - 512, filled(512, 9));
  REQUIRE(read(image, size - 512, 512) == filled(512, 9));
}

TEST_CASE("unwritten units read as poison that is stable and keyed", "[image]") {
  PageStore store;
  Image image(store, size, 512, 1);
  const Bytes poison = read(image, 0, 65'536);
  REQUIRE(poison == read(image, 0, 65'536));
  REQUIRE(std::count(poison.begin(), poison.end(), std::byte{0}) < 400);
  REQUIRE(read(image, 512, 512) == Bytes(poison.begin() + 512, poison.begin() + 1024));
  REQUIRE(read(image, 0, 512) != read(image, 512, 512));

  const Image other(store, size, 512, 2);
  REQUIRE(read(other, 0, 512) != read(image, 0, 512));

  // A unit between unwritten ones does not change them; forgetting it brings its poison back.
  image.write(1024, filled(512, 3));
  Bytes expected(poison.begin(), poison.begin() + 4096);
  std::fill(expected.begin() + 1024, expected.begin() + 1536, std::byte{3});
  REQUIRE(read(image, 0, 4096) == expected);
  image.forget(1024, 512);
  REQUIRE(read(image, 0, 4096) == Bytes(poison.begin(), poison.begin() + 4096));
  REQUIRE_FALSE(image.written_any(0, size));
}

TEST_CASE("what was abandoned keeps its bytes, or reads as poison, until it is written again", "[image]") {
  for (const bool poisoned : {false, true}) {
    PageStore store;
    Image image(store, 65'536, 512, 1, poisoned);
    image.write(0, Bytes(4096, std::byte{7}));
    const Image before = image;
    image.abandon(1024, 8192);  // The second page was never written.
    REQUIRE(image.written(0, 4096));
    REQUIRE_FALSE(image.written_any(4096, 8192));
    REQUIRE(image.owned_any(512, 1024));
    REQUIRE_FALSE(image.owned_any(1024, 8192));
    REQUIRE(before.owned_any(1024, 512));
    Bytes bytes(3072);
    image.read(1024, bytes);
    REQUIRE((bytes == Bytes(3072, std::byte{7})) != poisoned);
    REQUIRE((image.view(0, 4096) == nullptr) == poisoned);
    const Image after = image;
    image.write(2048, Bytes(512, std::byte{8}));
    REQUIRE(image.owned_any(2048, 512));
    REQUIRE_FALSE(image.owned_any(2560, 512));
    REQUIRE_FALSE(after.owned_any(2048, 512));
    image.forget(1024, 512);
    image.write(1024, Bytes(512, std::byte{9}));
    REQUIRE(image.owned_any(1024, 512));
  }
}

TEST_CASE("copies share pages until one of them writes", "[image]") {
  constexpr u64 bytes = u64{4} * PageStore::page_size;
  PageStore store;
  Image image(store, size, 512, 1);
  image.write(0, filled(bytes, 1));
  REQUIRE(store.pages_in_use() == 4);
  {
    const Image snapshot = image;
    REQUIRE(store.pages_in_use() == 4);
    image.write(512, filled(512, 2));
    REQUIRE(store.pages_in_use() == 5);
    image.forget(bytes - 512, 512);
    REQUIRE(store.pages_in_use() == 6);
    REQUIRE(read(snapshot, 0, bytes) == filled(bytes, 1));
    REQUIRE(snapshot.written(0, bytes));
    REQUIRE(read(image, 512, 512) == filled(512, 2));
    REQUIRE(read(image, 1024, 1024) == filled(1024, 1));

    Image back(store, size, 512, 9);
    back.write(0, filled(512, 7));
    back = snapshot;
    REQUIRE(read(back, 0, bytes) == filled(bytes, 1));
    REQUIRE(store.pages_in_use() == 6);
  }
  REQUIRE(store.pages_in_use() == 4);
}

TEST_CASE("a page that is held stays as it was, and is put elsewhere without a copy", "[image]") {
  PageStore store;
  Image image(store, size, 512, 1);
  Image other(store, size, 512, 1);
  image.write(4096, filled(4096, 1));
  const std::byte* const bytes = image.view(4096, 4096);
  {
    const PageHold held = image.hold(4096);
    REQUIRE(held.data() == bytes);
    image.write(4096, filled(4096, 2));  // The whole page.
    image.write(4608, filled(512, 3));   // A part of the new one.
    REQUIRE(store.pages_in_use() == 2);
    REQUIRE(Bytes(held.data(), held.data() + 4096) == filled(4096, 1));
    other.write(8192, filled(512, 9));
    other.write(8192, held);
    REQUIRE(other.view(8192, 4096) == bytes);
    image.write(4096, held);
    REQUIRE(image.view(4096, 4096) == bytes);
    REQUIRE(store.pages_in_use() == 1);
  }
  other.write(8192 + 512, filled(512, 4));
  REQUIRE(read(image, 4096, 4096) == filled(4096, 1));
  REQUIRE(read(other, 8192, 512) == filled(512, 1));
  REQUIRE(store.pages_in_use() == 2);
}

TEST_CASE("whatever changes a page gives it a stamp of its own", "[image]") {
  PageStore store;
  Image image(store, size, 512, 1);
  CHECK(image.stamp(0, 512) == 0);
  image.write(0, filled(8192, 1));
  const u64 first = image.stamp(0, 4096);
  REQUIRE(first != 0);
  CHECK(image.stamp(512, 1024) == first);
  CHECK(image.stamp(4096, 4096) != first);
  CHECK(image.stamp(2048, 4096) == 0);  // Two pages.
  const Image snapshot = image;
  CHECK(snapshot.stamp(0, 4096) == first);
  std::vector<u64> stamps = {first};
  const auto changed = [&](const Image& at) {
    stamps.push_back(at.stamp(0, 4096));
    REQUIRE(std::count(stamps.begin(), stamps.end(), stamps.back()) == 1);
  };
  image.write(512, filled(512, 1));
  changed(image);
  image.write(0, filled(4096, 1));
  changed(image);
  image.forget(1024, 512);
  changed(image);
  Image branch = snapshot;
  branch.write(0, filled(512, 2));
  changed(branch);
  CHECK(snapshot.stamp(0, 4096) == first);
  image = snapshot;
  CHECK(image.stamp(0, 4096) == first);
}

TEST_CASE("a store gives its pages to the next run, without their contents", "[image]") {
  PageStore store;
  {
    Image image(store, size, 512, 1);
    image.write(0, filled(size, 1));
  }
  REQUIRE(store.pages_in_use() == 0);
  const u64 allocated = store.pages_allocated();
  Image image(store, size, 512, 1);
  image.write(0, filled(512, 2));
  REQUIRE(store.pages_allocated() == allocated);
  REQUIRE(read(image, 512, 512) != filled(512, 1));
  REQUIRE_FALSE(image.written_any(512, 16'384 - 512));
}

TEST_CASE("a grown image is unwritten where it grew", "[image]") {
  PageStore store;
  Image image(store, 4096, 4096, 1);
  image.write(0, filled(4096, 1));
  image.grow(size);
  REQUIRE(image.size() == size);
  REQUIRE(image.written(0, 4096));
  REQUIRE_FALSE(image.written_any(4096, size - 4096));
  REQUIRE(read(image, 0, 4096) == filled(4096, 1));
}

TEST_CASE("ranges outside of the image are refused", "[image]") {
  PageStore store;
  Image image(store, size, 512, 1);
  Bytes bytes(1024);
  REQUIRE(dies([&] { image.read(size - 512, bytes); }));
  REQUIRE(dies([&] { image.write(256, bytes); }));
  REQUIRE(dies([&] { image.read(u64_max - 511, bytes); }));
  REQUIRE_FALSE(dies([&] { image.read(size - 1024, bytes); }));
}

}  // namespace tonearm::sim
