# The repository's own checks as tests, so that every test run makes them.
if(TONEARM_TESTS)
  add_test(NAME tidy COMMAND ${PYTHON3} ${CMAKE_SOURCE_DIR}/scripts/tidy.py --build ${CMAKE_BINARY_DIR})
  add_test(NAME tidy_self_test COMMAND ${PYTHON3} ${CMAKE_SOURCE_DIR}/scripts/tidy.py --self-test)
  set_tests_properties(tidy tidy_self_test PROPERTIES LABELS unit TIMEOUT 60)
endif()
