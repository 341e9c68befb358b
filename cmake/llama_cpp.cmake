# llama.cpp v0.5.0 as two targets:
#   llama_cpp::core     llama, ggml, gguf and common: headers and libraries
#   llama_cpp::server   the core of llama-server (tools/server, tools/mtmd) as a static library; entry point llama_server()
# and llama_cpp_runtime, which puts the shared libraries into ${HOMELAB_ENGINE_LIB_DIR}.
#
#   -DENGINE=prebuilt (default)  the package's libraries; only the server core is compiled (sources of the same version)
#   -DENGINE=source              everything is compiled from the sources (other processors, own GPU builds)
#   -DLLAMA_CPP_SOURCE_DIR=DIR   the sources are a checkout of yours (then prebuilt libraries must be of the same commit)
set(ENGINE "prebuilt" CACHE STRING "Where llama.cpp's libraries come from: prebuilt or source")
set_property(CACHE ENGINE PROPERTY STRINGS prebuilt source)
set(LLAMA_CPP_DIR "${CMAKE_SOURCE_DIR}/build/deps/llama.cpp-v0.5.0" CACHE PATH "What tools/fetch_llama.sh made")
set(LLAMA_CPP_SOURCE_DIR "" CACHE PATH "A llama.cpp checkout to use instead of the fetched sources")
set(LLAMA_CPP_VERSION 0.5.0)
if(NOT ENGINE MATCHES "^(prebuilt|source)$")
  message(FATAL_ERROR "ENGINE is '${ENGINE}'; expected prebuilt or source")
endif()

if(ENGINE STREQUAL "prebuilt" OR NOT LLAMA_CPP_SOURCE_DIR)
  execute_process(COMMAND ${CMAKE_SOURCE_DIR}/tools/fetch_llama.sh ${LLAMA_CPP_DIR} RESULT_VARIABLE fetched)
  if(NOT fetched EQUAL 0)
    message(FATAL_ERROR "llama.cpp could not be fetched (the reason is above). Repeat, or configure with -DHOMELAB_ENGINE=OFF.")
  endif()
endif()
if(LLAMA_CPP_SOURCE_DIR)
  set(llama_src ${LLAMA_CPP_SOURCE_DIR})
else()
  set(llama_src ${LLAMA_CPP_DIR}/src)
endif()

# Third-party code: no warnings, no debug information, mild optimisation (its hot loops are in the libraries).
set(llama_quiet -w -g0 -O1)

add_library(llama_cpp_core INTERFACE)
add_library(llama_cpp::core ALIAS llama_cpp_core)
target_include_directories(llama_cpp_core SYSTEM INTERFACE
  ${llama_src}/include ${llama_src}/ggml/include ${llama_src}/common ${llama_src}/vendor)
# Linked before everything else, so that nothing is built against half a library set.
find_package(Threads REQUIRED)

if(ENGINE STREQUAL "prebuilt")
  if(NOT EXISTS ${LLAMA_CPP_DIR}/lib/libggml-base.so)
    message(FATAL_ERROR "There are no prebuilt llama.cpp libraries for ${CMAKE_SYSTEM_PROCESSOR}; configure with -DENGINE=source")
  endif()
  foreach(lib llama-common llama.v${LLAMA_CPP_VERSION} ggml.v${LLAMA_CPP_VERSION} ggml-base)
    string(REGEX REPLACE "[.]v[0-9.]+$" "" target "llama_cpp_${lib}")
    add_library(${target} SHARED IMPORTED)
    set_target_properties(${target} PROPERTIES IMPORTED_LOCATION ${LLAMA_CPP_DIR}/lib/lib${lib}.so IMPORTED_SONAME lib${lib}.so)
    target_link_libraries(llama_cpp_core INTERFACE ${target})
  endforeach()
  file(GLOB llama_shared_libraries ${LLAMA_CPP_DIR}/lib/*.so)
  set(llama_stamp ${CMAKE_CURRENT_BINARY_DIR}/llama_cpp_runtime.stamp)
  add_custom_command(OUTPUT ${llama_stamp}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${HOMELAB_ENGINE_LIB_DIR}
    COMMAND ${CMAKE_COMMAND} -E copy_if_different ${llama_shared_libraries} ${HOMELAB_ENGINE_LIB_DIR}
    COMMAND ${CMAKE_COMMAND} -E touch ${llama_stamp}
    DEPENDS ${llama_shared_libraries} COMMENT "Copying llama.cpp's libraries" VERBATIM)
  add_custom_target(llama_cpp_runtime DEPENDS ${llama_stamp})
else()
  set(LLAMA_BUILD_COMMON ON CACHE BOOL "" FORCE)
  foreach(part TESTS EXAMPLES TOOLS SERVER APP UI)
    set(LLAMA_BUILD_${part} OFF CACHE BOOL "" FORCE)
  endforeach()
  set(LLAMA_OPENSSL OFF CACHE BOOL "" FORCE)
  set(BUILD_SHARED_LIBS ON CACHE BOOL "" FORCE)
  add_subdirectory(${llama_src} ${CMAKE_BINARY_DIR}/llama.cpp EXCLUDE_FROM_ALL)
  target_link_libraries(llama_cpp_core INTERFACE llama-common llama ggml)
  add_custom_target(llama_cpp_runtime)
  foreach(target llama-common llama ggml ggml-base ggml-cpu)
    if(TARGET ${target})
      set_target_properties(${target} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${HOMELAB_ENGINE_LIB_DIR})
      target_compile_options(${target} PRIVATE -w)
      add_dependencies(llama_cpp_runtime ${target})
    endif()
  endforeach()
endif()
target_link_libraries(llama_cpp_core INTERFACE Threads::Threads)

# No web page: the two files that would hold it, made from llama.cpp's own templates.
set(llama_ui ${CMAKE_CURRENT_BINARY_DIR}/llama_ui)
set(ASSET_ARRAYS "")
set(ASSET_TABLE "")
set(N_ASSETS 0)
set(USE_GZIP false)
configure_file(${llama_src}/tools/ui/ui.h.in ${llama_ui}/ui.h)
configure_file(${llama_src}/tools/ui/ui.cpp.in ${llama_ui}/ui.cpp)

file(GLOB llama_server_sources ${llama_src}/tools/server/*.cpp)
list(REMOVE_ITEM llama_server_sources ${llama_src}/tools/server/main.cpp)
set(llama_mtmd_sources mtmd.cpp mtmd-audio.cpp mtmd-image.cpp mtmd-helper.cpp mtmd-helper-gen.cpp clip.cpp)
list(TRANSFORM llama_mtmd_sources PREPEND ${llama_src}/tools/mtmd/)
# The fifty vision and audio graphs are one translation unit: 4 s instead of 60 s of compiling.
file(GLOB llama_mtmd_models ${llama_src}/tools/mtmd/models/*.cpp)
set(llama_mtmd_unity "")
foreach(file ${llama_mtmd_models})
  string(APPEND llama_mtmd_unity "#include \"${file}\"\n")
endforeach()
file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/mtmd_models.cpp CONTENT "${llama_mtmd_unity}" @ONLY)
set(llama_hash ${llama_src}/vendor/hash)

add_library(llama_cpp_server STATIC
  ${llama_server_sources} ${llama_mtmd_sources} ${CMAKE_CURRENT_BINARY_DIR}/mtmd_models.cpp ${llama_ui}/ui.cpp
  ${llama_hash}/hash.cpp ${llama_hash}/sha1/sha1.c ${llama_hash}/sha256/sha256.c ${llama_hash}/xxhash/xxhash.c)
add_library(llama_cpp::server ALIAS llama_cpp_server)
set_source_files_properties(${llama_hash}/sha1/sha1.c PROPERTIES LANGUAGE CXX)
set_source_files_properties(${llama_src}/tools/mtmd/mtmd-image.cpp ${llama_src}/tools/mtmd/mtmd-audio.cpp
  PROPERTIES COMPILE_OPTIONS -O2)
set_target_properties(llama_cpp_server PROPERTIES CXX_STANDARD 17 EXPORT_COMPILE_COMMANDS OFF)
target_compile_options(llama_cpp_server PRIVATE ${llama_quiet})
target_compile_definitions(llama_cpp_server PRIVATE LLAMA_SUBPROCESS LLAMA_SHARED)
target_include_directories(llama_cpp_server SYSTEM
  PUBLIC ${llama_src}/tools/server
  PRIVATE ${llama_src} ${llama_src}/tools/mtmd ${llama_hash} ${llama_ui})
# cpp-httplib is inside libllama-common; its header is enough here.
target_link_libraries(llama_cpp_server PUBLIC llama_cpp_core)

# llama.cpp's own benchmark against the same libraries: the peer that `make bench` measures.
add_executable(llama-bench EXCLUDE_FROM_ALL ${llama_src}/tools/llama-bench/llama-bench.cpp ${llama_src}/tools/llama-bench/main.cpp)
target_compile_options(llama-bench PRIVATE ${llama_quiet})
target_link_libraries(llama-bench PRIVATE llama_cpp_core)

# The genuine llama-server out of the same sources and libraries: an external engine for the tests, a peer for the benchmarks.
add_executable(llama-server EXCLUDE_FROM_ALL ${llama_src}/tools/server/main.cpp)
target_compile_options(llama-server PRIVATE ${llama_quiet})
target_link_libraries(llama-server PRIVATE llama_cpp_server llama_cpp_core)
