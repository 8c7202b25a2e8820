#include "sim/decode/image_decoder.h"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "sim/decode/image_print.h"
#include "sim/decode/image_writer.h"
#include "sim/decode/value_bytes.h"
#include "sim/disk/keyed.h"

namespace tonearm::sim {

namespace {

TableInfo as(TableInfo info, u32 level, ManifestEvent event) {
  info.set_label(level, event);
  return info;
}

// Two trees, a moved table, a removed one, and a table that took the removed one's address again.
struct Database : Writer {
  TableInfo newer, older, index_put, index_tombstone, dead;

  Database() {
    superblock(0, {0, 1, 2, 3});
    newer = table(1, 0, {{{2, 20}, {4, 0, true}}, {{6, 60}}});
    older = table(1, 1, {{{1, 11}, {4, 41}, {6, 61}, {9, 91}}});
    index_put = table(2, 2, {{{3, 7}, {3, 8}}});
    index_tombstone = table(2, 1, {{{3, 8, true}}});
    dead = table(1, 0, {{{100, 1}}});
    manifest({as(older, 0, ManifestEvent::insert), as(index_put, 2, ManifestEvent::insert), dead});
    manifest({as(older, 1, ManifestEvent::update), as(dead, 0, ManifestEvent::remove), index_tombstone});
    manifest({newer});
    release(dead.address);
    release(dead.address - 1);
  }
};

DecodedKey small(u64 key) { return {0, key}; }

}  // namespace

TEST_CASE("a disk that was never written is not found", "[decode]") {
  Writer writer;
  const DecodedImage decoded = decode_image(writer.image);
  CHECK(decoded.outcome == DecodeOutcome::not_found);
  CHECK(decoded.blocks.empty());
  CHECK(check_image(decoded).empty());
}

TEST_CASE("a formatted disk is empty", "[decode]") {
  Writer writer;
  writer.superblock(0, {0, 1, 2, 3});
  const DecodedImage decoded = decode_image(writer.image, {.values = true});
  CHECK(decoded.outcome == DecodeOutcome::ok);
  CHECK(decoded.op == 0);
  CHECK(decoded.sequence == 1);
  CHECK(decoded.checkpoint_id == checkpoint_id_of(writer.state));
  CHECK(decoded.format.block_size == block_size);
  CHECK(decoded.format.growth == 2);
  CHECK(decoded.blocks.empty());
  CHECK(check_image(decoded).empty());
}

TEST_CASE("a checkpoint is read whole", "[decode]") {
  Database db;
  db.checkpoint(9);
  const DecodedImage decoded = decode_image(db.image, {.values = true});
  CHECK(decoded.outcome == DecodeOutcome::ok);
  CHECK(decoded.op == 9);
  CHECK(decoded.sequence == 2);
  const std::vector<std::string> lines = check_image(decoded);
  CAPTURE(lines);
  CHECK(lines.empty());
  CHECK(decoded.damaged.empty());
  REQUIRE(decoded.tables.size() == 4);
  CHECK(decoded.tables[0].index.address == db.newer.address);
  CHECK(decoded.tables[1].level == 1);
  CHECK(decoded.tables[1].value_count == 4);
  CHECK(decoded.tables[3].level == 2);

  using Contents = std::vector<std::pair<DecodedKey, u64>>;
  const auto contents = [&decoded](u16 tree) {
    Contents result;
    const TreeShape& shape = *decoded.shape->find(tree);
    for (const std::byte* value : decoded.newest(tree)) {
      result.emplace_back(key_of(shape, value), payload_of(shape, value));
    }
    return result;
  };
  CHECK(contents(1) == Contents{{small(1), 11}, {small(2), 20}, {small(6), 60}, {small(9), 91}});
  CHECK(contents(2) == Contents{{{0, u128{3} << 64 | 7}, 0}});
  CHECK(contents(3).empty());

  const std::vector<u64> words = decoded.protected_words();
  CHECK(bit_of(words, db.newer.address));
  CHECK(bit_of(words, db.state.manifest_oldest_address));
  CHECK(bit_of(words, db.state.acquired_last_address));
  CHECK_FALSE(bit_of(words, db.dead.address));
  CHECK(bit_count(words) == decoded.blocks.size());
  CHECK(bit_count(decoded.released) == 2);

  const DecodedImage quick = decode_image(db.image);
  CHECK(quick.protected_words() == words);
  CHECK(check_image(quick).empty());
}

TEST_CASE("two intact copies of the highest sequence are chosen", "[decode]") {
  Database db;
  db.checkpoint(9);
  const auto outcome = [&db] { return decode_image(db.image); };
  SECTION("a single newer copy is passed over") {
    db.superblock(11, {0});
    CHECK(outcome().op == 9);
    CHECK(outcome().outcome == DecodeOutcome::ok);
  }
  SECTION("two newer copies win") {
    db.superblock(11, {0, 1});
    CHECK(outcome().op == 11);
  }
  SECTION("two slots with one number count once") {
    db.flip(0);
    db.flip(superblock_copy_size);
    db.flip(3 * superblock_copy_size + 32);  // Number 3 becomes 2.
    CHECK(outcome().outcome == DecodeOutcome::quorum_lost);
    CHECK_FALSE(outcome().copies[0].intact);
    CHECK(outcome().copies[3].intact);
  }
  SECTION("every copy damaged") {
    for (u64 slot = 0; slot < 4; ++slot) db.flip(slot * superblock_copy_size + 5000);
    CHECK(outcome().outcome == DecodeOutcome::not_found);
  }
  SECTION("a checkpoint between is lost") {
    db.superblock(11, {});
    db.superblock(13, {3});
    CHECK(outcome().outcome == DecodeOutcome::quorum_lost);
  }
  SECTION("a fork") {
    const SuperblockHeader before = db.header;
    db.superblock(11, {0, 1});
    db.header = before;
    db.superblock(12, {2, 3});
    CHECK(outcome().outcome == DecodeOutcome::fork);
  }
  SECTION("a parent that is not one") {
    db.header.checksum = 1;
    db.superblock(11, {0, 1});
    CHECK(outcome().outcome == DecodeOutcome::parent_not_connected);
  }
  SECTION("a newer release") {
    db.header.release_format = 2;
    db.state.release = 2;
    db.superblock(11, {0, 1, 2, 3});
    CHECK(outcome().outcome == DecodeOutcome::release_unknown);
  }
}

TEST_CASE("each damaged block is named, and no other", "[decode]") {
  Database clean;
  clean.checkpoint(9);
  const std::vector<DecodedBlock> blocks = decode_image(clean.image, {.values = true}).blocks;
  REQUIRE(blocks.size() == 5 + 4 + 3 + 2);
  for (const DecodedBlock& block : blocks) {
    for (const u64 at : {u64{3}, u64{100}, u64{250}, u64{block_header_size}, u64{511}}) {
      Database db;
      db.checkpoint(9);
      db.flip(grid_offset + (block.ref.address - 1) * block_size + at);
      const DecodedImage decoded = decode_image(db.image, {.values = true});
      CAPTURE(block.ref.address, at);
      REQUIRE(decoded.damaged.size() == 1);
      REQUIRE(decoded.damaged[0].ref.address == block.ref.address);
      REQUIRE(decoded.damaged[0].use == block.use);
      REQUIRE(decoded.outcome == DecodeOutcome::ok);
      const std::vector<std::string> lines = check_image(decoded);
      CAPTURE(lines);
      REQUIRE(lines.empty());
    }
  }
}

// What was authenticated once is not hashed again, as long as its page is the same.
TEST_CASE("a block that was seen intact and changed since is found damaged", "[decode]") {
  Database db;
  db.checkpoint(9);
  DecodeMemo memo;
  const DecodeOptions options{.values = true, .memo = &memo};
  const std::vector<DecodedBlock> blocks = decode_image(db.image, options).blocks;
  REQUIRE(blocks.size() == 5 + 4 + 3 + 2);
  for (const DecodedBlock& block : blocks) {
    for (const u64 at : {u64{3}, u64{100}, u64{250}, u64{block_header_size}, u64{511}}) {
      CAPTURE(block.ref.address, at);
      const u64 offset = grid_offset + (block.ref.address - 1) * block_size + at;
      // In place, and back.
      db.flip(offset);
      const DecodedImage decoded = decode_image(db.image, options);
      REQUIRE(decoded.damaged.size() == 1);
      REQUIRE(decoded.damaged[0].ref.address == block.ref.address);
      REQUIRE(decode_image(db.image, options).damaged.size() == 1);
      db.flip(offset);
      REQUIRE(decode_image(db.image, options).damaged.empty());
      // In a page of its own, and back to the one that is known.
      const Image before = db.image;
      db.flip(offset);
      const Image damaged = db.image;
      REQUIRE(decode_image(damaged, options).damaged.size() == 1);
      REQUIRE(decode_image(before, options).damaged.empty());
      REQUIRE(decode_image(damaged, options).damaged.size() == 1);
      db.image = before;
    }
  }
}

TEST_CASE("a structure that is wrong is told", "[decode]") {
  Database db;
  const auto lines = [&db] {
    db.checkpoint(9);
    return check_image(decode_image(db.image, {.values = true}));
  };
  SECTION("a leak") {
    db.acquire();
    CHECK(mentions(lines(), "is acquired and not reachable"));
  }
  SECTION("a reachable block is released") {
    db.release(db.newer.address);
    CHECK(mentions(lines(), "is reachable and released"));
  }
  SECTION("a reachable block is free") {
    db.acquired[0] &= ~(u64{1} << (db.newer.address - 1));
    CHECK(mentions(lines(), "is reachable and free"));
  }
  SECTION("released and not acquired") {
    db.release(120);
    CHECK(mentions(lines(), "block 120 is released and not acquired"));
  }
  SECTION("tables of a level overlap") {
    db.manifest({db.table(1, 1, {{{9, 1}, {12, 1}}})});
    CHECK(mentions(lines(), "tree 1 level 1: tables"));
  }
  SECTION("too many tables") {
    db.manifest({db.table(1, 0, {{{50, 1}}}), db.table(1, 0, {{{60, 1}}})});
    CHECK(mentions(lines(), "tree 1 level 0: more than 2 tables"));
  }
  SECTION("values out of order") {
    db.manifest({db.table(1, 2, {{{60, 1}, {50, 1}, {70, 1}}})});
    CHECK(mentions(lines(), "values out of order"));
  }
  SECTION("a tombstone of the index over nothing") {
    db.manifest({db.table(2, 3, {{{9, 9, true}}})});
    CHECK(mentions(lines(), "has nothing below it"));
  }
  SECTION("a tombstone of the index over a tombstone") {
    db.manifest({db.table(2, 0, {{{3, 8, true}}})});
    CHECK(mentions(lines(), "do not alternate"));
  }
  SECTION("the manifest miscounts") {
    TableInfo info = db.table(3, 2, {{{60, 1}}});
    info.value_count = 2;
    db.manifest({info});
    CHECK(mentions(lines(), "number of values differs"));
  }
  SECTION("a level that does not exist") {
    db.manifest({db.table(3, 4, {{{60, 1}}})});
    CHECK(mentions(lines(), "lies at level 4"));
  }
}

TEST_CASE("arbitrary bytes with intact checksums are survived", "[decode]") {
  const Stream stream("decode test", 1);
  for (u64 round = 0; round < 300; ++round) {
    Database db;
    db.checkpoint(9);
    // Any field of the state: its checksum is right, what it says is not.
    auto* bytes = reinterpret_cast<std::byte*>(&db.state);
    bytes[below(stream.at(round, 1), sizeof db.state)] = static_cast<std::byte>(stream.at(round, 2));
    bytes[300 + below(stream.at(round, 3), 100)] = static_cast<std::byte>(stream.at(round, 4));
    db.superblock(db.state.op, {0, 1, 2, 3});
    const DecodedImage decoded = decode_image(db.image, {.values = true});
    REQUIRE(decoded.blocks.size() <= 4 * blocks_count);
    REQUIRE(print_image(decoded, true, true).size() > 100);
  }
}

TEST_CASE("inspect shows what is there", "[decode]") {
  Database db;
  db.checkpoint(9);
  const DecodedImage decoded = decode_image(db.image, {.values = true});
  const std::string text = print_image(decoded, true, true);
  CAPTURE(text);
  CHECK(text.find("checkpoint: op 9 sequence 2") != std::string::npos);
  CHECK(text.find("tree kv level 0: 1 tables, 3 values") != std::string::npos);
  CHECK(text.find("3/7..3/8") != std::string::npos);
  CHECK(text.find("4 removed") != std::string::npos);
  CHECK(print_block(db.image, decoded, db.newer.address).find("index, ") != std::string::npos);
  CHECK(print_block(db.image, decoded, db.state.manifest_newest_address).find("insert tree kv level 0") !=
        std::string::npos);
  CHECK(print_block(db.image, decoded, 125).find("no intact header") != std::string::npos);
  CHECK(print_block(db.image, decoded, 0).find("not on this disk") != std::string::npos);
  CHECK(print_block(db.image, decoded, 500).find("not on this disk") != std::string::npos);
  CHECK(print_block_hex(db.image, decoded, 1).size() == (6 + 1 + 48 + 2 + 16 + 1) * block_size / 16);
}

TEST_CASE("what makes no sense is said again each time", "[decode]") {
  DecodeMemo memo;
  const DecodeOptions options{.values = true, .memo = &memo};
  Database db;
  db.checkpoint(9);
  REQUIRE(check_image(decode_image(db.image, options)).empty());
  const TableInfo disordered = db.table(1, 2, {{{5, 1}, {3, 1}, {7, 1}}});
  db.manifest({disordered});
  db.checkpoint(10);
  const std::vector<std::string> first = check_image(decode_image(db.image, options));
  CHECK(mentions(first, "values out of order"));
  CHECK(check_image(decode_image(db.image, options)) == first);
  CHECK(check_image(decode_image(db.image, {.values = true})) == first);
}

TEST_CASE("where the file may end, the op's id and a table of the future are looked at", "[decode]") {
  Database db;
  db.checkpoint(9);
  REQUIRE(check_image(decode_image(db.image, {})).empty());
  db.header.state.storage_size += block_size;
  superblock_seal(db.header);
  db.write_copies({0, 1, 2, 3});
  CHECK(mentions(check_image(decode_image(db.image, {})), "storage size"));
  db.header.state.storage_size -= block_size;
  ++db.header.state.op_id;
  superblock_seal(db.header);
  db.write_copies({0, 1, 2, 3});
  CHECK(mentions(check_image(decode_image(db.image, {})), "the op has another id"));

  TableInfo later = db.table(1, 2, {{{101, 1}, {102, 1}}});
  later.snapshot_min = 10 + db.format.beats + 2;
  db.manifest({later});
  db.checkpoint(10);
  CHECK(mentions(check_image(decode_image(db.image, {})), "visible only from op 14"));
  later.snapshot_min = 10 + db.format.beats + 1;
  later.set_label(2, ManifestEvent::update);
  db.manifest({later});
  db.checkpoint(11);
  CHECK_FALSE(mentions(check_image(decode_image(db.image, {})), "visible only"));
}

TEST_CASE("a sound value block is compared with its table each time", "[decode]") {
  DecodeMemo memo;
  const DecodeOptions options{.values = true, .memo = &memo};
  Database db;
  TableInfo moved = db.table(1, 2, {{{101, 1}, {102, 1}}});
  db.manifest({moved});
  db.checkpoint(9);
  REQUIRE(check_image(decode_image(db.image, options)).empty());
  moved.key_max = Key::of(103);
  moved.snapshot_min = 4;
  moved.value_count = 3;
  moved.set_label(2, ManifestEvent::update);
  db.manifest({moved});
  db.checkpoint(10);
  const std::vector<std::string> lines = check_image(decode_image(db.image, options));
  CHECK(mentions(lines, "keys differ from the manifest's"));
  CHECK(mentions(lines, "snapshot"));
  CHECK(mentions(lines, "number of values differs from the manifest's"));
}

TEST_CASE("what is decoded stays what it was, whatever becomes of the disk", "[decode]") {
  Database db;
  db.checkpoint(9);
  DecodedImage decoded = decode_image(db.image, {.values = true});
  const auto keys = [&decoded] {
    std::vector<DecodedKey> result;
    for (const std::byte* value : decoded.newest(1)) result.push_back(key_of(*decoded.shape->find(1), value));
    return result;
  };
  const std::vector<DecodedKey> before = keys();
  REQUIRE(before.size() == 4);
  const std::vector<std::byte> other(db.image.size() - grid_offset, std::byte{0x5a});
  db.image.write(grid_offset, other);
  CHECK(keys() == before);
  decoded.forget_values();
  CHECK(decoded.newest(1).empty());
  CHECK(decoded.tables.size() == 4);
  // In place of another one nothing of it is left.
  decode_image(db.image, {}, &decoded);
  CHECK(decoded.tables.empty());
  CHECK(decoded.value_blocks.empty());
  CHECK_FALSE(decoded.damaged.empty());
}

}  // namespace tonearm::sim
