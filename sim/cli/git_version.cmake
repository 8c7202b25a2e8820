# Writes OUTPUT with the commit of SOURCE, and leaves it untouched where nothing changed, so that
# nothing is compiled again. Outside a checkout, or before the first commit: "unknown".
set(commit unknown)
find_program(GIT git)
if(GIT)
  execute_process(COMMAND ${GIT} -c safe.directory=* rev-parse --short=7 --verify HEAD
    WORKING_DIRECTORY ${SOURCE} OUTPUT_VARIABLE found RESULT_VARIABLE status
    OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(status EQUAL 0)
    set(commit ${found})
    execute_process(COMMAND ${GIT} -c safe.directory=* diff --quiet HEAD --
      WORKING_DIRECTORY ${SOURCE} RESULT_VARIABLE changed OUTPUT_QUIET ERROR_QUIET)
    if(NOT changed EQUAL 0)
      string(APPEND commit "+")
    endif()
  endif()
endif()
set(text "#pragma once\n#define TONEARM_GIT \"${commit}\"\n")
set(old "")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} old)
endif()
if(NOT old STREQUAL text)
  file(WRITE ${OUTPUT} "${text}")
endif()
