#include "registry/compatibility.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/strings.h"

namespace homelab::registry {
namespace {

constexpr std::int64_t kProvenLoads = 3;
constexpr std::size_t kDegradedExcerpt = 150;
constexpr std::size_t kExcerpt = 200;

/// The first `count` characters (not bytes) of UTF-8 text.
std::string_view first_characters(std::string_view text, std::size_t count) {
  std::size_t end = 0;
  while (end < text.size()) {
    bool const begins = (static_cast<unsigned char>(text[end]) & 0xC0U) != 0x80U;
    if (begins && count-- == 0) break;
    ++end;
  }
  return text.substr(0, end);
}

bool is_word_character(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

/// Removes `part` where it stands alone: a model named "on" must not take the end off "assertion".
void remove_word(std::string& text, std::string const& part) {
  if (part.empty()) return;
  std::size_t at = 0;
  while ((at = text.find(part, at)) != std::string::npos) {
    std::size_t const end = at + part.size();
    bool const alone = (at == 0 || !is_word_character(text[at - 1])) &&
                       (end == text.size() || !is_word_character(text[end]));
    if (alone) text.replace(at, part.size(), " ");
    ++at;
  }
}

std::string cache_folder_name(std::string_view hf_path) {
  std::string name = "models--";
  for (char const c : hf_path) name += c == '/' ? std::string("--") : std::string(1, c);
  return name;
}

/// A name such as "org/assertion-test" must not look like a crash.
std::string without_names(std::string_view message, Model const& model) {
  std::string text = to_lower(message);
  std::string const path = to_lower(model.hf_path);
  remove_word(text, cache_folder_name(path));
  remove_word(text, path);
  remove_word(text, to_lower(model.model_name));
  if (auto const slash = path.rfind('/'); slash != std::string::npos)
    remove_word(text, path.substr(slash + 1));
  return text;
}

bool looks_like_a_crash(std::string_view message, Model const& model) {
  static constexpr std::array<std::string_view, 4> kPatterns{"flash-attention", "createcontext",
                                                             "assertion", "aborted"};
  std::string const text = without_names(message, model);
  return std::any_of(kPatterns.begin(), kPatterns.end(), [&](std::string_view pattern) {
    return text.find(pattern) != std::string::npos;
  });
}

/// Failures of the surroundings. A dead engine reports kUnavailable too, but that one is the
/// model's.
bool says_nothing_about_the_model(Code code, bool engine_crashed) {
  switch (code) {
    case Code::kUnavailable:
      return !engine_crashed;
    case Code::kCancelled:
    case Code::kDeadlineExceeded:
    case Code::kResourceExhausted:
    case Code::kPermissionDenied:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::string status_after_success(std::optional<std::string> const& previous) {
  return previous == "degraded" ? "degraded" : "compatible";
}

LoadVerdict verdict_after_failure(Error const& error, bool engine_crashed, Model const& model,
                                  std::optional<std::string> const& previous) {
  if (says_nothing_about_the_model(error.code, engine_crashed)) {
    // `testing` would be taken for a crash at the next start.
    auto const restored = previous == "testing" ? std::optional<std::string>("unknown") : previous;
    return {restored, model.compatibility_notes};
  }
  std::string_view const message = error.message;
  if (!engine_crashed && !looks_like_a_crash(message, model))
    return {"incompatible", fmt::format("Loading failed: {}", first_characters(message, kExcerpt))};
  if (model.total_loads < kProvenLoads)
    return {"incompatible", fmt::format("Hardware incompatibility: the engine crashed. {}",
                                        first_characters(message, kExcerpt))};
  return {"degraded",
          fmt::format(
              "Intermittent crash after {} successful loads; restarting the GPU driver or WSL may "
              "help. {}",
              model.total_loads, first_characters(message, kDegradedExcerpt))};
}

std::optional<double> repetition_ratio(std::string_view text) {
  constexpr std::size_t kMinWords = 10;
  std::string const lower = to_lower(text);
  std::set<std::string_view> unique;
  std::size_t words = 0;
  std::string_view rest = trim(lower);
  while (!rest.empty()) {
    std::size_t const end = std::min(rest.find_first_of(" \t\r\n\v\f"), rest.size());
    unique.insert(rest.substr(0, end));
    ++words;
    rest = trim(rest.substr(end));
  }
  if (words < kMinWords) return std::nullopt;
  return 1.0 - static_cast<double>(unique.size()) / static_cast<double>(words);
}

bool is_repetitive(std::string_view text) {
  constexpr std::size_t kMinCharacters = 50;
  if (first_characters(text, kMinCharacters - 1).size() == text.size()) return false;
  // Deliberately this bound: in binary fractions 1 - 0.7 is a little above 0.3, and the contract
  // counts that.
  return repetition_ratio(text).value_or(0) > 0.3;
}

}  // namespace homelab::registry
