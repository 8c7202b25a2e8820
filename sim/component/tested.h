// The part of the engine that a component tests: whatever is called through `->` is code of the engine,
// in which nothing may be allocated (sim/run/allocations.h; component_run.cpp looks after every line).
//
// So it is until the end of the whole expression. What allocates stands in a statement of its own, or in
// a lambda that only a failure calls; where the engine calls back and something may be allocated, there
// is a HarnessCode.
#pragma once

#include <optional>
#include <utility>

#include "sim/disk/engine_code.h"

namespace tonearm::sim {

template <class T>
class TestedUse {
 public:
  explicit TestedUse(T* part) : part_(part) {}
  T* operator->() const { return part_; }

 private:
  EngineCode engine_;
  T* part_;
};

// A part that somebody else owns.
template <class T>
class TestedPointer {
 public:
  TestedPointer() = default;
  explicit TestedPointer(T* part) : part_(part) {}
  T& operator*() const { return *part_; }
  TestedUse<T> operator->() const { return TestedUse<T>(part_); }

 private:
  T* part_ = nullptr;
};

template <class T>
class Tested {
 public:
  template <class... Arguments>
  void emplace(Arguments&&... arguments) {
    const EngineCode engine;
    part_.emplace(std::forward<Arguments>(arguments)...);
  }
  void reset() { part_.reset(); }
  explicit operator bool() const { return part_.has_value(); }
  T& operator*() { return *part_; }
  const T& operator*() const { return *part_; }
  TestedUse<T> operator->() { return TestedUse<T>(&*part_); }
  TestedUse<const T> operator->() const { return TestedUse<const T>(&*part_); }
  TestedPointer<T> pointer() { return TestedPointer<T>(&*part_); }

 private:
  std::optional<T> part_;
};

}  // namespace tonearm::sim
