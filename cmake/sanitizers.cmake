# HOMELAB_SANITIZE=address;undefined or thread: for every target of this tree.
if(HOMELAB_SANITIZE)
  string(REPLACE ";" "," sanitizers "${HOMELAB_SANITIZE}")
  # Instrumented code at -O2 takes three times as long to compile; -g1 keeps the lines of a stack trace.
  add_compile_options(-fsanitize=${sanitizers} -fno-omit-frame-pointer -fno-sanitize-recover=all -O1 -g1)
  add_link_options(-fsanitize=${sanitizers})
  if("thread" IN_LIST HOMELAB_SANITIZE AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # Asio's fences are not understood by the thread sanitizer; GCC warns in each file that uses them.
    add_compile_options(-Wno-tsan)
  endif()
endif()
if(HOMELAB_FUZZ)
  # In the libraries, too: libFuzzer looks for inputs that reach new code, and sees only code that counts.
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
