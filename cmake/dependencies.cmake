# Every outside library in one place. All are Debian 12 packages (packaging/debian-packages.txt).
find_package(Threads REQUIRED)
set(Boost_NO_WARN_NEW_VERSIONS ON)
find_package(Boost 1.81 EXACT REQUIRED COMPONENTS json)
find_package(CURL REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(SQLiteCpp REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
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
