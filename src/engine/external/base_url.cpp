#include "base_url.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"

namespace homelab::engine {
namespace {

constexpr std::size_t kLongestUrl = 2048;
constexpr std::string_view kSchemeEnd = "://";

tl::unexpected<Error> refused(std::string_view text, std::string_view why) {
  return fail(Code::kInvalidArgument,
              fmt::format("'{}' cannot be the base URL of a server: {}", text, why));
}

/// "nas:8080" of "http://nas:8080/x".
std::string_view authority_of(std::string_view url) {
  url.remove_prefix(std::min(url.size(), url.find(kSchemeEnd) + kSchemeEnd.size()));
  return url.substr(0, url.find('/'));
}

bool is_printable_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
}

bool has_good_port(std::string_view authority) {
  auto const colon = authority.rfind(':');
  auto const bracket = authority.rfind(']');
  bool const has_port =
      colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  if (!has_port) return true;
  auto const port = parse_uint(authority.substr(colon + 1));
  return colon > 0 && port && *port > 0 && *port < 65536;
}

}  // namespace

Result<std::string> parse_base_url(std::string_view text) {
  std::string_view const given = trim(text);
  std::string_view url = given;
  if (url.size() > kLongestUrl) return refused(url.substr(0, 60), "it is too long");
  auto const scheme = to_lower(url.substr(0, url.find(kSchemeEnd)));
  if (url.find(kSchemeEnd) == std::string_view::npos || (scheme != "http" && scheme != "https"))
    // Not quoted as a whole: a password must not end up in a log.
    return refused(given.substr(0, given.find_first_of(":/@")),
                   "it must begin with http:// or https://");
  auto const authority = authority_of(url);
  if (authority.find('@') != std::string_view::npos)
    return fail(Code::kInvalidArgument,
                "the base URL of a server must not hold a user name or password; name the variable "
                "with its key in the engines file (api_key_env)");
  if (url.find_first_of("?#\\") != std::string_view::npos || !is_printable_ascii(url))
    return refused(given, "no query, no fragment and no blanks are possible in it");
  if (authority.empty() || !has_good_port(authority)) return refused(given, "it names no server");
  while (url.ends_with('/')) url.remove_suffix(1);
  if (url.ends_with("/v1")) url.remove_suffix(3);
  while (url.ends_with('/')) url.remove_suffix(1);
  return scheme + std::string(url.substr(scheme.size()));
}

bool is_loopback(std::string_view base_url) {
  auto host = authority_of(base_url);
  if (host.starts_with("[::1]")) return true;
  host = host.substr(0, host.find(':'));
  return host.starts_with("127.") || to_lower(host) == "localhost";
}

}  // namespace homelab::engine
