#include "access/host_rule.h"

#include <arpa/inet.h>

#include <algorithm>

#include "base/strings.h"

namespace homelab::access {

std::string host_name_of(std::string_view host_and_port) {
  std::string_view name = trim(host_and_port);
  if (name.starts_with('[')) {
    auto const end = name.find(']');
    return to_lower(name.substr(1, end == std::string_view::npos ? end : end - 1));
  }
  // More than one colon without brackets is an IPv6 address alone.
  auto const colon = name.find(':');
  if (colon != std::string_view::npos && name.find(':', colon + 1) == std::string_view::npos)
    name = name.substr(0, colon);
  if (name.ends_with('.')) name.remove_suffix(1);
  return to_lower(name);
}

bool is_address(std::string_view name) {
  std::string const text(name);
  in_addr four{};
  in6_addr six{};
  return inet_pton(AF_INET, text.c_str(), &four) == 1 ||
         inet_pton(AF_INET6, text.c_str(), &six) == 1;
}

bool is_loopback_name(std::string_view name) {
  if (name == "localhost" || name.ends_with(".localhost")) return true;
  std::string const text(name);
  in_addr four{};
  if (inet_pton(AF_INET, text.c_str(), &four) == 1) return (ntohl(four.s_addr) >> 24U) == 127;
  in6_addr six{};
  return inet_pton(AF_INET6, text.c_str(), &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

HostRule::HostRule(Options const& options) {
  names_.insert(host_name_of(options.listen_host));
  std::string const machine = host_name_of(options.machine_name);
  if (!machine.empty()) {
    std::string const first = machine.substr(0, machine.find('.'));
    names_.insert({machine, machine + ".local", first, first + ".local"});
  }
  for (std::string const& entry : options.allowed) {
    std::string const name = host_name_of(entry);
    if (name == "*") any_ = true;
    if (name.starts_with('.')) {
      endings_.push_back(name);
      names_.insert(name.substr(1));
    } else {
      names_.insert(name);
    }
  }
  names_.erase("");
}

bool HostRule::allows(std::string_view host) const {
  if (any_ || trim(host).empty()) return true;
  std::string const name = host_name_of(host);
  if (is_address(name) || is_loopback_name(name) || names_.contains(name)) return true;
  return std::any_of(endings_.begin(), endings_.end(),
                     [&](std::string const& ending) { return name.ends_with(ending); });
}

}  // namespace homelab::access
