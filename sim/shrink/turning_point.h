// From which line on is a run bound to fail?
//
// A run that fails is cut at some place and goes on as other seeds would, several times. The share of these
// suffixes that fail alike says how much of the failure lies in what came before. It is measured at both ends
// and some places between; then the first place from which all suffixes fail is searched by halving (which
// takes for granted that what is broken stays broken: every measured place behind must agree); and with the
// time that is left, where the share changes most.
//
// It is a sample: that all of a few suffixes fail does not prove that all would. The place that is found is
// measured with more of them before it is believed.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "base/types.h"

namespace tonearm::sim {

// The number-th suffix behind the first `place` lines.
struct Suffix {
  u64 place = 0;
  u32 number = 0;
};

enum class SuffixEnd : u8 { passes, alike, otherwise };

struct TurningShare {
  u32 played = 0;
  u32 alike = 0;
  u32 otherwise = 0;  // Fail, but with another signature.

  bool all() const { return played > 0 && alike == played; }
};

class TurningPoint {
 public:
  // One answer each, in order.
  using Play = std::function<std::vector<SuffixEnd>(std::span<const Suffix>)>;
  using Stop = std::function<bool()>;

  static constexpr u32 sure = 4;  // Times as many suffixes at the place that is found.

  // Places 0 to `last`; `suffixes` at each, `batch` of them at the same time.
  TurningPoint(u64 last, u32 suffixes, u32 batch, Play play, Stop stop);

  void search();

  const std::map<u64, TurningShare>& shares() const { return shares_; }
  // The first place at which all suffixes fail alike, as at all measured places behind it.
  std::optional<u64> bound() const;
  // The measured place in front of that one (or of the end, if there is none).
  std::optional<u64> before_bound() const;
  // Nothing lies between the two.
  bool exact() const;
  // The measured neighbours between which the share rises most, if by half or more: less is chance as well.
  struct Rise {
    u64 from = 0;
    u64 to = 0;
  };
  std::optional<Rise> rise() const;
  bool stopped() const { return stopped_; }

 private:
  void measure(u64 place, u32 suffixes);
  void halve();
  void refine();

  u64 last_;
  u32 suffixes_;
  u32 batch_;
  Play play_;
  Stop stop_;
  bool stopped_ = false;
  std::map<u64, TurningShare> shares_;  // By place.
};

}  // namespace tonearm::sim
