#pragma once
// Under which names this server may be called: the protection against DNS rebinding, where a page
// makes its own name point to this machine and then reads the server as its own origin.
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace homelab::access {

/// "[::1]:8000" -> "::1", "Name.:80" -> "name": lower case, without port, brackets and final dot.
[[nodiscard]] std::string host_name_of(std::string_view host_and_port);
/// An IPv4 or IPv6 address; both without brackets. A page cannot rebind these.
[[nodiscard]] bool is_address(std::string_view name);
/// localhost, *.localhost, 127.0.0.0/8, ::1.
[[nodiscard]] bool is_loopback_name(std::string_view name);

/// Immutable; any thread.
class HostRule {
 public:
  struct Options {
    std::string listen_host;   ///< what the server was told to listen on
    std::string machine_name;  ///< gethostname(2); empty = not known
    /// Further names; ".example.org" also means every name below it, "*" every name.
    std::vector<std::string> allowed;
  };
  explicit HostRule(Options const& options);

  /// `host` is the field Host as sent. An absent one (HTTP/1.0) is allowed: no browser sends that.
  [[nodiscard]] bool allows(std::string_view host) const;

 private:
  bool any_ = false;
  std::set<std::string, std::less<>> names_;
  std::vector<std::string> endings_;  // with their leading dot
};

}  // namespace homelab::access
