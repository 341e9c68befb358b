#pragma once
// How a fake engine is told to misbehave.
#include <map>
#include <string>
#include <vector>

namespace homelab::fake_engine {

/// Flags from a file beside the model (one per line: "--slow-load 300") and from the command line;
/// the latter win.
class Flags {
 public:
  /// `model`: a folder (file "fake-engine-flags" in it) or a file ("<file>.flags").
  static Flags read(std::string const& model, std::vector<std::string> const& arguments);
  [[nodiscard]] bool has(std::string const& name) const { return values_.count(name) > 0; }
  [[nodiscard]] std::string text(std::string const& name) const;
  /// -1 when it is not given.
  [[nodiscard]] int number(std::string const& name) const;

 private:
  std::map<std::string, std::string> values_;
};

}  // namespace homelab::fake_engine
