// Request targets: whatever comes in, the parts are views into it and hold no character that could
// split a line.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "target.h"
#include "text_rules.h"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  std::string_view const text(reinterpret_cast<char const*>(data), size);
  auto const target = homelab::http::parse_target(text);
  if (!target) return 0;
  bool const path_ok = target->path == "*" || target->path.starts_with('/');
  bool const clean =
      homelab::http::is_field_value(target->path) && homelab::http::is_field_value(target->query);
  if (!path_ok || !clean || target->path.size() + target->query.size() > size + 1) std::abort();
  return 0;
}
