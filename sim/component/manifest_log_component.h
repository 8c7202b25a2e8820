// The component of workload `manifest_log`: see manifest_log.cpp.
#pragma once

#include "grid/grid.h"
#include "sim/component/disk_component.h"
#include "sim/component/manifest_model.h"
#include "sim/component/tested.h"
#include "sim/decode/manifest_chain.h"
#include "tree/manifest_log.h"

namespace tonearm::sim {

class ManifestLogComponent final : public DiskComponent {
 public:
  explicit ManifestLogComponent(Referee& referee);

  void play(const Operation& line) override;
  void finish() override;

 private:
  void half_bar(u64 percent, u64 grow);
  void append(u64 percent, u64 grow);
  TableInfo drawn_table(u64 random) const;
  bool checkpoint();
  void save();
  void protect(bool on);

  bool open_failing(const ManifestEnds& ends, u64 tables_max, ErrorKind kind, u64 address, const char* what);
  void open_small(u64 percent);
  void damage(u64 where, u64 bit);
  void forge(u64 where, u64 kind, u64 value);
  void write_block(u64 address, const std::vector<std::byte>& bytes);

  void compare_pace();
  void compare_delivered(const std::vector<ManifestEntry>& expected);
  void compare_state(u64 gone);
  void compare_disk();

  // --- the process
  void start(u64 tables_max);
  void drop() override;
  void crash() override;
  void begin_open(const ManifestEnds& ends, u64 tables_max);
  bool ensure_open();
  void on_table(const TableInfo& table) {
    const HarnessCode harness;
    std::memcpy(delivered_.emplace_back().bytes.data(), &table, sizeof(table));
  }

  u64 blocks_count() const;
  ManifestPlace place() const;

  Stream content_;
  u32 trees_;
  u64 tables_max_ = 0;
  Grid::Options grid_options_{};
  OpId line_;
  u64 draws_ = 0;  // Of the line's content.

  Tested<Grid> grid_;
  Tested<ManifestLog> log_;
  std::vector<ManifestEntry> delivered_;  // By open.

  ManifestModel model_;
  std::vector<u64> addresses_;  // Of the log's blocks, oldest first.
  struct Saved {
    bool any = false;  // There was a checkpoint.
    ManifestEnds ends;
    std::vector<std::byte> acquired, released;
    ManifestModel model;
    std::vector<u64> addresses;
  };
  Saved saved_;  // As of the last checkpoint.
};

}  // namespace tonearm::sim
