// Hostile data files: blocks and superblocks with any bytes in any place, and every checksum right.
//
// The file is that of a run of trees, or of all grooves; the input says what is changed in it: forgery.h.
//
// What must hold: the decoder comes to an end, and so do open, verification and scans of the engine, each
// with or without an error, never in an assertion or outside of memory; and what the engine's verification
// finds good has no violation that the decoder sees.
#include <fmt/format.h>

#include <cstdlib>

#include "fuzz/forged_file.h"
#include "fuzz/forgery.h"
#include "fuzz/target.h"
#include "sim/run/shadow.h"
#include "sim/run/world_shape.h"
#include "sim/scenario/settings.h"

namespace tonearm::sim {

namespace {

// The last image of a run, and all that is needed to open it.
struct DataFile {
  const World& world;
  RunnerMemory memory;  // Its pages hold the image.
  RunOptions options;
  DecodedImage decoded;
  std::unique_ptr<ForgedFile> intact;
  EngineMemory engine;

  explicit DataFile(const char* workload, u64 seed);
};

DataFile::DataFile(const char* workload, u64 seed) : world(world_of(workload, GrooveName::things)) {
  options.format = {.sector_size = 512,
                    .block_size = 1024,
                    .levels = 4,
                    .growth = 2,
                    .beats = 2,
                    .checkpoint_interval = 4,
                    .batch_values_max = 4,
                    .manifest_extra_blocks = 2,
                    .values_per_block_max = 4};
  options.runtime.blocks_count = 2048;
  options.runtime.cache_blocks = 64;
  options.ops = 300;
  options.key_universe = 24;
  options.weight_crash = options.weight_reopen = 0;
  options.disk.seed = seed;
  finish_options(&options);
  const std::string problem = validate_run(workload, options);
  ASSERT(problem.empty());
  RunConfig config;
  config.workload = workload;
  config.seed = seed;
  config.options = options;
  config.record_image = true;
  const std::unique_ptr<OperationSource> source = find_workload(workload)->source(seed, options, {});
  config.source = source.get();
  const RunResult result = run(config, memory);
  ASSERT(!result.failed());
  const Image& image = *memory.parts().final_image;
  decoded = decode_image(image, {.shape = &shape_of(world)});
  intact = std::make_unique<ForgedFile>(image, decoded);
}

DataFile& data_file(u8 choice) {
  static DataFile tree("tree", 7);
  static DataFile forest("forest", 7);
  return (choice & 1) == 0 ? tree : forest;
}

[[noreturn]] void broken(const char* promise, const std::string& what) {
  fmt::print(stderr, "fuzz: broken: {}: {}\n", promise, what);
  std::fflush(stderr);
  std::abort();
}

// The first thing that is wrong with the image, or empty.
std::string violation(const DataFile& file, const Image& image) {
  const DecodedImage decoded = decode_image(image, {.values = true, .shape = &shape_of(file.world)});
  if (decoded.outcome != DecodeOutcome::ok) return decode_outcome_name(decoded.outcome);
  if (!decoded.damaged.empty()) return decoded.damaged.front().reason;
  if (!decoded.violations.empty()) return decoded.violations.front();
  const std::vector<std::string> violations = check_image(decoded);
  return violations.empty() ? std::string() : violations.front();
}

void scan_all(Shadow& shadow, const World& world) {
  std::vector<ScanRow> rows;
  for (u32 i = 0; i < world.count; ++i) {
    ScanRequest request{.tree = world.tree(i), .range = {.min = Key{}, .max = key_max(world.tree(i))}};
    for (const Direction direction : {Direction::ascending, Direction::descending}) {
      request.direction = direction;
      if (const Error error = shadow.host().scan(request, &rows))
        broken("a verified file can be scanned", error.reason);
    }
  }
}

void judge(DataFile& file, const Image& image) {
  const std::string wrong = violation(file, image);
  Shadow shadow(file.world, image, file.options, file.engine, false, 0);
  if (shadow.host().open()) return;
  ForestVerify::Counts counts;
  if (shadow.host().verify(&counts)) return;
  // What the values mean is not the engine's to know.
  const bool of_value = wrong.ends_with("a spare word is not zero");
  if (!wrong.empty() && !of_value) broken("what is verified has no violation", wrong);
  scan_all(shadow, file.world);
}

void forge(ForgedFile* file, const Forgery& forgery) {
  const ForgedFile::Where where{.place = forgery.place, .offset = forgery.offset};
  const ForgedFile::Where other{.place = forgery.other_place(), .offset = forgery.other_offset()};
  constexpr u32 word = 8;
  switch (forgery.kind()) {
    case ForgeryKind::set: return file->patch(where.place, where.offset, forgery.width(), forgery.value);
    case ForgeryKind::add: {
      const i64 delta = static_cast<signed char>(forgery.value);
      return file->add(where.place, where.offset, forgery.width(), delta);
    }
    case ForgeryKind::copy: return file->copy(where, other, word * forgery.width(), false);
    case ForgeryKind::exchange: return file->copy(where, other, word * forgery.width(), true);
  }
}

}  // namespace

int play_blocks(const Target&, std::string_view input) {
  if (input.empty() || input.size() > 1 + Forgery::count_max * Forgery::size) return -1;
  DataFile& file = data_file(static_cast<u8>(input[0]));
  set_assert_hook(nullptr);
  ForgedFile forged = *file.intact;
  for (std::size_t at = 1; at + Forgery::size <= input.size(); at += Forgery::size) {
    forge(&forged, Forgery::of(input.data() + at));
  }
  forged.seal();
  try {
    judge(file, forged.image());
  } catch (const RunFailed& failed) {
    broken("every call ends", failed.failure.message);
  }
  return 0;
}

}  // namespace tonearm::sim
