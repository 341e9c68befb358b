#include "openai_dialect.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "base/strings.h"

namespace homelab::engine {
namespace {

constexpr std::string_view kDone = "[DONE]";
constexpr std::size_t kQuotedBytes = 300;

/// A member of an object as it was written.
struct Member {
  std::string_view key;  ///< with its quotes
  std::string_view value;
};

/// Reads the members of a JSON object without building it: bodies with images are large.
class Members {
 public:
  explicit Members(std::string_view text) : text_(trim(text)) {}

  /// nullopt when the text is no JSON object; only what this reading needs is checked.
  std::optional<std::vector<Member>> read() {
    if (!take('{')) return std::nullopt;
    std::vector<Member> out;
    skip_blanks();
    if (take('}')) return ended(out);
    while (true) {
      auto const key = string();
      skip_blanks();
      if (!key || !take(':')) return std::nullopt;
      auto const value = this->value();
      if (!value) return std::nullopt;
      out.push_back({*key, *value});
      if (take('}')) return ended(out);
      if (!take(',')) return std::nullopt;
      skip_blanks();
    }
  }

 private:
  std::optional<std::vector<Member>> ended(std::vector<Member>& out) const {
    if (at_ != text_.size()) return std::nullopt;
    return std::move(out);
  }
  bool take(char wanted) {
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  void skip_blanks() { at_ = std::min(text_.size(), text_.find_first_not_of(" \t\r\n", at_)); }

  std::optional<std::string_view> string() {
    std::size_t const begin = at_;
    if (!take('"')) return std::nullopt;
    while (true) {
      at_ = text_.find_first_of("\"\\", at_);
      if (at_ >= text_.size()) return std::nullopt;
      if (text_[at_] == '"') break;
      at_ += 2;
    }
    ++at_;
    return text_.substr(begin, at_ - begin);
  }

  /// Up to the ',' or '}' that ends it, without blanks around it.
  std::optional<std::string_view> value() {
    std::size_t const begin = at_;
    std::size_t depth = 0;
    while (true) {
      at_ = text_.find_first_of("\"{}[],", at_);
      if (at_ >= text_.size()) return std::nullopt;
      char const found = text_[at_];
      if (found == '"') {
        if (!string()) return std::nullopt;
        continue;
      }
      bool const closes = found == '}' || found == ']';
      if (depth == 0 && (closes || found == ',')) break;
      if (closes) --depth;
      if (found == '{' || found == '[') ++depth;
      ++at_;
    }
    return trim(text_.substr(begin, at_ - begin));
  }

  std::string_view const text_;
  std::size_t at_ = 0;
};

/// What a key says, its escapes resolved.
bool is_key(std::string_view quoted, std::string_view wanted) {
  if (quoted.find('\\') == std::string_view::npos)
    return quoted.substr(1, quoted.size() - 2) == wanted;
  auto const key = parse_json(quoted);
  return key && key->is_string() && std::string_view(key->get_string()) == wanted;
}

/// {"message": ...} of servers that put it beside the rest instead of into "error".
std::optional<Error> error_in(json::object const& event) {
  auto const* error = event.if_contains("error");
  if (error == nullptr || error->is_null()) return std::nullopt;
  return engine_error(static_cast<int>(get_int(event, "code").value_or(500)),
                      json::serialize(event));
}

}  // namespace

std::string openai_completion_body(GenerateRequest const& request, std::string const& model) {
  bool const greedy = is_greedy(request);
  json::object body = {{"model", model},
                       {"prompt", request.prompt},
                       {"max_tokens", request.max_tokens},
                       {"temperature", greedy ? 0.0 : request.temperature},
                       {"stream", true},
                       {"stream_options", {{"include_usage", true}}}};
  if (!greedy) body["top_p"] = request.top_p;
  // What somebody asked for goes out, also where not every server knows it: it must not be lost
  // silently.
  for (auto const& [name, value] : request.parameters) body[name] = value;
  return json::serialize(body);
}

Result<OpenAiChunk> parse_openai_chunk(std::string_view data) {
  OpenAiChunk out;
  if (trim(data) == kDone) {
    out.chunk.last = true;
    return out;
  }
  auto const value = parse_json(data);
  auto const* event = value ? value->if_object() : nullptr;
  if (event == nullptr)
    return fail(Code::kDataLoss, fmt::format("the engine sent an event that is no JSON object: {}",
                                             data.substr(0, kQuotedBytes)));
  if (auto error = error_in(*event)) return fail(*std::move(error));
  auto const* choices = get_array(*event, "choices");
  if (choices != nullptr && !choices->empty() && choices->front().is_object()) {
    auto const& choice = choices->front().get_object();
    out.chunk.text = get_string(choice, "text").value_or("");
    out.over = get_string(choice, "finish_reason").has_value();
  }
  if (auto const* usage = get_object(*event, "usage")) {
    out.chunk.output_tokens = get_int(*usage, "completion_tokens").value_or(0);
    out.chunk.input_tokens = get_int(*usage, "prompt_tokens").value_or(0);
  }
  return out;
}

std::string with_model(std::string_view body, std::string const& model) {
  auto const members = Members(body).read();
  if (!members) return std::string(body);
  std::string out = "{\"model\":" + json::serialize(json::value(model));
  for (auto const& [key, value] : *members) {
    if (is_key(key, "model") || is_key(key, "keep_alive")) continue;
    out.append(",").append(key).append(":").append(value);
  }
  return out + "}";
}

}  // namespace homelab::engine
