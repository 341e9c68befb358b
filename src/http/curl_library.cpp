#include "curl_library.h"

#include <dlfcn.h>

#include <stdexcept>
#include <string>

namespace homelab::http {
namespace {

constexpr char const* kFile = "libcurl.so.4";

void* open_library() {
  if (void* const library = ::dlopen(kFile, RTLD_NOW | RTLD_LOCAL)) return library;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): glibc keeps it per thread
  char const* const why = ::dlerror();
  throw std::runtime_error(
      std::string("libcurl cannot be loaded (install the package libcurl4): ") +
      (why != nullptr ? why : kFile));
}

template <class Function>
void find(void* library, char const* name, Function& function) {
  void* const address = ::dlsym(library, name);
  if (address == nullptr)
    throw std::runtime_error(std::string("libcurl is too old: it has no ") + name);
  function = reinterpret_cast<Function>(address);
}

CurlLibrary load() {
  void* const library = open_library();
  CurlLibrary out{};
  find(library, "curl_global_init", out.global_init);
  find(library, "curl_free", out.free);
  find(library, "curl_slist_append", out.slist_append);
  find(library, "curl_slist_free_all", out.slist_free_all);
  find(library, "curl_easy_init", out.easy_init);
  find(library, "curl_easy_cleanup", out.easy_cleanup);
  find(library, "curl_easy_setopt", out.easy_setopt);
  find(library, "curl_easy_getinfo", out.easy_getinfo);
  find(library, "curl_easy_pause", out.easy_pause);
  find(library, "curl_easy_strerror", out.easy_strerror);
  find(library, "curl_multi_init", out.multi_init);
  find(library, "curl_multi_cleanup", out.multi_cleanup);
  find(library, "curl_multi_setopt", out.multi_setopt);
  find(library, "curl_multi_add_handle", out.multi_add_handle);
  find(library, "curl_multi_remove_handle", out.multi_remove_handle);
  find(library, "curl_multi_info_read", out.multi_info_read);
  find(library, "curl_multi_perform", out.multi_perform);
  find(library, "curl_multi_poll", out.multi_poll);
  find(library, "curl_multi_wakeup", out.multi_wakeup);
  find(library, "curl_url", out.url);
  find(library, "curl_url_cleanup", out.url_cleanup);
  find(library, "curl_url_get", out.url_get);
  find(library, "curl_url_set", out.url_set);
  return out;
}

}  // namespace

CurlLibrary const& curl() {
  static CurlLibrary const library = load();
  return library;
}

}  // namespace homelab::http
