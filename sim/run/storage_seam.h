// What a test puts between the live engine and its disk: see defence_test.cpp. A run of the program has none.
#pragma once

#include "sim/disk/sim_storage.h"

namespace tonearm::sim {

class StorageSeam {
 public:
  // What an engine over this disk is given instead. The engine before it, if there was one, is gone.
  virtual Storage& over(SimStorage& disk) = 0;
  virtual Storage& over_mirror(SimStorage& disk) { return disk.mirror(); }  // If there is one.

 protected:
  ~StorageSeam() = default;
};

}  // namespace tonearm::sim
