# Every outside library in one place. All are Debian 12 packages (packaging/debian-packages.txt).
find_package(Threads REQUIRED)
# Libraries inside the program: a third of the time in which a command starts went into finding and relocating them
# (docs/decisions/0015-libraries-inside-the-program.md). The sanitizers want their own shared run-time libraries.
if(HOMELAB_SANITIZE OR HOMELAB_FUZZ)
  set(HOMELAB_STATIC_LIBRARIES OFF)
else()
  set(HOMELAB_STATIC_LIBRARIES ON)
endif()
set(Boost_USE_STATIC_LIBS ${HOMELAB_STATIC_LIBRARIES})
set(Boost_NO_WARN_NEW_VERSIONS ON)
find_package(Boost 1.81 EXACT REQUIRED COMPONENTS json)
find_package(CURL REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(SQLite3 REQUIRED)
if(HOMELAB_STATIC_LIBRARIES)
  find_library(SQLITE_STATIC libsqlite3.a REQUIRED)
  set_target_properties(SQLite::SQLite3 PROPERTIES IMPORTED_LOCATION ${SQLITE_STATIC})
  target_link_libraries(SQLite::SQLite3 INTERFACE m ${CMAKE_DL_LIBS} Threads::Threads)
endif()
find_package(SQLiteCpp REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
# Debian has these two as shared libraries only; their compiled half is in their headers, too.
if(HOMELAB_STATIC_LIBRARIES)
  add_library(homelab_text STATIC ${CMAKE_SOURCE_DIR}/cmake/libraries/fmt.cpp ${CMAKE_SOURCE_DIR}/cmake/libraries/spdlog.cpp)
  target_compile_definitions(homelab_text PUBLIC SPDLOG_COMPILED_LIB SPDLOG_FMT_EXTERNAL)
  target_link_libraries(homelab_text PUBLIC Threads::Threads)
else()
  add_library(homelab_text INTERFACE)
  target_link_libraries(homelab_text INTERFACE fmt::fmt spdlog::spdlog)
endif()
find_package(tl-expected REQUIRED)
find_package(CLI11 REQUIRED)
# Only its tar reader and writer end up in the program: the shared library would bring XML and seven compressors with it.
# The linker must drop the other formats (--gc-sections); they want those libraries.
find_library(LIBARCHIVE_STATIC libarchive.a REQUIRED)
add_library(homelab_archive STATIC IMPORTED GLOBAL)
set_target_properties(homelab_archive PROPERTIES IMPORTED_LOCATION ${LIBARCHIVE_STATIC}
  INTERFACE_LINK_OPTIONS -Wl,--gc-sections)

# Asio and Beast are compiled once, in src/http; these macros must be the same everywhere.
add_library(homelab_boost INTERFACE)
target_compile_definitions(homelab_boost INTERFACE
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED
  BOOST_ASIO_DISABLE_IO_URING)
target_link_libraries(homelab_boost INTERFACE Boost::headers Threads::Threads)
