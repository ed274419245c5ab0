# Writes a later version of the header: a table and two fields more, as a new minor version would have.
#   cmake -DHEADER=<naru_plugin.h> -DOUT=<naru_plugin.h> -P grow.cmake
file(READ ${HEADER} text)
function(grow before after)
  string(FIND "${text}" "${before}" at)
  if(at EQUAL -1)
    message(FATAL_ERROR "the header has no '${before}' to grow after")
  endif()
  string(REPLACE "${before}" "${after}" grown "${text}")
  set(text "${grown}" PARENT_SCOPE)
endfunction()
grow("const naru_bucket_rule* const* buckets;" "const naru_bucket_rule* const* buckets;\n  uint64_t grown_clock_hz;")
grow("naru_state* state; /* NULL, or what a state executable reads and updates */"
     "naru_state* state;\n  uint64_t grown_priority;")
grow("const naru_observe_table* observe;\n"
     "const naru_observe_table* observe;\n  const struct naru_grown_table { uint32_t struct_size; void (*grown)(void); }* grown;\n")
grow("#define NARU_ABI_MINOR 0u" "#define NARU_ABI_MINOR 1u")
file(WRITE ${OUT} "${text}")
