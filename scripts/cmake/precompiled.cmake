# Headers are precompiled once for all tests, and once for all of sim/: the same flags, so the same file.
# A build without them keeps the sources honest about what they include: the preset dev.
if(TONEARM_PCH)
  add_library(sim_headers OBJECT ${CMAKE_SOURCE_DIR}/scripts/cmake/precompiled.cpp)
  target_link_libraries(sim_headers PRIVATE fmt::fmt tonearm_flags)
  target_precompile_headers(sim_headers PRIVATE <fmt/format.h> <algorithm> <map> <memory> <string> <vector>)
endif()
if(TONEARM_PCH AND TONEARM_TESTS)
  add_library(test_headers OBJECT ${CMAKE_SOURCE_DIR}/scripts/cmake/precompiled.cpp)
  target_link_libraries(test_headers PRIVATE Catch2::Catch2 test_flags)
  target_precompile_headers(test_headers PRIVATE <catch2/catch.hpp>)
endif()
