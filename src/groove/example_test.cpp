// How a groove is added: what README.md shows is compiled and run here. scripts/readme_test compares it.
#include <catch2/catch.hpp>
#include <vector>

#include "sim/disk/sim_storage.h"

// [example]
#include "groove/groove_forest.h"

using namespace tonearm;

struct Song {                // A plain struct without padding, of 8, 16, 32, ... 256 bytes.
  u128 id;
  u64 album;
  u64 plays;                 // 0: not worth an entry in its index.
  u64 seconds;
  u64 timestamp;             // Unique and never changed; says the order.
  u64 unused[2];
};
bool is_long(const Song& song) { return song.seconds > 600; }

struct Songs : GrooveDescription<"songs", Song,
                   ObjectTree<1>, IdTree<2>,                // Tree ids: unique in the file, for good.
                   Field<"album", 3, &Song::album>,         // Indexed.
                   OptionalField<"plays", 4, &Song::plays>, // Indexed unless zero.
                   DerivedExists<"long", 5, &is_long>,      // Indexed if a function says so.
                   Ignored<&Song::seconds>, Ignored<&Song::unused>> {};
using Library = GrooveForest<Songs /* , Artists, ... */>;
// [example]

// [example]
// Long songs of an album that were not played 10 to 99 times, newest first.
Scan* forgotten(Library& library, u64 album) {
  Groove<Songs>& songs = library.groove<Songs>();
  ScanBuilder& scans = library.scans();
  const ScanOptions options{.direction = Direction::descending};
  return scans.merge_difference(
      scans.merge_intersection(songs.scan<"album">(album, options), songs.scan<"long">(options)),
      songs.scan_range<"plays">(10, 99, options));
}
// [example]

namespace {

struct Waiter {
  void done() { waits = false; }
  Callback<> callback() {
    waits = true;
    return Callback<>::to<&Waiter::done>(this);
  }
  void wait(sim::SimStorage& disk) {
    while (waits) REQUIRE(disk.step());
  }
  bool waits = false;
};

// Looked up page by page.
std::vector<u64> ids_of(Library& library, sim::SimStorage& disk, Scan* scan) {
  REQUIRE(scan != nullptr);
  std::vector<u64> ids;
  Waiter waiter;
  ScanLookup<Songs> lookup(library.groove<Songs>(), *scan);
  std::array<Song, 4> page;
  do {
    lookup.read(page, waiter.callback());
    waiter.wait(disk);
    REQUIRE_FALSE(lookup.error());
    for (const Song& song : std::span(page).first(lookup.count())) ids.push_back(static_cast<u64>(song.id));
  } while (lookup.state() == LookupState::buffer_finished);
  library.scans().release(scan);
  return ids;
}

}  // namespace

TEST_CASE("example: the groove of the README works", "[example]") {
  GrooveForestOptions options;
  REQUIRE_FALSE(Library::validate(options));
  sim::PageStore pages;
  sim::SimStorage disk(pages, {.sector_size = 4096, .block_size = 4096, .blocks_count = 4096}, nullptr);
  std::vector<std::byte> memory(Library::memory_required(options) + Arena::align_max);
  const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
  const u64 skip = (Arena::align_max - address % Arena::align_max) % Arena::align_max;
  Waiter waiter;
  {
    Library library(disk, options, std::span(memory).subspan(skip, Library::memory_required(options)));
    library.format(waiter.callback());
    waiter.wait(disk);
    library.open(waiter.callback());
    waiter.wait(disk);
    REQUIRE_FALSE(library.error());
    Groove<Songs>& songs = library.groove<Songs>();
    for (u64 op = 1; op <= 40; ++op) {
      songs.prefetch_setup();
      REQUIRE(songs.prefetch_enqueue(op) == PrefetchResult::ok);
      REQUIRE(songs.prefetch_enqueue(op / 2) == PrefetchResult::ok);
      songs.prefetch(waiter.callback());
      waiter.wait(disk);
      REQUIRE_FALSE(songs.prefetch_error());
      REQUIRE(songs.get(op).kind == Found::not_found);
      Song song{};
      song.id = op;
      song.album = op / 10;
      song.seconds = op * 60;  // Long from 11 on.
      song.timestamp = op;
      REQUIRE(songs.insert(song) == InsertResult::ok);
      const auto half = songs.get(op / 2);
      REQUIRE((half.kind == Found::found) == (op / 2 > 0));
      if (half.kind == Found::found) {
        song = half.object;
        ++song.plays;
        REQUIRE(songs.update(song) == ChangeResult::ok);
      }
      library.compact(op, waiter.callback());
      waiter.wait(disk);
      if (library.checkpoint_due(op)) {
        library.mark_checkpoint_durable();
        library.checkpoint(waiter.callback());
        waiter.wait(disk);
      }
      REQUIRE_FALSE(library.error());
    }
    CHECK(library.forest().checkpoint_op() == 19);
    disk.crash({});
  }
  Library library(disk, options, std::span(memory).subspan(skip, Library::memory_required(options)));
  library.open(waiter.callback());
  waiter.wait(disk);
  REQUIRE_FALSE(library.error());
  Groove<Songs>& songs = library.groove<Songs>();
  for (u64 id = 1; id <= 40; ++id) REQUIRE(songs.prefetch_enqueue(id) == PrefetchResult::ok);
  songs.prefetch(waiter.callback());
  waiter.wait(disk);
  for (u64 id = 1; id <= 40; ++id) {
    const auto song = songs.get(id);
    CHECK((song.kind == Found::found) == (id <= library.op()));
    CHECK(song.object.album == (id <= library.op() ? id / 10 : 0));
    CHECK(song.object.plays == (id <= 9 ? 2 : 0));
  }
  // Album 1 has the songs 10 to 19, which nobody has played up to op 19.
  CHECK(ids_of(library, disk, forgotten(library, 1)) == std::vector<u64>{19, 18, 17, 16, 15, 14, 13, 12, 11});
}
