// Scans that stay open while other things happen: in slots, as the lines of a scenario name them.
#include <fmt/format.h>

#include "sim/run/engine_call.h"

namespace tonearm::sim {

bool EngineHost::scan_open(u32 slot, const ScanRequest& request) {
  if (open_scans_.at(slot) == nullptr) open_scans_[slot] = std::make_unique<OpenScan>();
  OpenScan& open = *open_scans_[slot];
  ASSERT(open.buffer == nullptr);
  Call call(*this, "scan_open");
  Tree& tree = this->tree(request.tree);
  call.engine([&] {
    open.buffer = forest_->scan_buffers().acquire();
    if (open.buffer == nullptr) return;
    open.scan.open(tree, *open.buffer, request.range, request.direction, !request.cold);
  });
  call.end();
  open.tree = request.tree;
  open.ahead.reset();
  return open.buffer != nullptr;
}

EngineHost::OpenScan& EngineHost::open_scan(u32 slot) {
  ASSERT(open_scans_.at(slot) != nullptr);
  ASSERT(open_scans_[slot]->buffer != nullptr);
  return *open_scans_[slot];
}

// A scan that must read does so at once; the next one is asked while it reads.
void EngineHost::scan_next(std::span<const u32> slots, std::span<ScanStep> steps) {
  ASSERT(slots.size() == steps.size());
  Call call(*this, "scan_next");
  for (ScanStep& step : steps) step.kind = ScanStep::Kind::none;
  for (;;) {
    const u64 asked_before = blocks_asked();
    u64 reads_max = 0;
    u32 submitted = 0;
    for (std::size_t i = 0; i < slots.size(); ++i) {
      if (steps[i].kind != ScanStep::Kind::none) continue;
      OpenScan& open = open_scan(slots[i]);
      if (open.ahead) {
        steps[i] = {.kind = ScanStep::Kind::row, .row = *open.ahead, .error = {}};
        open.ahead.reset();
        continue;
      }
      const std::byte* value = nullptr;
      switch (call.engine([&] { return open.scan.next(&value); })) {
        case TreeScan::Next::value:
          steps[i] = {.kind = ScanStep::Kind::row, .row = scan_row(open.tree, value), .error = {}};
          continue;
        case TreeScan::Next::end: steps[i].kind = ScanStep::Kind::end; continue;
        case TreeScan::Next::failed:
          steps[i] = {.kind = ScanStep::Kind::failed, .row = {}, .error = open.scan.error()};
          if (!call.engine([&] { return fails_for_ever(open.scan, &value); }))
            interrupt_->stuck(failed_goes_on);
          continue;
        case TreeScan::Next::read_again: break;
      }
      ++submitted;
      ++scan_reads_pending_;
      reads_max += reads_allowed(tree(open.tree));
      call.engine([&] { open.scan.read(Callback<>::to<&EngineHost::scan_read_done>(this)); });
    }
    if (submitted == 0) break;
    if (scan_reads_pending_ < submitted) interrupt_->stuck("the call is done before it returns");
    pump({.blocks = reads_max, .turns = 2 * submitted});
    check_reads("blocks read by a refill of open scans", reads_max, submitted, asked_before);
  }
  call.end();
}

ScanRow EngineHost::scan_row(TreeName name, const std::byte* value) {
  return {.key = model_key(tree(name).kernel().key_of(value)), .value = decode_value(name, value)};
}

void EngineHost::scan_look_ahead(u32 slot) {
  OpenScan& open = open_scan(slot);
  if (open.ahead) return;
  Call call(*this, "scan_next");
  const std::byte* value = nullptr;
  if (call.engine([&] { return open.scan.next(&value); }) == TreeScan::Next::value) {
    open.ahead = scan_row(open.tree, value);
  }
  call.end();
}

void EngineHost::scan_probe(u32 slot, const Key& key) {
  OpenScan& open = open_scan(slot);
  Call call(*this, "scan_probe");
  call.engine([&] { open.scan.probe(key); });
  call.end();
  if (!open.ahead) return;
  const bool ascending = open.scan.direction() == Direction::ascending;
  const ModelKey& ahead = open.ahead->key;
  if (ascending ? ahead < model_key(key) : model_key(key) < ahead) open.ahead.reset();
}

void EngineHost::scan_abort(u32 slot) {
  OpenScan& open = open_scan(slot);
  Call call(*this, "scan_abort");
  call.engine([&] { open.scan.abort(); });
  call.end();
  open.ahead.reset();
}

void EngineHost::scan_close(u32 slot) {
  OpenScan& open = open_scan(slot);
  Call call(*this, "scan_close");
  call.engine([&] {
    open.scan.close();
    forest_->scan_buffers().release(*open.buffer);
  });
  call.end();
  open.buffer = nullptr;
}

}  // namespace tonearm::sim
