// `inspect`: what is on a disk, read by the decoder that shares nothing with the engine.
#include <fmt/format.h>

#include "sim/cli/crash_guard.h"
#include "sim/cli/json.h"
#include "sim/cli/prepared_run.h"
#include "sim/cli/problems.h"
#include "sim/decode/image_print.h"
#include "sim/run/world_shape.h"
#include "sim/scenario/settings.h"

namespace tonearm::sim {

namespace {

constexpr u64 image_bytes_max = 256_MiB;  // Read or written: it is held twice.

void show(const InspectArgs& args, const ForestShape& shape, const Image& image) {
  const DecodedImage decoded =
      decode_image(image, {.values = args.values || !args.block.empty(), .tables = true, .shape = &shape});
  if (!args.block.empty()) {
    const u64 address = number_argument("--block", args.block, 1, u64_max);
    const u64 blocks = decoded.format.block_size == 0 ? 0 : image.size() / decoded.format.block_size;
    if (address > blocks)
      throw UsageError(fmt::format("--block: found `{}`, expected at most {}", address, blocks));
    fmt::print("{}",
               args.hex ? print_block_hex(image, decoded, address) : print_block(image, decoded, address));
    return;
  }
  fmt::print("{}", print_image(decoded, true, args.values));
  for (const std::string& violation : check_image(decoded)) fmt::print("violation: {}\n", violation);
}

void save(const std::string& file, const Image& image) {
  if (image.size() > image_bytes_max) {
    throw UsageError(fmt::format("--output: an image of {} bytes, expected at most {}: --set blocks_count=N",
                                 image.size(), image_bytes_max));
  }
  std::string bytes(image.size(), '\0');
  image.read(0, std::as_writable_bytes(std::span(bytes)));
  write_text_file(file, bytes);
}

void inspect_file(const InspectArgs& args) {
  const std::string bytes = read_text_file(args.image, image_bytes_max);
  if (bytes.empty() || bytes.size() % PageStore::unit_size != 0) {
    throw UsageError(fmt::format("{}: {} bytes, expected an image: a multiple of {}", args.image,
                                 bytes.size(), PageStore::unit_size));
  }
  PageStore pages;
  Image image(pages, bytes.size(), PageStore::unit_size, 0);
  image.write(0, std::as_bytes(std::span(bytes)));
  // The file itself does not say whose trees these are.
  const PlayPlan plan = parse_play(args.play, "tree");
  if (plan.workloads.size() != 1) throw UsageError("--workload: expected one workload");
  RunOptions options;
  for (const SettingChange& change : plan.changes) settings()[change.setting].set(options, change.value);
  show(args, shape_of(world_of_run(plan.workloads.front()->name, options)), image);
}

void inspect_run(const InspectArgs& args) {
  const PlayPlan plan = parse_play(args.play, "tree");
  const PreparedRun prepared = prepare_seed(plan, seed_argument(args.seed));
  RunConfig config = prepared.config();
  if (!args.at.empty()) config.until = op_argument("--at", args.at);
  bool shown = false;
  config.disk_listener = [&](const SimStorage& disk) {
    shown = true;
    if (!args.output_file.empty()) save(args.output_file, disk.image());
    show(args, shape_of_run(config), disk.image());
  };
  const CrashGuard guard(prepared, args.play.output, false);
  const CpuLimit limit(run_cpu_seconds_max);
  RunnerMemory memory;
  const RunResult result = run(config, memory);
  if (result.failed()) fmt::print("the run failed: {}\n", result.failure.message);
  if (!shown) throw UsageError("--at: the run ended before that line");
}

}  // namespace

int inspect_command(const InspectArgs& args) {
  if (args.image.empty() == args.seed.empty())
    throw UsageError("inspect: expected an IMAGE or --seed N, and not both");
  if (args.image.empty()) {
    inspect_run(args);
  } else {
    inspect_file(args);
  }
  return exit_passed;
}

}  // namespace tonearm::sim
