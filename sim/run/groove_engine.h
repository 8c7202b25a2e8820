// The engines of the worlds that have grooves: see engine.h.
#pragma once

#include "sim/run/engine.h"

namespace tonearm::sim {

inline constexpr u128 engine_cluster = u128{0x8f3b61d2a95c7e04} << 64 | 0xd41c8a6f3072e9b5;

OptionsError groove_engine_validate(const World& world, const RunOptions& options);
u64 groove_engine_memory_required(const World& world, const RunOptions& options);
std::unique_ptr<Engine> make_groove_engine(const World& world, Storage& storage, Storage* mirror,
                                           const RunOptions& options, std::span<std::byte> memory);

}  // namespace tonearm::sim
