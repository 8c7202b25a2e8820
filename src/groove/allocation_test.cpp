// Nothing in a forest of grooves allocates once it is constructed. Whose code runs, the engine's or the
// simulated disk's, says sim/disk/engine_code.h.
#include <cstdlib>
#include <new>

#include "groove/test_grooves.h"

namespace {
tonearm::u64 allocations = 0;
}

// Where gcc inlines one of them, it takes the other for a mistake.
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (tonearm::sim::detail::engine_code_runs) ++allocations;
  void* memory = std::malloc(size);
  if (memory == nullptr) std::abort();
  return memory;
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return operator new(size); }
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace tonearm {

TEST_CASE("groove_forest: nothing allocates", "[groove_forest]") {
  const sim::HarnessCode harness;
  GrooveForestOptions options = test_options();
  options.format.levels = 6;
  TestGrooves grooves(options);
  grooves.begin();
  const u64 before = allocations;
  Groove<Notes>& notes = grooves.notes();
  u64 done = 0;
  for (u64 op = 1; op <= 200; ++op) {
    {
      const sim::EngineCode engine;
      notes.prefetch_setup();
      for (u64 id = 0; id < 12; ++id) {
        (void)notes.prefetch_enqueue(op + id);
        (void)notes.prefetch_exists_enqueue(op + id);
      }
      notes.prefetch(grooves.callback());
    }
    grooves.pump();
    {
      const sim::EngineCode engine;
      grooves->scope_open();
      for (u64 id = 0; id < 12 && notes.changes_left() > 1; id += 3) {
        if (notes.get(op + id).kind == Found::not_found) {
          if (notes.insert(a_note(op + id, op + id)) == InsertResult::ok) ++done;
        } else if (id % 2 == 0) {
          if (notes.remove(op + id) == ChangeResult::ok) ++done;
        }
      }
      grooves->scope_close(op % 5 == 0 ? ScopeMode::discard : ScopeMode::persist);
      (void)notes.exists(op);
      (void)notes.upsert(a_note(op, op));
    }
    grooves.commits(1);
  }
  CHECK(done > 200);
  CHECK(allocations == before);
  {
    const sim::EngineCode engine;
    ::operator delete(::operator new(8));  // It would have been counted.
  }
  CHECK(allocations == before + 1);
}

}  // namespace tonearm
