# Makes the header that holds the skeleton's files as strings: the program needs no files beside it.
#   cmake -DFOLDER=<skeleton> -DOUT=<header> -P skeleton.cmake
set(text "// Generated: the files of a new plug-in.\n#pragma once\n")
foreach(pair "plugin.c;kPluginC" "CMakeLists.txt;kCMakeLists" "README.md;kReadme")
  list(GET pair 0 file)
  list(GET pair 1 name)
  file(READ ${FOLDER}/${file} content)
  string(APPEND text "inline constexpr const char* ${name} = R\"NARU(${content})NARU\";\n")
endforeach()
file(WRITE ${OUT} "${text}")
