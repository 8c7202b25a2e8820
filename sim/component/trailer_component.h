// The component of workload `trailer`: see trailer.cpp.
#pragma once

#include <set>
#include <vector>

#include "grid/checkpoint_trailer.h"
#include "sim/component/disk_component.h"
#include "sim/component/grid_tap.h"
#include "sim/component/tested.h"
#include "sim/decode/image_decoder.h"

namespace tonearm::sim {

class TrailerComponent final : public DiskComponent {
 public:
  explicit TrailerComponent(Referee& referee);

  void play(const Operation& line) override;
  void finish() override;

 private:
  using Bytes = std::vector<std::byte>;

  // What a superblock would keep.
  struct Reference {
    BlockRef last;
    u64 size = 0;
    u128 checksum = 0;
  };
  // What an open must end in, by the bytes on the disk.
  struct Expected {
    ErrorKind kind = ErrorKind::none;
    BlockRef block;  // Of a damage.
    u64 stored = 0, given = 0;
    Bytes payload;
    std::vector<BlockRef> blocks;  // First to last.
  };

  // --- writing
  Bytes content(u64 size, u64 kind) const;
  void write(u64 size, u64 kind, u64 fails);
  void judge_failed(u64 fails);
  void compare_written(const Bytes& payload, const std::vector<u64>& addresses);
  void save(const Bytes& payload);
  void protect(bool on);

  // --- opening (trailer_hostile.cpp)
  Expected walk(const Reference& reference) const;
  bool open(const Reference& reference, const char* what);
  void open_saved();
  bool ensure_open();
  void damage(u64 where, u64 other, u64 value);
  void unreadable(u64 where, u64 how, u64 times, u64 value);
  void forge(u64 where, u64 kind, u64 value);
  void refer(u64 kind, u64 value);
  bool ever_written(u64 address) const;
  u64 beyond(u64 value) const;
  Bytes read_block(u64 address) const;
  Bytes written(const BlockRef& block) const;
  void write_block(u64 address, const Bytes& bytes);

  // --- the process
  void start();
  void open_free_set();
  void drop() override;

  u64 chunk() const;
  u64 blocks_count() const { return referee_->options().disk.blocks_count; }

  GridTap tap_;
  Stream content_;
  u64 size_max_;
  Grid::Options grid_options_{};
  DecodedImage file_;  // Cluster and sectors: what an authentic block is.
  OpId line_;

  Tested<Grid> grid_;
  Tested<CheckpointTrailer> trailer_;
  std::vector<u64> submitted_;  // Addresses that the trailer wrote to, one after the other.
  std::set<u64> unreadable_;

  Reference saved_;
  Bytes payload_;
  std::vector<BlockRef> blocks_;
  Bytes acquired_, released_;
};

}  // namespace tonearm::sim
