#include "curl_library.h"

#include "base/os/shared_library.h"

namespace homelab::http {
namespace {

CurlLibrary load() {
  SharedLibrary const library("libcurl.so.4", "libcurl4");
  CurlLibrary out{};
  library.find("curl_global_init", out.global_init);
  library.find("curl_free", out.free);
  library.find("curl_slist_append", out.slist_append);
  library.find("curl_slist_free_all", out.slist_free_all);
  library.find("curl_easy_init", out.easy_init);
  library.find("curl_easy_cleanup", out.easy_cleanup);
  library.find("curl_easy_setopt", out.easy_setopt);
  library.find("curl_easy_getinfo", out.easy_getinfo);
  library.find("curl_easy_pause", out.easy_pause);
  library.find("curl_easy_strerror", out.easy_strerror);
  library.find("curl_multi_init", out.multi_init);
  library.find("curl_multi_cleanup", out.multi_cleanup);
  library.find("curl_multi_setopt", out.multi_setopt);
  library.find("curl_multi_add_handle", out.multi_add_handle);
  library.find("curl_multi_remove_handle", out.multi_remove_handle);
  library.find("curl_multi_info_read", out.multi_info_read);
  library.find("curl_multi_perform", out.multi_perform);
  library.find("curl_multi_poll", out.multi_poll);
  library.find("curl_multi_wakeup", out.multi_wakeup);
  library.find("curl_url", out.url);
  library.find("curl_url_cleanup", out.url_cleanup);
  library.find("curl_url_get", out.url_get);
  library.find("curl_url_set", out.url_set);
  return out;
}

}  // namespace

CurlLibrary const& curl() {
  static CurlLibrary const library = load();
  return library;
}

}  // namespace homelab::http
