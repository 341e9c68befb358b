#include "flags.h"

#include <filesystem>
#include <fstream>

namespace homelab::fake_engine {

Flags Flags::read(std::string const& model, std::vector<std::string> const& arguments) {
  Flags flags;
  bool const folder = std::filesystem::is_directory(model);
  std::ifstream file(folder ? model + "/fake-engine-flags" : model + ".flags");
  for (std::string line; std::getline(file, line);) {
    auto const blank = line.find(' ');
    if (!line.empty())
      flags.values_[line.substr(0, blank)] =
          blank == std::string::npos ? "" : line.substr(blank + 1);
  }
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (!arguments[i].starts_with("--")) continue;
    bool const has_value = i + 1 < arguments.size() && !arguments[i + 1].starts_with("--");
    flags.values_[arguments[i]] = has_value ? arguments[i + 1] : "";
  }
  return flags;
}

std::string Flags::text(std::string const& name) const {
  auto const found = values_.find(name);
  return found == values_.end() ? "" : found->second;
}

int Flags::number(std::string const& name) const {
  std::string const value = text(name);
  return value.empty() ? -1 : std::stoi(value);
}

}  // namespace homelab::fake_engine
