// A simulated disk with a small vocabulary, for the tests of the disk itself.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "sim/disk/sim_storage.h"

namespace tonearm::sim {

struct Disk {
  using Bytes = std::vector<std::byte>;

  struct Io {
    Disk* disk = nullptr;
    u32 id = 0;
    Bytes bytes;
    Storage::Read read;
    Storage::Write write;
    Storage::Sync sync;
    Storage::NextTick tick;
    Attribution seen;  // While its callback ran.
    u64 tick_done = 0;
    bool done = false;
    void (*then)(Io&) = nullptr;

    void finish() {
      done = true;
      seen = disk->storage.attribution();
      tick_done = disk->storage.now();
      disk->order.push_back(id);
      if (then != nullptr) then(*this);
    }
    void read_done(Storage::Read&) { finish(); }
    void write_done(Storage::Write&) { finish(); }
    void sync_done(Storage::Sync&) { finish(); }
    void tick_fired(Storage::NextTick&) { finish(); }
  };

  explicit Disk(const DiskOptions& options) : storage(pages, options, &trace) {}

  static Bytes filled(u64 length, u8 value) { return Bytes(length, std::byte{value}); }

  Io& add() {
    ios.push_back(std::make_unique<Io>());
    ios.back()->disk = this;
    ios.back()->id = static_cast<u32>(ios.size() - 1);
    return *ios.back();
  }

  Io& write(u64 address, u8 value, IoTag tag = {.purpose = IoPurpose::compact_write}, Zone zone = Zone::grid,
            Durability durability = Durability::on_sync) {
    Io& io = add();
    io.bytes = filled(storage.options().block_size, value);
    io.write.buffer = io.bytes;
    io.write.offset = (address - 1) * storage.options().block_size;
    io.write.zone = zone;
    io.write.durability = durability;
    io.write.tag = tag;
    io.write.done = Callback<Storage::Write&>::to<&Io::write_done>(&io);
    storage.write(io.write);
    return io;
  }

  Io& read(u64 address, IoTag tag = {.purpose = IoPurpose::lookup}, Zone zone = Zone::grid) {
    Io& io = add();
    io.bytes.resize(storage.options().block_size);
    io.read.buffer = io.bytes;
    io.read.offset = (address - 1) * storage.options().block_size;
    io.read.zone = zone;
    io.read.tag = tag;
    io.read.done = Callback<Storage::Read&>::to<&Io::read_done>(&io);
    storage.read(io.read);
    return io;
  }

  Io& sync(IoTag tag = {.purpose = IoPurpose::checkpoint_sync}) {
    Io& io = add();
    io.sync.tag = tag;
    io.sync.done = Callback<Storage::Sync&>::to<&Io::sync_done>(&io);
    storage.sync(io.sync);
    return io;
  }

  Io& next_tick() {
    Io& io = add();
    io.tick.done = Callback<Storage::NextTick&>::to<&Io::tick_fired>(&io);
    storage.next_tick(io.tick);
    return io;
  }

  void run() {
    while (storage.step()) {
    }
  }

  // The block's contents by value of its first byte; -1 if not all bytes are equal.
  int block(u64 address) const { return block(storage.image(), address); }
  int block(const Image& image, u64 address) const {
    Bytes bytes(storage.options().block_size);
    image.read(storage.grid_offset() + (address - 1) * bytes.size(), bytes);
    const bool equal = std::all_of(bytes.begin(), bytes.end(), [&](std::byte b) { return b == bytes[0]; });
    return equal ? static_cast<int>(bytes[0]) : -1;
  }
  bool block_written(u64 address) const {
    const u64 size = storage.options().block_size;
    return storage.image().written_any(storage.grid_offset() + (address - 1) * size, size);
  }

  PageStore pages;
  Trace trace;
  SimStorage storage;
  std::vector<std::unique_ptr<Io>> ios;
  std::vector<u32> order;  // Of completion.
};

}  // namespace tonearm::sim
