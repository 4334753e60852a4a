# Makes one page: @LIMITS@ becomes the list of limits in plan/plan.h, then scdoc.
cmake_policy(VERSION 3.25)
file(READ ${IN} text)
file(STRINGS ${LIMITS} lines REGEX "^#define PLAN_[A-Z]+_MAX")
set(names
  FILE "bytes of a file" DEPTH "levels of nesting" NODES "values, aliases counted in full"
  PROMPT "bytes of a prompt" ARGUMENT "bytes of a prompt that fits into an argument"
  TASKS "tasks, alternatives included" EDGES "entries of blocked_by"
  ALTERNATIVES "alternatives of a task" TEAM "teammates" RETRIES "retries"
  PRIORITY "priority, and its negative" SECONDS "seconds of any time limit"
  ITEMS "items of a for_each" MEASURES "measures of a task"
  AHEAD "merges that are proven at once" BATCH "tasks that are proven as one"
  NAME "bytes of a plan's or agent's name" COMMAND "bytes of a command or an argument")
set(list "")
foreach(line IN LISTS lines)
  string(REGEX MATCH "PLAN_([A-Z]+)_MAX +(\\(([^)]*)\\)|[0-9.]+)" _ "${line}")
  set(name ${CMAKE_MATCH_1})
  set(value "${CMAKE_MATCH_2}")
  string(REPLACE "u" "" value "${value}")
  if(value MATCHES "\\.")
    string(REPLACE "366.0" "366" value "${value}")
  endif()
  math(EXPR number "${value}")
  list(FIND names ${name} at)
  if(at LESS 0)
    message(FATAL_ERROR "${LIMITS}: PLAN_${name}_MAX is not known to the manual")
  endif()
  math(EXPR at "${at} + 1")
  list(GET names ${at} what)
  string(APPEND list "- ${number} ${what}\n")
endforeach()
string(REPLACE "@LIMITS@" "${list}" text "${text}")
file(WRITE ${OUT}.scd "${text}")
execute_process(COMMAND ${SCDOC} INPUT_FILE ${OUT}.scd OUTPUT_FILE ${OUT} RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  file(REMOVE ${OUT})
  message(FATAL_ERROR "scdoc: ${IN}")
endif()
