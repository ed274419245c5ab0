# How every room and program is built: warnings, sanitizers, include roots, the one shared library.

# Flags that all our own targets share.
add_library(naru_flags INTERFACE)
target_compile_options(naru_flags INTERFACE -Wall -Wextra -Wno-missing-field-initializers
  "$<$<CXX_COMPILER_ID:GNU>:-Wshadow=local;-fpch-preprocess>")
target_include_directories(naru_flags INTERFACE
  $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}>
  $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/graph/include>
  $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/runtime/include>)
if(NARU_SANITIZE)
  add_compile_options(-fsanitize=${NARU_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${NARU_SANITIZE})
endif()
if(NARU_FUZZ)
  add_compile_options(-fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all)
  add_link_options(-fsanitize=address,undefined)
endif()

# Programs and tests only call what the rooms compute: a quick build counts more than their own speed.
set(naru_program_options $<$<NOT:$<CONFIG:Release>>:-O1>)
set(naru_test_options $<$<NOT:$<CONFIG:Release>>:-O0>)
include(NaruPch)

set_property(GLOBAL PROPERTY NARU_ROOMS "")

# naru_add_room(<name> <sources>...): an object library naru_<name> that becomes part of libnaru.
function(naru_add_room name)
  add_library(naru_${name} OBJECT ${ARGN})
  target_link_libraries(naru_${name} PUBLIC naru_flags fmt::fmt)
  target_precompile_headers(naru_${name} REUSE_FROM naru_pch_room)
  set_property(GLOBAL APPEND PROPERTY NARU_ROOMS naru_${name})
endfunction()

# naru_link_library(): libnaru, the shared library of all rooms.
function(naru_link_library)
  get_property(rooms GLOBAL PROPERTY NARU_ROOMS)
  add_library(naru SHARED)
  add_library(naru::naru ALIAS naru)
  set_target_properties(naru PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
  target_link_libraries(naru PRIVATE ${rooms} Threads::Threads)
  target_include_directories(naru PUBLIC
    $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/graph/include>
    $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/runtime/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endfunction()

# naru_add_program(<name> <sources>...): a program that may see inside the rooms.
function(naru_add_program name)
  naru_add_executable(${name} program ${ARGN})
endfunction()

# An executable of a kind (program, test) that NaruPch.cmake knows.
function(naru_add_executable name kind)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE naru naru_flags fmt::fmt nlohmann_json::nlohmann_json)
  target_compile_options(${name} PRIVATE ${naru_${kind}_options})
  target_precompile_headers(${name} REUSE_FROM naru_pch_${kind})
endfunction()

# naru_add_runtime_programs(<target>...): what the tests labelled runtime need; the preset tsan builds no more.
add_custom_target(runtime_programs)
function(naru_add_runtime_programs)
  add_dependencies(runtime_programs ${ARGN})
endfunction()

# naru_add_test(<name> LABELS <labels>... SOURCES <sources>...): a GoogleTest program.
function(naru_add_test name)
  cmake_parse_arguments(arg "" "" "LABELS;SOURCES;LIBRARIES" ${ARGN})
  naru_add_executable(${name} test ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE GTest::gtest_main ${arg_LIBRARIES})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}")
  if("runtime" IN_LIST arg_LABELS)
    naru_add_runtime_programs(${name})
  endif()
endfunction()
