# Warnings for our own targets only; dependencies are system headers.
add_library(homelab_warnings INTERFACE)
target_compile_options(homelab_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Wold-style-cast
  -Woverloaded-virtual -Wnull-dereference -Wimplicit-fallthrough
  $<$<BOOL:${HOMELAB_WERROR}>:-Werror>
  # GCC 12 reports impossible paths inside inlined library code with these two at -O2.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-null-dereference -Wno-maybe-uninitialized -Wno-restrict>
  # Clang blames the caller for what GCC 12's own std::stable_sort uses.
  $<$<CXX_COMPILER_ID:Clang>:-Wno-deprecated-declarations>)
