#include <algorithm>

#include "base/strings.h"
#include "http/message.h"
#include "text_rules.h"

namespace homelab::http {

void Headers::set(std::string_view name, std::string_view value) {
  auto const first = std::find_if(fields_.begin(), fields_.end(), [&](auto const& field) {
    return equals_without_case(field.first, name);
  });
  if (first == fields_.end()) {
    add(name, value);
    return;
  }
  // The arguments may point into this very object.
  std::string new_value(value);
  std::string const kept_name(name);
  first->second = std::move(new_value);
  fields_.erase(std::remove_if(
                    std::next(first), fields_.end(),
                    [&](auto const& field) { return equals_without_case(field.first, kept_name); }),
                fields_.end());
}

void Headers::add(std::string_view name, std::string_view value) {
  std::pair<std::string, std::string> field(name, value);
  fields_.push_back(std::move(field));
}

std::optional<std::string_view> Headers::find(std::string_view name) const {
  for (auto const& [field, value] : fields_) {
    if (equals_without_case(field, name)) return std::string_view(value);
  }
  return std::nullopt;
}

std::string Request::path_value(std::string_view name) const {
  for (auto const& [key, value] : path_values) {
    if (key == name) return value;
  }
  return {};
}

namespace {
/// Form decoding: '+' is a blank; text with a broken escape stays as it was sent.
std::string decode_form(std::string_view text) {
  std::string plain(text);
  std::replace(plain.begin(), plain.end(), '+', ' ');
  auto decoded = percent_decode(plain);
  return decoded ? std::move(*decoded) : plain;
}
}  // namespace

std::optional<std::string> Request::query_value(std::string_view name) const {
  std::string_view rest = query;
  while (!rest.empty()) {
    std::size_t const end = std::min(rest.find('&'), rest.size());
    std::string_view const pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    std::size_t const equals = std::min(pair.find('='), pair.size());
    if (decode_form(pair.substr(0, equals)) == name)
      return decode_form(pair.substr(std::min(equals + 1, pair.size())));
  }
  return std::nullopt;
}

}  // namespace homelab::http
