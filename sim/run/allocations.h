// Counts what is allocated while the engine's code runs (sim/disk/engine_code.h). All its memory is one
// buffer that it gets when it is constructed, so that must be nothing.
//
// The allocator is the C library's with a counter in front, so that whoever asks is counted: `new`, the
// standard library, malloc itself. The address sanitizer has its own malloc, and calls a hook.
#pragma once

#include "base/types.h"

namespace tonearm::sim {

// Of this process, so far.
u64 engine_allocations();

}  // namespace tonearm::sim
