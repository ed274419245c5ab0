# What `cmake --install` puts where: library, promised headers, CMake package, pkg-config file.
include(CMakePackageConfigHelpers)

# Programs find libnaru, and libnaru its neighbours, wherever the whole is moved to.
file(RELATIVE_PATH to_library "/${CMAKE_INSTALL_BINDIR}" "/${CMAKE_INSTALL_LIBDIR}")
set(CMAKE_INSTALL_RPATH "$ORIGIN/${to_library}")
set_target_properties(naru PROPERTIES INSTALL_RPATH "$ORIGIN")

target_compile_features(naru INTERFACE cxx_std_20)
install(TARGETS naru EXPORT naruTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
foreach(room graph backends runtime)
  install(DIRECTORY ${CMAKE_SOURCE_DIR}/${room}/include/naru DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
    FILES_MATCHING PATTERN "*.h")
endforeach()
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# oneDNN from a Python package lies where no loader looks: it goes beside libnaru.
get_target_property(dnnl_library DNNL::dnnl LOCATION)
file(REAL_PATH "${dnnl_library}" dnnl_file)
cmake_path(GET dnnl_file PARENT_PATH dnnl_folder)
if(NOT dnnl_folder IN_LIST CMAKE_CXX_IMPLICIT_LINK_DIRECTORIES)
  # libdnnl.so.3.2 is found as libdnnl.so.3.
  string(REGEX REPLACE "(\\.so\\.[0-9]+).*" "\\1" dnnl_soname "${dnnl_file}")
  cmake_path(GET dnnl_soname FILENAME dnnl_soname)
  if(NOT dnnl_soname MATCHES "\\.so\\.[0-9]+$")
    message(FATAL_ERROR "oneDNN: got the library '${dnnl_file}', expected one named libdnnl.so.<version>")
  endif()
  install(PROGRAMS "${dnnl_file}" DESTINATION ${CMAKE_INSTALL_LIBDIR} RENAME "${dnnl_soname}")
endif()

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/naru)
install(EXPORT naruTargets NAMESPACE naru:: DESTINATION ${package_folder})
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/install/naruConfig.cmake @ONLY CONTENT
"# Makes the target naru::naru.
include(\"\${CMAKE_CURRENT_LIST_DIR}/naruTargets.cmake\")
")
# Before 1.0 a new minor version may change the promised headers.
write_basic_package_version_file(${CMAKE_BINARY_DIR}/install/naruConfigVersion.cmake
  VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)
install(FILES
  ${CMAKE_BINARY_DIR}/install/naruConfig.cmake ${CMAKE_BINARY_DIR}/install/naruConfigVersion.cmake
  DESTINATION ${package_folder})

file(RELATIVE_PATH to_prefix "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/install/naru.pc @ONLY CONTENT
"prefix=\${pcfiledir}/@to_prefix@
libdir=\${prefix}/@CMAKE_INSTALL_LIBDIR@
includedir=\${prefix}/@CMAKE_INSTALL_INCLUDEDIR@

Name: naru
Description: Hardware-neutral inference runtime
Version: @PROJECT_VERSION@
Cflags: -I\${includedir}
Libs: -L\${libdir} -lnaru
")
install(FILES ${CMAKE_BINARY_DIR}/install/naru.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
