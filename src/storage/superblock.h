// The root of the data file: four copies of a header that names the last checkpoint.
//
// Copy i lies at offset i * copy_size of the superblock zone. copy_size is 8192: several sectors,
// so that a torn copy is representable. Layout of one copy:
//
//   off    size  field
//     0   16+16  checksum, zero            over bytes [34, 8192)
//    32       2  copy                      0..3; NOT covered: all copies have equal checksums
//    34       2  version                   of this layout, 1
//    36       4  release_format            release that formatted the file
//    40       8  sequence                  1 at format, +1 per checkpoint
//    48      16  cluster                   identity of the data file
//    64   16+16  parent, zero              checksum of the superblock with sequence - 1
//    96    1024  CheckpointState
//  1120      64  FormatOptions
//  1184       8  byte_order                0x0102030405060708, native: detects the other order
//  1192    6952  zero, up to 8144
//  8144      48  tail: sequence u64, zero u64, checkpoint_id u128, zero u128. Repeats what changes
//                with every checkpoint in the last sector, or a tear between sectors could not show.
//
// A checkpoint writes copies 0..3 one after the other (on completion: each is durable before the
// next begins), reads all four back, and needs three good ones (verify). Open needs two (quorum),
// then writes copies that are missing or wrong again, one by one. Such a write may destroy a good copy
// that was merely read wrong, so all four are read until they have been the same twice running.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <type_traits>

#include "base/arena.h"
#include "base/callback.h"
#include "base/error.h"
#include "base/options.h"
#include "storage/storage.h"

namespace tonearm {

inline constexpr u32 superblock_copies = 4;
inline constexpr u32 superblock_copy_size = 8192;
inline constexpr u32 superblock_quorum_open = 2;
inline constexpr u32 superblock_quorum_verify = 3;
inline constexpr u64 superblock_zone_size = u64{superblock_copies} * superblock_copy_size;

// Everything reachable, by reference: its hash is the checkpoint id, a Merkle root. 1024 bytes.
struct CheckpointState {
  u64 op;                       // @0    C: the checkpoint holds the effects of ops <= C.
  u64 user_context;             // @8
  u128 op_id;                   // @16   Opaque id of op C; changes with every checkpoint.
  Checksum acquired_last;       // @32   Trailer of the acquired bitmap: last block.
  u128 acquired_last_padding;
  Checksum released_last;       // @64
  u128 released_last_padding;
  u128 reserved_user[2];        // @96
  Checksum manifest_oldest;     // @128
  u128 manifest_oldest_padding;
  Checksum manifest_newest;     // @160
  u128 manifest_newest_padding;
  u128 reserved_192[2];         // @192
  Checksum acquired_payload;    // @224  Checksums of whole payloads.
  Checksum released_payload;    // @240
  u128 reserved_256;            // @256
  u128 parent_checkpoint_id;    // @272
  u128 grandparent_checkpoint_id;  // @288
  u64 acquired_last_address;    // @304
  u64 released_last_address;    // @312
  u64 reserved_320;             // @320
  u64 manifest_oldest_address;  // @328
  u64 manifest_newest_address;  // @336
  u64 snapshots;                // @344  Zero.
  u64 storage_size;             // @352  superblock_zone_size + highest acquired address * block_size.
  u64 acquired_size;            // @360  Bytes of payload.
  u64 released_size;            // @368
  u64 reserved_376;             // @376
  u32 manifest_block_count;     // @384
  u32 release;                  // @388
  u8 reserved[632];             // @392
};
static_assert(sizeof(CheckpointState) == 1024);
static_assert(std::is_trivially_copyable_v<CheckpointState>);
static_assert(std::has_unique_object_representations_v<CheckpointState>);

struct SuperblockHeader {
  Checksum checksum;
  u128 checksum_padding;
  u16 copy;
  u16 version;
  u32 release_format;
  u64 sequence;
  u128 cluster;
  Checksum parent;
  u128 parent_padding;
  CheckpointState state;
  FormatOptions format;
  u64 byte_order;
  u8 reserved[6952];
  u64 tail_sequence;
  u64 tail_zero;
  u128 tail_checkpoint_id;
  u128 tail_zero2;
};
static_assert(sizeof(SuperblockHeader) == superblock_copy_size);
static_assert(std::is_trivially_copyable_v<SuperblockHeader>);
static_assert(std::has_unique_object_representations_v<SuperblockHeader>);

static_assert(offsetof(SuperblockHeader, copy) == 32);
static_assert(offsetof(SuperblockHeader, state) == 96);
static_assert(offsetof(SuperblockHeader, format) == 1120);
static_assert(offsetof(SuperblockHeader, byte_order) == 1184);
static_assert(offsetof(SuperblockHeader, tail_sequence) == 8144);

inline constexpr u16 superblock_version = 1;
inline constexpr u32 superblock_release = 1;  // The newest release whose files this code can open.
inline constexpr u64 superblock_byte_order = 0x0102030405060708;
// No file gets there by checkpoints, but one may claim to be there.
inline constexpr u64 superblock_sequence_max = u64_max - 1;

[[nodiscard]] Checksum superblock_checksum(const SuperblockHeader& header);
[[nodiscard]] u128 checkpoint_id_of(const CheckpointState& state);
// The state after format: op 0, nothing reachable.
[[nodiscard]] CheckpointState checkpoint_state_empty(u128 cluster);
// Every relation that holds between the fields of a state, whoever wrote it.
[[nodiscard]] bool checkpoint_state_valid(const CheckpointState& state);
// Fills in the tail and the checksum; everything else is final.
void superblock_seal(SuperblockHeader& header);

struct SuperblockQuorum;

class Superblock {
 public:
  struct Memory {
    explicit Memory(Arena& arena);
    std::span<SuperblockHeader> headers;  // The four slots as read, working, staging.
  };
  static void measure(Arena& arena);
  Superblock(Storage& storage, Arena& arena);
  Superblock(const Superblock&) = delete;

  // One operation at a time; `done` runs when it is complete; then look at error(). After an error
  // of a checkpoint nobody knows which checkpoint is on the disk: only format or open may follow.

  // Writes sequence 1 with an empty checkpoint at op 0 (all four copies, then verified).
  void format(u128 cluster, const FormatOptions& format, Callback<> done);

  // Reads the copies, picks the quorum, compares format options, repairs bad copies.
  // Errors: not_found, quorum_lost, fork, parent_not_connected, byte_order, release_unknown,
  // options_mismatch, write_failed (of a repair).
  void open(const FormatOptions& format, Callback<> done);

  // Advances to `state`; the caller has synced everything the state refers to. state.op must grow.
  // The parent ids are filled in here. Errors: checkpoint_failed, write_failed; with checkpoint_failed
  // nothing was written if no sequence is left.
  void checkpoint(const CheckpointState& state, Callback<> done);

  const Error& error() const { return error_; }
  // The last checkpoint known to be verified. Only after format or open. Its `copy` is 0.
  const SuperblockHeader& working() const;
  u128 checkpoint_id() const { return checkpoint_id_of(working().state); }

 private:
  enum class Operation : u8 { none, format, open, checkpoint };
  // Writing and repairing send copies of `staging`; reading fills the slots.
  enum class Stage : u8 { idle, writing, reading, repairing };

  Superblock(Storage& storage, const Memory& memory);

  void begin(Operation operation, Stage stage, Callback<> done);
  void finish(const Error& error);
  void dispatch(IoResult result);

  void sequence_exhausted(Storage::NextTick&);
  void write_slot();
  void write_done(Storage::Write& write);
  void read_slot();
  void read_done(Storage::Read& read);

  void read_complete();
  void verify();
  void choose();
  bool read_alike();
  void mark_found(const SuperblockQuorum& quorum) const;
  void repair_next();
  IoPurpose purpose() const;

  // For life.
  Storage& storage_;
  std::span<SuperblockHeader, superblock_copies> slots_;
  SuperblockHeader& working_;
  SuperblockHeader& staging_;
  bool working_known_ = false;
  Error error_;

  // For one operation.
  Operation operation_ = Operation::none;
  Stage stage_ = Stage::idle;
  Callback<> done_;
  FormatOptions given_;                                  // Open: to be compared.
  std::array<u8, superblock_copies> holds_{};            // Open: see SuperblockQuorum.
  std::array<bool, superblock_copies> repair_{};         // Open: slots still to be written.
  std::array<bool, superblock_copies> unreadable_{};     // The slot's read failed.
  u32 readings_ = 0;                                     // Open: of all four slots.
  Checksum reading_ = 0;                                 // Open: of the slots as read last.

  // For one request.
  u32 slot_ = 0;
  u32 attempts_ = 0;
  Storage::Read read_;
  Storage::Write write_;
  Storage::NextTick next_tick_;
};

}  // namespace tonearm
