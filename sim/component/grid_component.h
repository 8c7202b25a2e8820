// The component of workload `grid`: see grid.cpp. What it asks of answers and requests is in grid_checks.cpp,
// the second reader that visits and repairs blocks in grid_visits.cpp.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "grid/grid.h"
#include "sim/component/component.h"
#include "sim/component/grid_block.h"
#include "sim/component/grid_tap.h"
#include "sim/component/support.h"
#include "sim/component/tested.h"

namespace tonearm::sim {

class GridComponent final : public Component {
 public:
  explicit GridComponent(Referee& referee);

  void play(const Operation& line) override;
  void finish() override;
  SimStorage* disk() override { return &disk_; }

 private:
  using Block = GridBlock;
  using State = GridBlock::State;

  struct alignas(4096) Page {
    std::byte bytes[4096];
  };
  using Pages = std::vector<Page>;

  // What a read that found its block on the mirror does to the first side. Left: a visitor is there.
  enum class Repair : u8 { none, due, left };

  struct Asked {
    GridComponent* owner = nullptr;
    Grid::Read read;
    Pages buffer;
    u64 version = 0;
    u64 repeats = 0;
    u64 step = 0;          // Of the disk, when it was asked for.
    bool writing = false;  // The block was being written when it was asked for.
    bool mended = false;   // Or a visitor wrote it, perhaps.
    bool stale = false;
    Repair repair = Repair::none;
    void done(Grid::Read&) { owner->read_done(*this); }
  };
  struct Writing {
    GridComponent* owner = nullptr;
    Grid::Write write;
    Pages block;
    u64 address = 0;
    void done(Grid::Write&) { owner->write_done(*this); }
  };
  struct Visiting {
    GridComponent* owner = nullptr;
    Grid::Visit visit;
    Storage::Write io;
    Pages block;
    u64 address = 0;
    bool waits = false;
    bool mends = false;
    void begin(Grid::Visit&) { owner->visit_begun(*this); }
    void done(Storage::Write&) { owner->mend_done(*this); }
  };
  using What = std::function<std::string()>;

  Pages pages() const;
  static std::byte* bytes_of(Pages& pages) { return pages.data()->bytes; }
  static BlockReference reference(u64 address, const Block& block) { return {address, block.checksum}; }
  u32 attempts_max() const { return options_.runtime.read_attempts_max; }
  // Whoever asks, a block is read and written alike: by the id of the request, whose tag has it as a tree.
  static IoTag read_tag(u16 id) {
    constexpr IoPurpose purposes[] = {IoPurpose::lookup,        IoPurpose::scan,
                                      IoPurpose::compact_read,  IoPurpose::manifest_compact,
                                      IoPurpose::manifest_read, IoPurpose::trailer_read};
    return {.purpose = purposes[id % std::size(purposes)], .tree = id};
  }
  static IoTag write_tag(u16 id) {
    constexpr IoPurpose purposes[] = {IoPurpose::compact_write, IoPurpose::manifest_write,
                                      IoPurpose::trailer_write};
    return {.purpose = purposes[id % std::size(purposes)], .tree = id};
  }
  bool mirrored() const { return mirror_.has_value(); }
  u64 pick(u64 place, u64 n) const;
  u64 pick_asked(u64 place, u64 n) const;

  // --- blocks
  Block make(u64 address, u64 version, std::byte* into) const;
  const std::byte* another_block(u64 address);
  bool same(const std::byte* data, u64 address, u64 version);

  // --- lines
  void write(u64 count);
  void read(u64 address, u64 how, u64 repeats);
  void begin(Asked& asked, const BlockReference& block, u64 how);
  void again(Asked& asked);
  void alone(u64 address, u64 how);
  void stale(u64 address, u64 how);
  void cached(u64 address);
  void release(u64 address);
  void make_free();
  void settle();
  void ended();

  // --- visitors
  // False: that does not apply.
  bool visit(u64 address);
  bool mend(u64 place, GridSide side);
  void leave(u64 place);
  void leave_all();
  void visit_begun(Visiting& one);
  void mend_done(Visiting& one);
  void visit_end(Visiting& one);
  Visiting* visiting(u64 place);
  bool visited(u64 address, const Visiting* but = nullptr) const;
  bool mending(u64 address) const;
  bool repairing(u64 address) const;
  void check_visits();

  // --- judgements
  void judge_request(const Storage::Write& write, GridSide side);
  void judge_repair(const Storage::Write& write, GridSide side);
  void write_done(Writing& one);
  void look_ahead(const Storage::Read& read);
  void read_done(Asked& asked);
  void judge_root(Asked& asked, const What& what);
  BlockResult judge_attempts(const Asked& asked, const std::vector<GridTap::Delivered>& delivered,
                             const What& what);
  void judge_read_repair(const Asked& asked, bool of_mirror, const What& what);
  void compare_counts();
  void compare_slots();

  // In a callback of the engine nothing is thrown: the first problem is kept until it has returned.
  template <class Message>
  void note(bool holds, const char* site, const Message& message) {
    ++referee_->counters().checks;
    if (holds || !problem_.empty()) return;
    problem_ = site;
    problem_message_ = message();
  }
  void raise() {
    if (!problem_.empty()) referee_->fail(FailureClass::oracle, problem_, problem_message_);
  }

  // Unused nodes have no version, or no address.
  static bool used(const Asked& asked) { return asked.version != 0; }
  static bool used(const Writing& one) { return one.address != 0; }
  static bool used(const Visiting& one) { return one.address != 0; }
  Pages& memory_of(Asked& asked) { return asked.buffer; }
  Pages& memory_of(Writing& one) { return one.block; }
  Pages& memory_of(Visiting& one) { return one.block; }
  template <class Node>
  Node& take(std::vector<std::unique_ptr<Node>>& nodes) {
    for (auto& node : nodes) {
      if (!used(*node)) return *node;
    }
    nodes.push_back(std::make_unique<Node>());
    nodes.back()->owner = this;
    memory_of(*nodes.back()) = pages();
    return *nodes.back();
  }
  u16 new_id() { return id_ = static_cast<u16>(id_ == 0xffff ? 1 : id_ + 1); }

  template <class Do>
  void each_side(Do apply) {
    apply(first_, GridSide::first);
    if (mirror_) apply(*mirror_, GridSide::mirror);
  }

  Referee* referee_;
  Grid::Options options_;
  SimStorage disk_;
  GridTap first_;
  std::optional<GridTap> mirror_;
  Stream content_;
  Pages scratch_, another_;
  std::vector<std::unique_ptr<Asked>> asked_;
  std::vector<std::unique_ptr<Writing>> writings_;
  std::vector<std::unique_ptr<Visiting>> visits_;
  Tested<Grid> grid_;

  std::map<u64, Block> blocks_;  // By address.
  std::map<u64, u128> held_;     // What an address held before: the checksum.
  u64 versions_ = 0;
  u64 outstanding_ = 0;  // Reads and writes.
  u64 mending_ = 0;      // Writes of visitors.
  bool allowed_ = true;  // Repairs.
  u64 writes_begun_ = 0;
  u64 roots_ = 0;  // Reads that were done and for which requests were made.
  u64 retries_ = 0;
  u64 mirror_reads_ = 0;
  u64 repairs_ = 0;
  u64 repairs_failed_ = 0;
  u64 repairs_left_ = 0;
  BlockReference root_;  // The last of them.
  BlockResult root_result_ = BlockResult::valid;
  u64 root_step_ = 0;
  u16 id_ = 0;  // Of what is asked: the tree of its tag, which the grid hands on.
  bool done_ = false;
  std::string problem_;
  std::string problem_message_;
};

}  // namespace tonearm::sim
