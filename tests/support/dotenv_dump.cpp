// Reads a .env text from standard input and prints what parse_dotenv() makes of it as one JSON
// object: {"values": {…}, "warnings": […]} or {"error": "…"}. Variables of the environment that
// begin with DUMP_ENV_ are the environment that
// ${VAR} sees. For comparing our reader with other programs' readers.
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <string>

#include "base/json.h"
#include "config/dotenv.h"

int main() {
  std::string const text{std::istreambuf_iterator<char>(std::cin),
                         std::istreambuf_iterator<char>()};
  auto const environment = [](std::string const& name) -> std::optional<std::string> {
    char const* const value = std::getenv(("DUMP_ENV_" + name).c_str());
    return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
  };
  std::vector<std::string> warnings;
  auto const entries = homelab::config::parse_dotenv(text, environment, &warnings);
  homelab::json::object out;
  if (entries) {
    homelab::json::object values;
    for (auto const& entry : *entries) values[entry.key] = entry.value;
    out["values"] = std::move(values);
    out["warnings"] = homelab::json::value_from(warnings);
  } else {
    out["error"] = entries.error().message;
  }
  std::cout << homelab::json::serialize(out) << "\n";
}
