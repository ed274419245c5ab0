# Generates onnx.pb.{h,cc} and onnx_data.pb.{h,cc} from the definitions that the onnx package ships.

find_package(Protobuf REQUIRED)

# The folder of the package, found in the prefixes where dependencies are looked for.
if(NOT NARU_ONNX_PROTO_DIR)
  foreach(prefix IN LISTS CMAKE_PREFIX_PATH)
    file(GLOB found "${prefix}/lib/python3*/site-packages/onnx/onnx-ml.proto")
    if(found)
      list(GET found 0 found)
      cmake_path(GET found PARENT_PATH folder)
      set(NARU_ONNX_PROTO_DIR "${folder}" CACHE PATH "The folder that holds onnx-ml.proto and onnx-data.proto")
      break()
    endif()
  endforeach()
endif()
if(NOT NARU_ONNX_PROTO_DIR)
  message(FATAL_ERROR "onnx-ml.proto is not found: run tools/setup, or set NARU_ONNX_PROTO_DIR")
endif()

# A package name of our own: an application may link ONNX's classes too.
set(proto_dir ${CMAKE_CURRENT_BINARY_DIR}/proto)
foreach(pair IN ITEMS "onnx-ml.proto|onnx.proto" "onnx-data.proto|onnx_data.proto")
  string(REPLACE "|" ";" pair ${pair})
  list(GET pair 0 from)
  list(GET pair 1 to)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${NARU_ONNX_PROTO_DIR}/${from})
  file(READ ${NARU_ONNX_PROTO_DIR}/${from} text)
  string(REPLACE "package onnx;" "package naru.onnx;" text "${text}")
  string(REPLACE "import \"onnx/onnx-ml.proto\";" "import \"onnx.proto\";" text "${text}")
  file(CONFIGURE OUTPUT ${proto_dir}/${to} CONTENT "${text}" @ONLY)
endforeach()

set(onnx_proto_sources ${proto_dir}/onnx.pb.cc ${proto_dir}/onnx_data.pb.cc)
add_custom_command(
  OUTPUT ${onnx_proto_sources} ${proto_dir}/onnx.pb.h ${proto_dir}/onnx_data.pb.h
  COMMAND protobuf::protoc --cpp_out=${proto_dir} -I ${proto_dir} onnx.proto onnx_data.proto
  DEPENDS ${proto_dir}/onnx.proto ${proto_dir}/onnx_data.proto
  COMMENT "Generating the ONNX messages")
set_source_files_properties(${onnx_proto_sources} PROPERTIES COMPILE_OPTIONS "-w")

# naru_use_onnx_proto(<target>): compiles the messages into `target`, which then includes "onnx.pb.h".
function(naru_use_onnx_proto target)
  target_sources(${target} PRIVATE ${onnx_proto_sources})
  target_include_directories(${target} SYSTEM PRIVATE ${proto_dir})
  target_link_libraries(${target} PUBLIC protobuf::libprotobuf-lite)
endfunction()
