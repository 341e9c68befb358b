#include "placeholders.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>

namespace homelab::engine {
namespace {

constexpr std::array<std::string_view, 9> kKnown = {
    "model", "snapshot", "file", "revision", "name", "host", "port", "context", "threads"};

bool is_word(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
}

/// Calls `plain` for text between placeholders and `word` for each of them, in order.
void walk(std::string_view text, std::function<void(std::string_view)> const& plain,
          std::function<void(std::string_view)> const& word) {
  while (!text.empty()) {
    auto const open = text.find('{');
    auto const close = open == std::string_view::npos ? open : text.find('}', open);
    if (close == std::string_view::npos) return plain(text);
    auto const inside = text.substr(open + 1, close - open - 1);
    if (is_word(inside)) {
      plain(text.substr(0, open));
      word(inside);
      text.remove_prefix(close + 1);
    } else {
      plain(text.substr(0, open + 1));
      text.remove_prefix(open + 1);
    }
  }
}

}  // namespace

std::vector<std::string> placeholders_in(std::string_view text) {
  std::vector<std::string> out;
  walk(text, [](std::string_view) {}, [&](std::string_view word) { out.emplace_back(word); });
  return out;
}

Status check_placeholders(std::string_view text) {
  for (auto const& word : placeholders_in(text)) {
    if (std::ranges::find(kKnown, word) == kKnown.end())
      return fail(Code::kInvalidArgument, fmt::format("{{{}}} is no placeholder; there are {{{}}}",
                                                      word, fmt::join(kKnown, "}, {")));
  }
  return {};
}

Result<std::string> fill_in(std::string_view text, Words const& words) {
  std::string out;
  Status status;
  walk(
      text, [&](std::string_view plain) { out += plain; },
      [&](std::string_view word) {
        auto const found = words.find(word);
        if (found == words.end() && status)
          status =
              fail(Code::kInvalidArgument, fmt::format("there is no {{{}}} for this model", word));
        if (found != words.end()) out += found->second;
      });
  if (!status) return fail(std::move(status).error());
  if (!text.starts_with('-') && out.starts_with('-'))
    return fail(Code::kInvalidArgument,
                fmt::format("'{}' would be taken for an option by the engine's program", out));
  return out;
}

}  // namespace homelab::engine
