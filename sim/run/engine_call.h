// One call into an engine, inside the host alone.
#pragma once

#include <fmt/format.h>

#include "sim/disk/engine_code.h"
#include "sim/run/allocations.h"
#include "sim/run/engine_host.h"

namespace tonearm::sim {

// Not by its destructor, which runs also when a crash abandons the call.
class EngineHost::Call {
 public:
  Call(EngineHost& host, const char* name) : host_(&host), name_(name), allocations_(engine_allocations()) {}
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  // Runs a part of it that is the engine's.
  template <class F>
  decltype(auto) engine(F part) {
    const EngineCode engine;
    return part();
  }
  void end() {
    const u64 count = engine_allocations() - allocations_;
    ++host_->bounds_checked_;
    if (count == 0) return;
    host_->interrupt_->exceeded(fmt::format("{}: allocations", name_).c_str(),
                                fmt::format("the engine allocated memory {} times in {}", count, name_));
  }

 private:
  EngineHost* host_;
  const char* name_;
  u64 allocations_;
};

// Of a scan that has said so: an abort changes nothing about it.
template <class Scan, class Value>
bool fails_for_ever(Scan& scan, Value* value) {
  const bool again = scan.next(value) == Scan::Next::failed;
  scan.abort();
  return again && scan.next(value) == Scan::Next::failed && scan.error();
}
inline constexpr const char* failed_goes_on = "a scan that has failed says something else";

}  // namespace tonearm::sim
