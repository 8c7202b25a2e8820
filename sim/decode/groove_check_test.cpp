#include "sim/decode/groove_check.h"

#include <cstring>

#include <catch2/catch.hpp>

#include "sim/decode/image_print.h"
#include "sim/decode/image_writer.h"
#include "sim/decode/value_bytes.h"

namespace tonearm::sim {

namespace {

constexpr u64 flag = u64{1} << 63;

// A groove with one index tree of every kind.
struct Song {
  u128 id;
  u128 album;
  u64 year;
  u64 loved;
  u64 timestamp;
  u64 length;
};
static_assert(sizeof(Song) == 64);

constexpr TreeShape song_trees[] = {
    {.id = 7, .name = "songs", .kind = ValueKind::object, .object_size = 64, .timestamp_at = 48},
    {.id = 8, .name = "songs.id", .kind = ValueKind::id},
    {.id = 9, .name = "songs.album", .kind = ValueKind::wide},
    {.id = 10, .name = "songs.year", .kind = ValueKind::index},
    {.id = 11, .name = "songs.loved", .kind = ValueKind::exists},
};

void song_entries(std::span<const std::byte> bytes, std::vector<IndexEntry>* to) {
  Song song;
  std::memcpy(&song, bytes.data(), sizeof song);
  to->push_back({.tree = 9, .key = {song.album, song.timestamp}});
  to->push_back({.tree = 10, .key = {0, u128{song.year} << 64 | song.timestamp}});
  if (song.loved != 0) to->push_back({.tree = 11, .key = {0, song.timestamp}});
}

constexpr u16 song_indexes[] = {9, 10, 11};
constexpr GrooveShape song_groove{.name = "songs",
                                  .object_tree = 7,
                                  .id_tree = 8,
                                  .id_at = 0,
                                  .orphans = true,
                                  .index_trees = song_indexes,
                                  .entries = song_entries};
constexpr ForestShape song_shape{.trees = song_trees, .grooves = {&song_groove, 1}};

template <class Value>
Writer::Raw raw(const Key& key, const Value& value) {
  return Writer::raw(key, std::as_bytes(std::span(&value, 1)));
}

struct Words2 {
  u64 words[2];
};
struct Words4 {
  u64 words[4];
};

Writer::Raw object(const Song& song) { return raw(Key::of(song.timestamp & ~flag), song); }
Writer::Raw id(u64 id, u64 timestamp, u64 spare = 0) {
  return raw(Key::of(id), Words4{{id, 0, timestamp, spare}});
}
Writer::Raw album(u64 album, u64 timestamp) {
  return raw(Key{.lo = timestamp & ~flag, .hi = album}, Words4{{album, 0, timestamp, 0}});
}
Writer::Raw year(u64 year, u64 timestamp) {
  return raw(Key::of(u128{year} << 64 | (timestamp & ~flag)), Words2{{year, timestamp}});
}
Writer::Raw loved(u64 timestamp) { return raw(Key::of(timestamp & ~flag), timestamp); }

// Two songs, one removed, an orphaned id.
struct Songs : Writer {
  std::vector<Raw> objects = {
      object({.id = 5, .album = 70, .year = 1999, .loved = 1, .timestamp = 1, .length = 10}),
      object({.id = 4, .album = 60, .year = 1999, .loved = 0, .timestamp = 2, .length = 20}),
      object({.id = 6, .album = 60, .year = 2001, .loved = 2, .timestamp = 3, .length = 30})};
  std::vector<Raw> gone = {
      object({.id = 0, .album = 0, .year = 0, .loved = 0, .timestamp = 3 | flag, .length = 0})};
  std::vector<Raw> ids = {id(4, 2), id(5, 1), id(6, flag), id(9, 0)};
  std::vector<Raw> albums = {album(60, 2), album(70, 1)};
  std::vector<Raw> years = {year(1999, 1), year(1999, 2)};
  std::vector<Raw> loves = {loved(1)};

  Songs() { superblock(0, {0, 1, 2, 3}); }
  std::vector<std::string> lines() {
    manifest({table(7, 1, 8, {objects}), table(7, 0, 8, {gone}), table(8, 0, 16, {ids}),
              table(9, 0, 32, {albums}), table(10, 0, 16, {years}), table(11, 0, 8, {loves})});
    checkpoint(9);
    return check_image(decode_image(image, {.values = true, .shape = &song_shape}));
  }
};

}  // namespace

TEST_CASE("values of every tree kind are read", "[decode][groove]") {
  Songs songs;
  CHECK(songs.lines() == std::vector<std::string>{});
  const DecodedImage decoded = decode_image(songs.image, {.values = true, .shape = &song_shape});
  const auto key = [&](u16 tree, std::size_t i) {
    return key_of(*song_shape.find(tree), decoded.newest(tree)[i]);
  };
  REQUIRE(decoded.newest(7).size() == 2);
  CHECK(key(7, 0) == DecodedKey{0, 1});
  const std::byte* const object = decoded.newest(7)[1];
  CHECK(payload_of(*song_shape.find(7), object) == object_hash(songs.objects[1].bytes));
  CHECK(std::equal(object, object + sizeof(Song), songs.objects[1].bytes.begin()));
  REQUIRE(decoded.newest(8).size() == 3);
  CHECK(payload_of(*song_shape.find(8), decoded.newest(8)[2]) == 0);
  REQUIRE(decoded.newest(9).size() == 2);
  CHECK(key(9, 1) == DecodedKey{70, 1});
  REQUIRE(decoded.newest(11).size() == 1);
  CHECK(key(11, 0) == DecodedKey{0, 1});

  const std::string text = print_image(decoded, true, true);
  CAPTURE(text);
  CHECK(text.find("tree songs.album level 0: 1 tables, 2 values") != std::string::npos);
  CHECK(text.find("0x3c/2..0x46/1") != std::string::npos);
}

TEST_CASE("objects, ids and index entries must be in bijection", "[decode][groove]") {
  Songs songs;
  SECTION("an index entry is left behind") {
    songs.years.push_back(year(2001, 3));
    CHECK(mentions(songs.lines(), "songs.year: the entry 2001/3 belongs to no object"));
  }
  SECTION("an index entry is missing in the middle") {
    songs.years.erase(songs.years.begin());
    CHECK(mentions(songs.lines(), "songs.year: the entry 1999/1 of an object is missing"));
  }
  SECTION("an index entry is missing at the end") {
    songs.albums.pop_back();
    CHECK(mentions(songs.lines(), "songs.album: the entry 0x46/1 of an object is missing"));
  }
  SECTION("an existence entry of the wrong object") {
    songs.loves.push_back(loved(2));
    CHECK(mentions(songs.lines(), "songs.loved: the entry 2 belongs to no object"));
  }
  SECTION("an id is missing") {
    songs.ids.erase(songs.ids.begin());
    CHECK(mentions(songs.lines(), "songs: the object at 2 has id 4, which is not in the id tree"));
  }
  SECTION("an id names a removed object") {
    songs.ids[2] = id(6, 3);
    CHECK(mentions(songs.lines(), "songs: id 6 names timestamp 3, where no such object is"));
  }
  SECTION("an id names another timestamp") {
    songs.ids[0] = id(4, 1);
    CHECK(mentions(songs.lines(), "songs: id 4 names timestamp 1, its object has 2"));
  }
  SECTION("a tombstone that is not zero") {
    songs.gone[0] = object({.id = 6, .album = 0, .year = 0, .loved = 0, .timestamp = 3 | flag, .length = 0});
    CHECK(mentions(songs.lines(), "a tombstone that is not zero"));
  }
  SECTION("a spare word") {
    songs.ids[0] = id(4, 2, 1);
    CHECK(mentions(songs.lines(), "a spare word is not zero"));
  }
  SECTION("versions of a wide index do not alternate") {
    songs.manifest({songs.table(9, 1, 32, {{album(60, 2)}})});
    CHECK(mentions(songs.lines(), "songs.album: two versions of a key at levels 0 and 1 do not alternate"));
  }
  SECTION("a tombstone of an existence index over nothing") {
    songs.manifest({songs.table(11, 1, 8, {{loved(3 | flag)}})});
    CHECK(mentions(songs.lines(), "songs.loved: a tombstone at level 1 has nothing below it"));
  }
  SECTION("nothing is said when a block is damaged") {
    songs.years.push_back(year(2001, 3));
    REQUIRE_FALSE(songs.lines().empty());
    const DecodedImage whole = decode_image(songs.image, {.values = true, .shape = &song_shape});
    songs.flip(grid_offset + (whole.tables.back().value_blocks[0].ref.address - 1) * block_size + 300);
    const DecodedImage decoded = decode_image(songs.image, {.values = true, .shape = &song_shape});
    REQUIRE(decoded.damaged.size() == 1);
    CHECK(check_image(decoded).empty());
  }
}

TEST_CASE("orphans only where the groove has them", "[decode][groove]") {
  static GrooveShape without = song_groove;
  without.orphans = false;
  static const ForestShape shape{.trees = song_trees, .grooves = {&without, 1}};
  Songs songs;
  CHECK(songs.lines().empty());
  CHECK(mentions(check_image(decode_image(songs.image, {.values = true, .shape = &shape})),
                 "songs: id 9 names timestamp 0, where no such object is"));
}

}  // namespace tonearm::sim
