#include "access/origin_rule.h"

#include <algorithm>

#include "access/host_rule.h"
#include "base/strings.h"

namespace homelab::access {
namespace {

/// "http://nas:8000" -> "http://nas".
std::string without_port(std::string const& origin) {
  auto const name = origin.find("://") + 3;
  auto const bracket = origin.find(']', name);
  auto const colon = origin.find(':', bracket == std::string::npos ? name : bracket);
  return origin.substr(0, colon);
}

}  // namespace

OriginRule::OriginRule(std::vector<std::string> allowed) {
  loopback_ = allowed.empty();
  for (std::string const& entry : allowed) {
    std::string const origin = to_lower(trim(entry));
    if (origin == "*")
      any_ = true;
    else if (origin.ends_with(":*"))
      any_port_.push_back(origin.substr(0, origin.size() - 2));
    else
      exact_.push_back(origin);
  }
}

bool OriginRule::allows(std::string_view origin, std::string_view host) const {
  if (any_) return true;
  std::string const page = to_lower(trim(origin));
  auto const scheme = page.find("://");
  if (scheme == std::string::npos) return false;
  std::string_view const place = std::string_view(page).substr(scheme + 3);
  // Behind a proxy that ends TLS the page's scheme is not ours; the name decides.
  if (!place.empty() && place == to_lower(trim(host))) return true;
  if (std::find(exact_.begin(), exact_.end(), page) != exact_.end()) return true;
  if (std::find(any_port_.begin(), any_port_.end(), without_port(page)) != any_port_.end())
    return true;
  bool const web = page.starts_with("http://") || page.starts_with("https://");
  return loopback_ && web && is_loopback_name(host_name_of(place));
}

}  // namespace homelab::access
