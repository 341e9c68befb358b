#include "target.h"

#include <algorithm>

#include "text_rules.h"

namespace homelab::http {
namespace {

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'f');
}

bool has_broken_escape(std::string_view path) {
  for (std::size_t at = path.find('%'); at != std::string_view::npos; at = path.find('%', at + 1)) {
    if (at + 2 >= path.size() || !is_hex(path[at + 1]) || !is_hex(path[at + 2])) return true;
  }
  return false;
}

bool is_target_char(char c) {
  auto const byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte != 0x7F && c != '#';
}

/// Removes "http://authority" of an absolute target; the Host field has the same information.
Result<std::string_view> without_origin(std::string_view text) {
  for (std::string_view const scheme :
       {std::string_view("http://"), std::string_view("https://")}) {
    if (!equals_without_case(text.substr(0, scheme.size()), scheme)) continue;
    text.remove_prefix(scheme.size());
    std::size_t const end = std::min(text.find_first_of("/?"), text.size());
    if (end == 0) return fail(Code::kInvalidArgument, "request target has no host");
    return text.substr(end);
  }
  return fail(Code::kInvalidArgument, "request target must begin with '/'");
}

}  // namespace

Result<Target> parse_target(std::string_view text) {
  if (!std::all_of(text.begin(), text.end(), is_target_char))
    return fail(Code::kInvalidArgument, "request target holds a character that is not allowed");
  if (text == "*") return Target{text, {}};
  bool const absolute = !text.starts_with('/');
  if (absolute) {
    ASSIGN_OR_RETURN(text, without_origin(text));
  }
  std::size_t const question = text.find('?');
  Target target{text.substr(0, question), {}};
  if (question != std::string_view::npos) target.query = text.substr(question + 1);
  if (target.path.empty()) target.path = "/";
  if (has_broken_escape(target.path))
    return fail(Code::kInvalidArgument, "request target has a '%' without two hex digits");
  return target;
}

}  // namespace homelab::http
