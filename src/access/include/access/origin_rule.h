#pragma once
// Which web pages may use the server from a browser.
#include <string>
#include <string_view>
#include <vector>

namespace homelab::access {

/// Immutable; any thread.
class OriginRule {
 public:
  /// `allowed`: "https://chat.example.org", "http://nas:*" (any port), "*" (every page). Empty:
  /// pages that this machine itself serves, on any port.
  explicit OriginRule(std::vector<std::string> allowed);

  /// Every page may: the original program's behaviour.
  [[nodiscard]] bool any() const { return any_; }
  /// A page of `origin` that asks the server under the name `host`: the server's own page, or one
  /// of the allowed. "null" (a file, a sandboxed frame) is nobody's page.
  [[nodiscard]] bool allows(std::string_view origin, std::string_view host) const;

 private:
  bool any_ = false;
  bool loopback_ = false;
  std::vector<std::string> exact_;
  std::vector<std::string> any_port_;  // "http://nas", without the port
};

}  // namespace homelab::access
