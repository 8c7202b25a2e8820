# Interface targets carry every flag: `tonearm_flags` for all code, `engine_flags` for src/, `test_flags`
# for tests.
add_library(tonearm_flags INTERFACE)
target_compile_options(tonearm_flags INTERFACE
  -Wall -Wextra -Wpedantic -Werror -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor
  -Woverloaded-virtual -Wswitch-enum -Wimplicit-fallthrough -Wformat=2
  # Aggregates are initialised by designators on purpose; what is not named has its default.
  -Wno-missing-field-initializers
  # Byte-for-byte the same behaviour in every build: no contraction, no strict aliasing surprises.
  -fno-strict-aliasing -ffp-contract=off
  # Profilers and sanitizers follow frame pointers; what is measured does without them (3 % faster).
  $<$<NOT:$<AND:$<CONFIG:Release>,$<NOT:$<BOOL:${TONEARM_FUZZ}>>>>:-fno-omit-frame-pointer>
  # The same tree built elsewhere prints the same file names.
  -fmacro-prefix-map=${CMAKE_SOURCE_DIR}/=)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(tonearm_flags INTERFACE -Wno-missing-designated-field-initializers)
endif()
if(TONEARM_SANITIZE)
  # vptr needs run-time type information, which the engine is built without.
  target_compile_options(tonearm_flags INTERFACE
    -fsanitize=${TONEARM_SANITIZE} -fno-sanitize=vptr -fno-sanitize-recover=all)
  target_link_options(tonearm_flags INTERFACE -fsanitize=${TONEARM_SANITIZE})
endif()

add_library(engine_flags INTERFACE)
target_link_libraries(engine_flags INTERFACE tonearm_flags)
target_compile_options(engine_flags INTERFACE -fno-exceptions -fno-rtti)

# Tests are compiled more often than they run for long: a quarter of the time.
add_library(test_flags INTERFACE)
target_link_libraries(test_flags INTERFACE tonearm_flags)
target_compile_options(test_flags INTERFACE $<$<CONFIG:Release>:-O1>)
