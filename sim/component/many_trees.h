// A forest of as many trees as a file may have: what is put into each is there after a checkpoint.
#pragma once

#include <span>

#include "sim/component/component.h"
#include "tree/tree.h"

namespace tonearm::sim {

// Of trees with the kernel of kv.
void play_many_trees(Referee& referee, std::span<const TreeConfig> trees);

}  // namespace tonearm::sim
