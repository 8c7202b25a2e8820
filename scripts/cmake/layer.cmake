# A directory is a layer, a layer is a target, and a target links only the layers below it.
#
#   tonearm_layer(tree SOURCES manifest.cpp TESTS manifest_test.cpp DEPS table)
#
# makes the library `tree` and the Catch2 binary `tree_test`. Test sources go straight into the
# executable, never through an archive, so that the linker cannot drop them.
#
# The main function comes compiled with Catch2: our own would take as long as ten test files.
#
# ctest plays its tests side by side, so tests that take long get entries of their own, by their tags. Those
# BESIDE are labelled `long`, and left out by the edit loop; those APART are `slow`, and left out under
# sanitizers too. A test with several of the tags is played for the first of them.
function(tonearm_test name)
  cmake_parse_arguments(TEST "" "" "SOURCES;DEPS;APART;BESIDE" ${ARGN})
  if(NOT TONEARM_TESTS)
    return()
  endif()
  add_executable(${name} ${TEST_SOURCES})
  target_link_libraries(${name} PRIVATE ${TEST_DEPS} Catch2::Catch2WithMain test_flags)
  if(TONEARM_PCH)
    target_precompile_headers(${name} REUSE_FROM test_headers)
  endif()
  set(rest "~[.]")
  foreach(tag ${TEST_APART} ${TEST_BESIDE})
    set(labels unit)
    if(tag IN_LIST TEST_APART)
      list(APPEND labels slow)
    else()
      list(APPEND labels long)
    endif()
    add_test(NAME ${name}_${tag} COMMAND ${name} "[${tag}]${rest}" --order lex --warn NoAssertions)
    set_tests_properties(${name}_${tag} PROPERTIES LABELS "${labels}" TIMEOUT 600)
    string(APPEND rest "~[${tag}]")
  endforeach()
  add_test(NAME ${name} COMMAND ${name} "${rest}" --order lex --warn NoAssertions)
  set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 600)
endfunction()

function(tonearm_layer name)
  cmake_parse_arguments(LAYER "" "" "SOURCES;TESTS;DEPS;TEST_DEPS" ${ARGN})
  if(LAYER_SOURCES)
    add_library(${name} STATIC ${LAYER_SOURCES})
    target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(${name} PUBLIC ${LAYER_DEPS} PRIVATE engine_flags)
  else()  # Headers alone.
    add_library(${name} INTERFACE)
    target_include_directories(${name} INTERFACE ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(${name} INTERFACE ${LAYER_DEPS})
  endif()
  if(LAYER_TESTS)
    tonearm_test(${name}_test SOURCES ${LAYER_TESTS} DEPS ${name} ${LAYER_TEST_DEPS})
  endif()
endfunction()
