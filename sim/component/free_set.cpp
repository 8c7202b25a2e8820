// Workload `free_set`: a set of free blocks through jobs, checkpoints, crashes and hostile payloads,
// against one state a block.
//
// The model predicts which reservation fails, which address each acquire() gives, when a released
// block is free again, and what opening from any bytes comes to. It reads payloads by itself
// (ewah_page.h), and it knows which blocks the last checkpoints still need, so that none of them may
// be acquired. The options that matter: blocks_count at the start (a crash may change it),
// compaction_blocks (an eighth of what may be released while a checkpoint is not durable).
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "sim/component/free_set_page.h"
#include "sim/component/support.h"
#include "sim/component/tested.h"

namespace tonearm::sim {

namespace {

using OpenResult = FreeSet::OpenResult;

using State = BlockState;
using States = BlockStates;

constexpr u64 jobs_max = 32;
constexpr u64 word = 64;
constexpr u64 place_whole = 1'000'000;

struct Job {
  Reservation reservation;
  u64 next;  // No block of the reservation below this address is free.
  u64 end;   // Behind the last address covered.
  u64 left;
};

class FreeSetComponent final : public Component {
 public:
  explicit FreeSetComponent(Referee& referee)
      : referee_(&referee),
        blocks_(referee.options().runtime.blocks_count),
        blocks_max_(round_up(blocks_ * 5 / 4, word) + word),
        prior_max_(u64{8} * referee.options().runtime.compaction_blocks) {
    Arena measure;
    const FreeSet::Memory memory(measure, options(blocks_max_));
    part_size_ = round_up(measure.used(), Arena::align_max);
    memory_ = poisoned_memory(referee, 2 * part_size_);
    construct(&set_, 0, blocks_);
    set_->open_empty();
    states_.assign(blocks_, State::free);
  }

  void play(const Operation& line) override {
    const std::string_view verb = line.verb->name;
    const auto& a = line.arguments;
    if (verb == "reserve") {
      reserve(a[0]);
    } else if (verb == "acquire") {
      acquire(a[0], a[1]);
    } else if (verb == "forfeit") {
      forfeit(a[0]);
    } else if (verb == "end") {
      end_jobs();
    } else if (verb == "fill") {
      fill(a[0]);
    } else if (verb == "release") {
      release(a[0], a[1], a[2]);
    } else if (verb == "checkpoint") {
      checkpoint(a[0]);
    } else if (verb == "durable") {
      durable();
    } else if (verb == "crash") {
      crash(a[0]);
    } else if (verb == "hostile") {
      hostile(a[0], static_cast<EwahSpoil>(a[1]), a[2]);
    } else if (verb == "trailers") {
      wrong_trailers(a[0], a[1]);
    } else {
      ASSERT(verb == "compare");
      compare(*set_, states_);
    }
    compare_counts(*set_, states_, jobs_.size());
  }

  void finish() override {
    compare(*set_, states_);
    checkpoint(2);
    crash(0);
    durable();
    compare(*set_, states_);
  }

 private:
  FreeSet::Options options(u64 blocks) const {
    return {.blocks_count = blocks, .released_prior_max = prior_max_};
  }
  void construct(Tested<FreeSet>* set, u64 part, u64 blocks) {
    set->reset();
    const std::span<std::byte> memory = memory_.subspan(part * part_size_, part_size_);
    std::fill(memory.begin(), memory.end(), std::byte{0xa5});  // Nothing of it may survive.
    Arena arena(memory);
    set->emplace(arena, options(blocks));
  }

  State& state(u64 address) { return states_[address - 1]; }
  u64 count(const States& states, State wanted) const {
    return static_cast<u64>(std::count(states.begin(), states.end(), wanted));
  }
  void change(u64 address, State to) {
    counts_valid_ = false;
    state(address) = to;
  }
  u64 free_from(u64 address) const {
    while (address <= blocks_ && states_[address - 1] != State::free) ++address;
    return address;
  }

  // --- jobs

  void reserve(u64 blocks) {
    if (forfeiting_ || jobs_.size() == jobs_max) end_jobs();
    const u64 free = count(states_, State::free);
    reserve_exactly(1 + blocks % (free + free / 8 + 2));
  }

  bool reserve_exactly(u64 blocks) {
    const u64 first = free_from(cursor_);
    u64 end = first;
    u64 covered = 0;
    for (; end <= blocks_ && covered < blocks; ++end) covered += states_[end - 1] == State::free ? 1 : 0;
    const bool expected = covered == blocks;
    const std::optional<Reservation> reservation = set_->reserve(static_cast<u32>(blocks));
    referee_->answer(blocks, reservation ? 1 : 0);
    check(*referee_, reservation.has_value() == expected, "reserve: another answer", [&] {
      return fmt::format("{} blocks from {} on are {}, but {} are free there", blocks, cursor_,
                         reservation ? "reserved" : "refused", covered);
    });
    if (!expected) return false;
    jobs_.push_back({.reservation = *reservation, .next = first, .end = end, .left = blocks});
    cursor_ = end;
    return true;
  }

  void acquire(u64 job, u64 blocks) {
    const auto used_up = [](const Job& one) { return one.left == 0; };
    if (std::all_of(jobs_.begin(), jobs_.end(), used_up)) {
      if (count(states_, State::free) == 0) durable();
      reserve(blocks);
    }
    for (u64 i = 0; i < jobs_.size(); ++i) {
      Job& chosen = jobs_[(job + i) % jobs_.size()];
      if (chosen.left == 0) continue;
      for (u64 n = std::min(blocks + 1, chosen.left); n > 0; --n) (void)acquire_one(chosen);
      return;
    }
    referee_->skip();
  }

  u64 acquire_one(Job& job) {
    const u64 expected = free_from(job.next);
    ASSERT(expected < job.end);
    const u64 address = set_->acquire(job.reservation);
    referee_->answer(address);
    check(*referee_, address == expected, "acquire: another block", [&] {
      return fmt::format("got block {}, but the lowest free one from {} to {} is {}", address, job.next,
                         job.end - 1, expected);
    });
    check(*referee_, !last_.needs(address) && (durable_ || !before_.needs(address)),
          "acquire: a block still needed",
          [&] { return fmt::format("block {} belongs to a checkpoint that a crash goes back to", address); });
    change(address, State::acquired);
    job.next = address + 1;
    --job.left;
    check(*referee_, job.reservation.left == job.left, "acquire: another number left", [&] {
      return fmt::format("the reservation has {} blocks left, expected {}", job.reservation.left, job.left);
    });
    return address;
  }

  void forfeit(u64 job) {
    if (jobs_.empty()) return referee_->skip();
    const u64 index = job % jobs_.size();
    set_->forfeit(jobs_[index].reservation);
    jobs_.erase(jobs_.begin() + static_cast<std::ptrdiff_t>(index));
    forfeiting_ = !jobs_.empty();
    if (jobs_.empty()) cursor_ = 1;
  }

  void end_jobs() {
    while (!jobs_.empty()) forfeit(jobs_.size() / 2);
  }

  void fill(u64 left) {
    end_jobs();
    const u64 free = count(states_, State::free);
    if (free == 0) return referee_->skip();
    if (!reserve_exactly(free - left % free)) return;
    while (jobs_.back().left > 0) (void)acquire_one(jobs_.back());
    end_jobs();
  }

  // --- releases and checkpoints

  void release(u64 place, u64 blocks, u64 step) {
    u64 passed = 0;
    u64 released = 0;
    u64 prior = durable_ ? 0 : count(states_, State::prior);
    u64 address = place * (blocks_ - 1) / place_whole;
    for (u64 looked = 0; looked < blocks_ && released <= blocks; ++looked) {
      address = address % blocks_ + 1;
      if (state(address) != State::acquired || passed++ % (step + 1) != 0) continue;
      if (!durable_ && prior++ == prior_max_) break;
      set_->release(address);
      change(address, durable_ ? State::released : State::prior);
      ++released;
    }
    referee_->answer(released);
    if (released == 0) referee_->skip();
  }

  void durable() {
    if (durable_) return checkpoint(0);
    end_jobs();
    set_->mark_checkpoint_durable();
    make_durable(&states_);
    counts_valid_ = false;
    durable_ = true;
    compare(*set_, states_);
  }

  void checkpoint(u64 trailers) {
    end_jobs();
    if (!durable_) durable();
    FreeSetPage now;
    now.acquired.resize(FreeSet::encode_size_max(blocks_));
    now.released.resize(now.acquired.size());
    now.acquired.resize(set_->encode_acquired(now.acquired));
    now.released.resize(set_->encode_released(now.released));
    compare_encoded(now);
    open_other(now, "what was encoded");

    for (const State one : states_) now.live.push_back(one == State::acquired);
    const u64 wanted = std::min({trailers, count(states_, State::free), prior_max_});
    if (wanted > 0 && reserve_exactly(wanted)) {
      while (jobs_.back().left > 0) now.trailers.push_back(acquire_one(jobs_.back()));
      end_jobs();
    }
    set_->mark_checkpoint_not_durable();
    durable_ = false;
    for (const u64 address : now.trailers) {
      now.live[address - 1] = true;
      set_->release(address);
      change(address, State::prior);
    }
    before_ = std::move(last_);
    last_ = std::move(now);
  }

  void compare_encoded(const FreeSetPage& encoded) {
    const EwahPage acquired = read_ewah(encoded.acquired, blocks_);
    const EwahPage released = read_ewah(encoded.released, blocks_);
    check(*referee_, !acquired.malformed && !acquired.beyond && !released.malformed && !released.beyond,
          "encode: no bitmap", [&] {
            return fmt::format("{} and {} bytes are no bitmaps of {} blocks", encoded.acquired.size(),
                               encoded.released.size(), blocks_);
          });
    u64 address = 1;
    while (address <= blocks_ && acquired.bits[address - 1] == (state(address) != State::free) &&
           released.bits[address - 1] == (state(address) == State::released)) {
      ++address;
    }
    check(*referee_, address > blocks_, "encode: another state", [&] {
      return fmt::format("block {} is not encoded as {}", address, block_state_name(state(address)));
    });
    referee_->answer(encoded.acquired.size(), encoded.released.size());
  }

  // The least limit that the last checkpoint fits into.
  u64 limit_min() const {
    States states;
    const OpenResult fits = last_.open(blocks_, prior_max_, &states);
    ASSERT(fits == OpenResult::opened);
    u64 highest = 1;
    for (u64 address = 1; address <= blocks_; ++address) {
      if (states[address - 1] != State::free) highest = address;
    }
    return round_up(highest, word);
  }

  void crash(u64 limit) {
    const u64 least = limit_min();
    if (limit == 2 && least > word) (void)open_at(least - word);
    const u64 blocks = limit == 1   ? least
                       : limit == 3 ? std::min(blocks_max_, round_up(blocks_ + blocks_ / 16 + 1, word))
                                    : blocks_;
    jobs_.clear();
    forfeiting_ = false;
    cursor_ = 1;
    const OpenResult expected = open_at(blocks);
    ASSERT(expected == OpenResult::opened);
    compare(*set_, states_);
  }

  OpenResult open_at(u64 blocks) {
    States states;
    const OpenResult expected = last_.open(blocks, prior_max_, &states);
    construct(&set_, 0, blocks);
    const OpenResult result = set_->open(last_.acquired, last_.released, last_.trailers);
    check_result(result, expected, fmt::format("the last checkpoint at a limit of {} blocks", blocks));
    check(*referee_, set_->opened() == (expected == OpenResult::opened), "open: refused, but open",
          [] { return ""; });
    if (expected != OpenResult::opened) return expected;
    blocks_ = blocks;
    states_ = std::move(states);
    counts_valid_ = false;
    durable_ = false;
    return expected;
  }

  // --- payloads that nobody wrote

  void check_result(OpenResult result, OpenResult expected, const std::string& what) {
    referee_->answer(static_cast<u64>(result));
    check(*referee_, result == expected, "open: another result", [&] {
      return fmt::format("{}: {}, expected {}", what, open_result_name(result), open_result_name(expected));
    });
  }

  void open_other(const FreeSetPage& page, const std::string& what) {
    States states;
    const OpenResult expected = page.open(blocks_, prior_max_, &states);
    construct(&other_, 1, blocks_);
    const OpenResult result = other_->open(page.acquired, page.released, page.trailers);
    check_result(result, expected, what);
    if (expected != OpenResult::opened) {
      check(*referee_, !other_->opened(), "open: refused, but open", [&] { return what; });
      return;
    }
    compare(*other_, states);
    // Whatever index it keeps must be that of these bits.
    const auto lowest = std::find(states.begin(), states.end(), State::free);
    std::optional<Reservation> reservation = other_->reserve(1);
    check(*referee_, reservation.has_value() == (lowest != states.end()), "open: another free block",
          [&] { return what; });
    if (reservation) {
      const u64 address = other_->acquire(*reservation);
      check(*referee_, address == static_cast<u64>(lowest - states.begin()) + 1, "open: another free block",
            [&] { return fmt::format("{}: block {} is acquired first", what, address); });
      *lowest = State::acquired;
      other_->forfeit(*reservation);
    }
    other_->mark_checkpoint_durable();
    const u64 freed = count(states, State::released);
    check(*referee_,
          other_->count_free() == count(states, State::free) + freed &&
              other_->count_released() == count(states, State::prior),
          "open: another count",
          [&] { return fmt::format("{}: {} blocks should become free", what, freed); });
  }

  void hostile(u64 which, EwahSpoil spoil, u64 variant) {
    FreeSetPage page = last_;
    if (which != 1) spoil_ewah(spoil, remix(variant, 1), &page.acquired);
    if (which != 0) spoil_ewah(spoil, remix(variant, which == 2 ? 1 : 2), &page.released);
    constexpr const char* names[] = {"acquired", "released", "both"};
    open_other(page, fmt::format("{} in {}", ewah_spoil_name(spoil), names[which]));
  }

  void wrong_trailers(u64 way, u64 variant) {
    States states;
    const OpenResult fits = last_.open(blocks_, prior_max_, &states);
    ASSERT(fits == OpenResult::opened);
    FreeSetPage page = last_;
    std::vector<u64>& trailers = page.trailers;
    trailers.clear();
    u64 free = 1 + below(remix(variant, 1), blocks_);
    for (u64 i = 0; i < blocks_ && trailers.size() < (way == 5 ? prior_max_ + variant % 2 : 3); ++i) {
      if (states[free - 1] == State::free && free > (trailers.empty() ? 0 : trailers.back())) {
        trailers.push_back(free);
      }
      free = free % blocks_ + 1;
    }
    if (trailers.empty()) return referee_->skip();
    const u64 at = below(remix(variant, 2), trailers.size());
    if (way == 0) trailers.insert(trailers.begin() + static_cast<std::ptrdiff_t>(at), trailers[at]);
    if (way == 1) std::reverse(trailers.begin(), trailers.end());
    if (way == 2) trailers[0] = 0;
    if (way == 3) trailers[at] = 1 + below(remix(variant, 3), blocks_);
    if (way == 4) trailers.push_back(below(variant, 2) == 0 ? blocks_ + 1 : u64_max - below(variant, 9));
    open_other(page, fmt::format("{} trailers", trailers.size()));
  }

  // --- comparisons

  void compare(const FreeSet& set, const States& states) {
    u64 highest = 0;
    for (u64 address = 1; address <= states.size(); ++address) {
      const State expected = states[address - 1];
      const bool free = set.is_free(address);
      const bool released = set.is_released(address);
      const bool equal = free == (expected == State::free) &&
                         released == (expected == State::released || expected == State::prior);
      if (!equal) {
        check(*referee_, false, "another state", [&] {
          return fmt::format("block {} is {}, expected {}", address,
                             free       ? "free"
                             : released ? "released"
                                        : "acquired",
                             block_state_name(expected));
        });
      }
      if (expected != State::free) highest = address;
    }
    check(*referee_, set.highest_acquired() == highest, "another highest block", [&] {
      return fmt::format("the highest acquired block is {}, expected {}", set.highest_acquired(), highest);
    });
  }

  void compare_counts(const FreeSet& set, const States& states, u64 jobs) {
    if (!counts_valid_) {
      counts_ = {};
      for (const State one : states) ++counts_[static_cast<u8>(one)];
      counts_valid_ = true;
    }
    const u64 released = counts_[static_cast<u8>(State::released)] + counts_[static_cast<u8>(State::prior)];
    const u64 free = counts_[static_cast<u8>(State::free)];
    check(*referee_,
          set.count_free() == free && set.count_acquired() == states.size() - free &&
              set.count_released() == released && set.blocks_count() == states.size(),
          "another count", [&] {
            return fmt::format("{} free, {} acquired, {} released; expected {}, {}, {}", set.count_free(),
                               set.count_acquired(), set.count_released(), free, states.size() - free,
                               released);
          });
    check(*referee_, set.reservation_count() == jobs && set.checkpoint_durable() == durable_, "another phase",
          [&] {
            return fmt::format("{} reservations, {}; expected {}, {}", set.reservation_count(),
                               set.checkpoint_durable(), jobs, durable_);
          });
  }

  Referee* referee_;
  u64 blocks_;
  u64 blocks_max_;
  u64 prior_max_;
  u64 part_size_ = 0;
  std::span<std::byte> memory_;  // A part for each set.
  Tested<FreeSet> set_;
  Tested<FreeSet> other_;  // Of one line.

  States states_;
  std::array<u64, 4> counts_{};  // A memo.
  bool counts_valid_ = false;
  std::vector<Job> jobs_;
  bool forfeiting_ = false;
  u64 cursor_ = 1;  // No job has reserved from this address on.
  bool durable_ = true;
  FreeSetPage last_;
  FreeSetPage before_;
};

}  // namespace

std::unique_ptr<Component> make_free_set(Referee& referee) {
  return std::make_unique<FreeSetComponent>(referee);
}

}  // namespace tonearm::sim
