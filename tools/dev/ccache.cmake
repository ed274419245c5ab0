# Uses ccache when it is installed; read at the first project() call (CMakePresets.json).
find_program(NARU_CCACHE ccache)
mark_as_advanced(NARU_CCACHE)
if(NARU_CCACHE)
  foreach(language IN ITEMS C CXX)
    if(NOT DEFINED CMAKE_${language}_COMPILER_LAUNCHER)
      # Without this, ccache does not cache what includes a precompiled header.
      set(CMAKE_${language}_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros
          ${NARU_CCACHE})
    endif()
  endforeach()
endif()
