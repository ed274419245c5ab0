# Precompiled headers: what most files include from outside, parsed once per kind of target.
#
# A header is compiled with the flags of its target, so targets of one kind share one:
# room (position-independent), program (with the command line parser), test (with GoogleTest).
set(naru_pch_standard <algorithm> <array> <atomic> <chrono> <cmath> <condition_variable> <cstdint> <cstring> <deque>
  <filesystem> <fstream> <functional> <limits> <map> <memory> <mutex> <numeric> <optional> <set> <span> <sstream>
  <string> <string_view> <thread> <unordered_map> <unordered_set> <utility> <variant> <vector> <fmt/format.h>)
set(naru_pch_source ${CMAKE_CURRENT_LIST_DIR}/pch.cpp)

add_library(naru_pch_room OBJECT EXCLUDE_FROM_ALL ${naru_pch_source})
target_precompile_headers(naru_pch_room PRIVATE ${naru_pch_standard})

add_executable(naru_pch_program EXCLUDE_FROM_ALL ${naru_pch_source})
target_precompile_headers(naru_pch_program PRIVATE ${naru_pch_standard} <CLI/CLI.hpp> <nlohmann/json.hpp>)

add_executable(naru_pch_test EXCLUDE_FROM_ALL ${naru_pch_source})
if(NARU_TESTS)
  target_precompile_headers(naru_pch_test PRIVATE ${naru_pch_standard} <gtest/gtest.h> <nlohmann/json.hpp>)
  target_link_libraries(naru_pch_test PRIVATE GTest::gtest)
endif()

foreach(kind IN ITEMS room program test)
  target_link_libraries(naru_pch_${kind} PRIVATE naru_flags fmt::fmt nlohmann_json::nlohmann_json CLI11::CLI11)
  target_compile_options(naru_pch_${kind} PRIVATE ${naru_${kind}_options})
endforeach()
