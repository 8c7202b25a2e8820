// corpus/images/: a data file of every format version that was ever released. Each must open and hold
// what is written beside it, or be refused in a way that says why.
//
//   vN.image     the bytes of the file up to its last written sector; what was never written is zero
//   vN.scenario  the options of the file, as the head of a scenario
//   vN.expected  op and checkpoint id, and of each tree the number of keys and a hash of the rows
#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>

#include "sim/decode/image_decoder.h"
#include "sim/decode/value_bytes.h"
#include "sim/run/audit.h"
#include "sim/run/test_host.h"
#include "sim/run/test_runs.h"
#include "storage/superblock.h"

namespace tonearm::sim {

namespace {

constexpr char images_path[] = TONEARM_SOURCE_DIR "/corpus/images/";
constexpr const char* versions[] = {"v1"};
constexpr u64 image_bytes_max = 200'000;

std::string file_text(const std::string& name) {
  std::ifstream file(images_path + name, std::ios::binary);
  INFO(images_path << name);
  REQUIRE(file.is_open());
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_file(const std::string& name, const std::string& text) {
  std::ofstream file(images_path + name, std::ios::binary);
  file << text;
  file.close();
  REQUIRE(file.good());
}

std::string hexadecimal(u128 number) {
  std::string text(32, '0');
  for (u32 i = 0; i < 32; ++i) text[31 - i] = "0123456789abcdef"[static_cast<u32>(number >> (4 * i)) & 15];
  return text;
}

// A row of the expectation: rows are (high key, low key, value), in order.
struct Contents {
  u64 keys = 0;
  std::string text;
  void add(u128 high, u128 low, u64 value) {
    ++keys;
    text += hexadecimal(high) + hexadecimal(low) + ' ' + std::to_string(value) + '\n';
  }
  std::string row(TreeName tree) const {
    const u64 hash = hash_of(std::as_bytes(std::span(text)), 0);
    return std::string(tree_name(tree)) + ' ' + std::to_string(keys) + ' ' + hexadecimal(hash) + '\n';
  }
};

// By the decoder, which shares no line with the engine.
std::string decoded_words(const Image& image) {
  const DecodedImage decoded = decode_image(image, {.values = true});
  REQUIRE(decoded.outcome == DecodeOutcome::ok);
  CHECK(decoded.damaged.empty());
  CHECK(decoded.violations == std::vector<std::string>{});
  CHECK(check_image(decoded) == std::vector<std::string>{});
  std::string words =
      "op " + std::to_string(decoded.op) + "\ncheckpoint " + hexadecimal(decoded.checkpoint_id) + '\n';
  for (u32 i = 0; i < world_tree.count; ++i) {
    Contents contents;
    const TreeShape& tree = *decoded.shape->find(static_cast<u16>(i + 1));
    for (const std::byte* value : decoded.newest(tree.id)) {
      const DecodedKey key = key_of(tree, value);
      contents.add(key.first, key.second, payload_of(tree, value));
    }
    words += contents.row(static_cast<TreeName>(i));
  }
  return words;
}

std::string scanned_words(EngineHost& host, Direction direction) {
  std::string words = "op " + std::to_string(host.forest().checkpoint_op()) + "\ncheckpoint " +
                      hexadecimal(host.forest().checkpoint_id()) + '\n';
  std::vector<ScanRow> rows;
  for (u32 i = 0; i < world_tree.count; ++i) {
    const TreeName tree = static_cast<TreeName>(i);
    const Error error = host.scan({.tree = tree, .range = tree_range(tree), .direction = direction}, &rows);
    REQUIRE_FALSE(error);
    if (direction == Direction::descending) std::reverse(rows.begin(), rows.end());
    Contents contents;
    for (const ScanRow& row : rows) {
      const Key key = engine_key(tree, row.key);
      contents.add(key.hi, key.lo, row.value);
    }
    words += contents.row(tree);
  }
  return words;
}

std::string written_bytes(const Image& image) {
  std::string bytes(image.size(), '\0');
  u64 end = 0;
  for (u64 at = 0; at < image.size(); at += PageStore::unit_size) {
    if (!image.written(at, PageStore::unit_size)) continue;
    image.read(at, std::as_writable_bytes(std::span(bytes).subspan(at, PageStore::unit_size)));
    end = at + PageStore::unit_size;
  }
  bytes.resize(end);
  return bytes;
}

u64 whole_size(const RunOptions& options) {
  return superblock_zone_size + options.runtime.blocks_count * options.format.block_size;
}

struct Opened {
  Opened(const std::string& bytes, const RunOptions& options)
      : image(pages, whole_size(options), options.format.sector_size, 0) {
    REQUIRE(bytes.size() <= image.size());
    REQUIRE(bytes.size() % options.format.sector_size == 0);
    image.write(0, std::as_bytes(std::span(bytes)));
    disk.emplace(image, options.disk, nullptr);
    host.emplace(world_tree, *disk, options, memory, quiet, 0);
    error = host->open();
  }
  ~Opened() { disk->crash({}); }

  PageStore pages;
  Image image;
  EngineMemory memory;
  StrictInterrupt quiet;
  std::optional<SimStorage> disk;
  std::optional<EngineHost> host;
  Error error;
};

RunOptions image_options(const std::string& version) {
  RunOptions options = require_scenario(file_text(version + ".scenario")).options;
  options.disk.read = options.disk.write = options.disk.sync = options.disk.superblock = {};
  options.disk.faults = {};
  return options;
}

// What a later release might have written, in every copy.
std::string changed(std::string bytes, void (*change)(SuperblockHeader*)) {
  for (u32 copy = 0; copy < superblock_copies; ++copy) {
    SuperblockHeader header;
    char* place = bytes.data() + u64{copy} * superblock_copy_size;
    std::memcpy(&header, place, sizeof header);
    change(&header);
    header.checksum = superblock_checksum(header);
    std::memcpy(place, &header, sizeof header);
  }
  return bytes;
}

}  // namespace

// Hidden: for the day when a new version is released. Those that exist are not written again.
TEST_CASE("write the image of the newest format version", "[.][update-images]") {
  const std::string version = versions[std::size(versions) - 1];
  SeedRun seed(7);
  FormatOptions& format = seed.config.options.format;
  format = {.sector_size = 512,
            .block_size = 1024,
            .levels = 4,
            .growth = 2,
            .beats = 4,
            .checkpoint_interval = 8,
            .batch_values_max = 8};
  seed.config.options.runtime = {.blocks_count = 512, .cache_blocks = 64};
  seed.config.options.ops = 6000;
  seed.config.options.weight_put = 40;
  seed.config.options.weight_remove = 15;
  seed.config.options.weight_get = seed.config.options.weight_scan = 1;
  seed.config.options.weight_kv = seed.config.options.weight_index = seed.config.options.weight_id = 1;
  seed.config.options.weight_commit = 20;
  seed.config.options.weight_checkpoint = 1;
  seed.config.options.weight_crash = seed.config.options.weight_reopen = 0;
  seed.config.options.key_universe = 96;
  seed.changed();
  Scenario scenario = scenario_of(seed);
  scenario.operations.clear();
  std::string bytes;
  seed.config.disk_listener = [&bytes](const SimStorage& disk) {
    bytes = written_bytes(disk.durable_image());
  };
  check_passed(seed.play());
  CHECK(bytes.size() <= image_bytes_max);
  write_file(version + ".scenario", print_scenario(scenario));
  write_file(version + ".image", bytes);
  const Opened opened(bytes, image_options(version));
  write_file(version + ".expected", decoded_words(opened.image));
}

TEST_CASE("data files of every released format version open", "[images]") {
  for (const std::string version : versions) {
    INFO(version);
    const std::string bytes = file_text(version + ".image");
    const std::string expected = file_text(version + ".expected");
    CHECK(bytes.size() <= image_bytes_max);
    Opened opened(bytes, image_options(version));
    INFO(error_name(opened.error.kind));
    REQUIRE_FALSE(opened.error);
    CHECK(decoded_words(opened.image) == expected);
    CHECK(scanned_words(*opened.host, Direction::ascending) == expected);
    CHECK(scanned_words(*opened.host, Direction::descending) == expected);
    CHECK(expected.find(" 0 ") == std::string::npos);  // No tree is empty.
    // Neither opening nor reading writes anything.
    CHECK(opened.host->blocks_written() == 0);
    CHECK(written_bytes(opened.disk->image()).substr(0, bytes.size()) == bytes);
    CHECK(opened.disk->writes_undurable() == 0);
  }
}

TEST_CASE("data files of a later format version are refused", "[images]") {
  const std::string version = versions[std::size(versions) - 1];
  const std::string bytes = file_text(version + ".image");
  const RunOptions options = image_options(version);
  const std::string layout =
      changed(bytes, [](SuperblockHeader* header) { header->version = superblock_version + 1; });
  const Opened by_layout(layout, options);
  CHECK(by_layout.error.kind == ErrorKind::release_unknown);
  CHECK(by_layout.error.stored == superblock_version + 1);
  CHECK(by_layout.error.given == superblock_version);
  const std::string release =
      changed(bytes, [](SuperblockHeader* header) { header->state.release = superblock_release + 1; });
  const Opened by_release(release, options);
  CHECK(by_release.error.kind == ErrorKind::release_unknown);
  CHECK(by_release.error.stored == superblock_release + 1);
  CHECK(by_release.error.given == superblock_release);
  // Refusing touches nothing, so that the later release can still open it.
  CHECK(written_bytes(by_layout.disk->image()).substr(0, layout.size()) == layout);
  // The same change with nothing newer in it opens: it is the version that is refused.
  const Opened unchanged(changed(bytes, [](SuperblockHeader*) {}), options);
  CHECK_FALSE(unchanged.error);
}

}  // namespace tonearm::sim
