# HOMELAB_SANITIZE=address;undefined or thread: for every target of this tree.
if(HOMELAB_SANITIZE)
  string(REPLACE ";" "," sanitizers "${HOMELAB_SANITIZE}")
  add_compile_options(-fsanitize=${sanitizers} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${sanitizers})
endif()
