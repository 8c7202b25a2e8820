// Whose code is running: the engine's, or that of the harness around it and of the disk below it.
//
// Whoever calls into the engine holds an EngineCode; where the engine calls out (the disk, a mark) there
// is a HarnessCode. What may not happen inside the engine, an allocation, is counted by it:
// see sim/run/allocations.h.
#pragma once

namespace tonearm::sim {

namespace detail {
inline bool engine_code_runs = false;
}

template <bool engine>
class CodeOf {
 public:
  CodeOf() : before_(detail::engine_code_runs) { detail::engine_code_runs = engine; }
  ~CodeOf() { detail::engine_code_runs = before_; }
  CodeOf(const CodeOf&) = delete;
  CodeOf& operator=(const CodeOf&) = delete;

 private:
  bool before_;
};
using EngineCode = CodeOf<true>;
using HarnessCode = CodeOf<false>;

}  // namespace tonearm::sim
