// What several components need of their referee.
#pragma once

#include <algorithm>
#include <span>
#include <vector>

#include "base/arena.h"
#include "base/math.h"
#include "base/sanitizer.h"
#include "sim/component/component.h"

namespace tonearm::sim {

// Like Referee::check, for places that compare often: `message` is a call that makes it.
template <class Message>
void check(Referee& referee, bool holds, const char* site, Message message) {
  if (holds) {
    ++referee.counters().checks;
  } else {
    referee.fail(FailureClass::oracle, site, message());
  }
}

// Memory for an arena, full of what no part may take for its own.
inline std::span<std::byte> poisoned_memory(Referee& referee, u64 size) {
  constexpr std::byte poison{0xa5};
  std::vector<std::byte>& memory = referee.memory();
  unpoison(memory.data(), memory.size());  // Of what the part before has left poisoned for the sanitizer.
  if (memory.size() < size + Arena::align_max) memory.resize(size + Arena::align_max);
  const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
  const u64 skip = round_up(address, Arena::align_max) - address;
  const auto buffer = std::span<std::byte>(memory).subspan(skip, size);
  std::fill(buffer.begin(), buffer.end(), poison);
  return buffer;
}

}  // namespace tonearm::sim
