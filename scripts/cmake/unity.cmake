# Half of what the compiler does for a file is reading headers and instantiating templates that its neighbours
# need too. With TONEARM_UNITY several files of a target are compiled as one, as many as the table says; ALONE
# are those that name something of their own as a neighbour does. The preset dev compiles each file by
# itself: a missing include, or a name taken from another file, is found there.
#
#   tonearm_unity(sim_disk 6 ALONE trace.cpp)
function(tonearm_unity target count)
  if(NOT TONEARM_UNITY OR NOT TARGET ${target})
    return()
  endif()
  cmake_parse_arguments(UNITY "" "" "ALONE" ${ARGN})
  get_target_property(folder ${target} SOURCE_DIR)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${count})
  foreach(name ${UNITY_ALONE})
    if(NOT EXISTS ${folder}/${name})
      message(FATAL_ERROR "unity.cmake: ${target} has no ${name}")
    endif()
    set_source_files_properties(${folder}/${name} TARGET_DIRECTORY ${target} PROPERTIES
      SKIP_UNITY_BUILD_INCLUSION ON)
  endforeach()
endfunction()

tonearm_unity(fuzz_targets 4)
tonearm_unity(sim_cli_test 2)
tonearm_unity(sim_decode 6 ALONE superblock_copies.cpp)
tonearm_unity(sim_disk 6 ALONE faulty_medium_rot.cpp image.cpp medium.cpp sim_storage_fault.cpp trace.cpp)
tonearm_unity(sim_run 6 ALONE engine_host.cpp groove_engine.cpp)
tonearm_unity(sim_scenario 6 ALONE operation_parser.cpp verbs_cache.cpp verbs_cache_map.cpp
  verbs_free_set.cpp verbs_grid.cpp verbs_manifest_level.cpp verbs_manifest_log.cpp verbs_merge.cpp
  verbs_options.cpp verbs_segmented_array.cpp verbs_superblock.cpp verbs_table_memory.cpp
  verbs_trailer.cpp)
tonearm_unity(sim_workload 6 ALONE groove_source.cpp schedule.cpp swarm_groove.cpp tree_workload.cpp)
tonearm_unity(tonearm 6 ALONE arguments.cpp json.cpp prepared_run.cpp shrinking.cpp)

tonearm_unity(forest_test 4 ALONE forest_error_test.cpp)
tonearm_unity(groove_test 5)
tonearm_unity(sim_decode_test 5)
tonearm_unity(sim_disk_test 4 ALONE keyed_test.cpp medium_test.cpp request_counter_test.cpp
  sim_storage_fault_test.cpp sim_storage_test.cpp)
tonearm_unity(sim_model_test 5 ALONE query_model_test.cpp)
tonearm_unity(sim_run_test 6 ALONE bound_test.cpp hostile_manifest_test.cpp images_test.cpp marks_test.cpp
  query_run_test.cpp scan_test.cpp sweep_test.cpp verify_test.cpp)
tonearm_unity(sim_scenario_test 6 ALONE scenario_error_test.cpp)
tonearm_unity(sim_workload_test 5 ALONE swarm_test.cpp tree_workload_test.cpp)
tonearm_unity(table_test 4 ALONE zig_zag_merge_test.cpp)
tonearm_unity(tree_test 4 ALONE manifest_log_random_test.cpp manifest_test.cpp)
