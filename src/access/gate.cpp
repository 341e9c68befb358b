#include "access/gate.h"

#include <fmt/format.h>

namespace homelab::access {
namespace {

constexpr std::size_t kShownName = 100;

/// A name from outside, for an error text.
std::string shown(std::string_view text) {
  std::string out(text.substr(0, kShownName));
  for (char& c : out)
    if (c < 0x20 || c == 0x7F) c = '?';
  return out;
}

}  // namespace

bool is_changing(std::string_view method) {
  return method != "GET" && method != "HEAD" && method != "OPTIONS";
}

Gate::Gate(Options options) : hosts_(options.hosts), origins_(std::move(options.cors_origins)) {}

Decision Gate::decide(Asked const& asked) const {
  if (asked.need == Need::kOpen && !is_changing(asked.method)) return {};
  if (!hosts_.allows(asked.host)) {
    std::string const name = shown(host_name_of(asked.host));
    return {Answer::kForeignHost,
            fmt::format("The server is not called '{0}' here, so this may be a web page that "
                        "pretends to be it. If the name is right, start the server with "
                        "HOMELAB_LLM_ALLOWED_HOSTS={0}",
                        name)};
  }
  if (!is_changing(asked.method)) return {};
  if (!asked.origin.empty() && !origins_.allows(asked.origin, asked.host)) {
    return {Answer::kForeignPage,
            fmt::format("Only the server's own page and programs may do this; the request comes "
                        "from a page of {0}. To allow that page, start the server with "
                        "HOMELAB_LLM_CORS_ORIGINS={0}",
                        shown(asked.origin))};
  }
  // Some browsers leave Origin out of a form's request.
  if (asked.origin.empty() && asked.fetch_site == "cross-site" && !origins_.any())
    return {Answer::kForeignPage,
            "Only the server's own page and programs may do this; the request comes from a page of "
            "another origin"};
  return {};
}

}  // namespace homelab::access
