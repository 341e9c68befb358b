#include "loader/tokenizer_steps.h"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace homelab::loader {
namespace {

std::string describe_split(json::object const& step) {
  auto const* pattern = get_object(step, "pattern");
  std::string text = "?";
  if (pattern) {
    auto const regex = get_string(*pattern, "Regex");
    text = regex ? *regex : "literal " + get_string(*pattern, "String").value_or("?");
  }
  auto const behavior = get_string(step, "behavior").value_or("?");
  bool const inverted = get_bool(step, "invert").value_or(false);
  // The known expressions match everything, so that removing what they do not match is nothing.
  if (behavior == "Removed" && inverted) return "split:Isolated:" + text;
  return fmt::format("split:{}{}:{}", behavior, inverted ? ":inverted" : "", text);
}

std::string describe_bytes(json::object const& step) {
  return fmt::format("bytes{}{}",
                     get_bool(step, "add_prefix_space").value_or(true) ? ":prefix_space" : "",
                     get_bool(step, "use_regex").value_or(true) ? ":regex" : "");
}

std::string describe_replace(json::object const& step) {
  auto const* pattern = get_object(step, "pattern");
  auto const text = pattern ? get_string(*pattern, "String") : std::nullopt;
  if (!text) return json::serialize(step);
  return fmt::format("replace:{}:{}", *text, get_string(step, "content").value_or("?"));
}

/// Files that are older than prepend_scheme have a flag.
std::string describe_metaspace(json::object const& step) {
  auto const scheme =
      get_string(step, "prepend_scheme")
          .value_or(get_bool(step, "add_prefix_space").value_or(true) ? "always" : "never");
  return fmt::format("metaspace:{}:{}{}", get_string(step, "replacement").value_or("?"), scheme,
                     get_bool(step, "split").value_or(true) ? ":split" : "");
}

std::string describe_digits(json::object const& step) {
  return get_bool(step, "individual_digits").value_or(false) ? "digits:individual" : "digits";
}

std::string describe_prepend(json::object const& step) {
  return "prepend:" + get_string(step, "prepend").value_or("?");
}

std::string describe_sequence(json::object const& step) {
  auto const* list = get_array(step, "pretokenizers");
  if (!list) list = get_array(step, "normalizers");
  std::string all;
  for (auto const& part : list ? *list : json::array{}) {
    if (!all.empty()) all += " | ";
    all += describe_steps(&part);
  }
  return all;
}

using Describe = std::string (*)(json::object const&);

constexpr std::array<std::pair<std::string_view, Describe>, 7> kSteps = {{
    {"Sequence", describe_sequence},
    {"Digits", describe_digits},
    {"ByteLevel", describe_bytes},
    {"Split", describe_split},
    {"Prepend", describe_prepend},
    {"Replace", describe_replace},
    {"Metaspace", describe_metaspace},
}};

}  // namespace

std::string describe_steps(json::value const* step) {
  if (!step || step->is_null()) return {};
  auto const* object = step->if_object();
  if (!object) return "?";
  auto const type = get_string(*object, "type").value_or("?");
  for (auto const& [name, describe] : kSteps)
    if (name == type) return describe(*object);
  return type == "NFC" ? type : json::serialize(*step);
}

}  // namespace homelab::loader
