// A .env file from anybody: every text gives entries or an error with a line, within the bounds,
// and the same each time.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "config/dotenv.h"

namespace {

using namespace homelab::config;

void require(bool holds) {
  if (!holds) std::abort();
}

std::optional<std::string> environment(std::string const& name) {
  if (name == "A") return "${B} $$ \" # '";
  if (name == "EMPTY") return "";
  return std::nullopt;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  std::string_view const text(reinterpret_cast<char const*>(data), size);
  std::vector<std::string> warnings;
  auto const entries = parse_dotenv(text, environment, &warnings);
  auto const again = parse_dotenv(text, environment);
  require(entries.has_value() == again.has_value());
  if (!entries) {
    require(entries.error().message.starts_with("line ") || size > 1024U * 1024U);
    return 0;
  }
  require(*entries == *again);
  std::size_t bytes = 0;
  int line = 0;
  for (auto const& entry : *entries) {
    require(!entry.key.empty() && entry.key.find_first_of(" =\n'\"") == std::string::npos);
    require(entry.line >= line && entry.value.find('\0') == std::string::npos);
    line = entry.line;
    bytes += entry.value.size();
  }
  require(bytes <= 4U * 1024U * 1024U);
  return 0;
}
