#include "run_label.h"

#include <algorithm>
#include <array>

#include "base/hash.h"

namespace homelab::api {
namespace {

/// What people wrote; only its hash is noted.
constexpr std::array<std::string_view, 7> kTexts = {"prompt", "messages",  "input", "query",
                                                    "system", "documents", "suffix"};
/// Neither texts nor parameters.
constexpr std::array<std::string_view, 4> kOthers = {"model", "keep_alive", "tools", "images"};
constexpr std::size_t kHashedBytes = 1U << 20U;
constexpr std::size_t kHashDigits = 16;
constexpr std::size_t kOneParameterBytes = 512;
constexpr std::size_t kParametersBytes = 4096;

template <class List>
bool is_in(List const& list, std::string_view key) {
  return std::find(list.begin(), list.end(), key) != list.end();
}

/// As the original's hash for a plain prompt; of anything else that of its JSON.
std::string hash_of(json::object const& fields) {
  for (auto const key : kTexts) {
    auto const* value = fields.if_contains(key);
    if (value == nullptr) continue;
    std::string const text =
        value->is_string() ? std::string(value->get_string()) : json::serialize(*value);
    if (text.size() > kHashedBytes) return "";
    return sha256_hex(text).substr(0, kHashDigits);
  }
  return "";
}

std::string parameters_of(json::object const& fields) {
  json::object out;
  std::size_t size = 0;
  for (auto const& [key, value] : fields) {
    if (is_in(kTexts, key) || is_in(kOthers, key)) continue;
    auto const bytes = key.size() + json::serialize(value).size();
    if (bytes > kOneParameterBytes || size + bytes > kParametersBytes) continue;
    size += bytes;
    out[key] = value;
  }
  return json::serialize(out);
}

}  // namespace

engine::RunLabel run_label(http::Request const& request, json::object const& fields) {
  engine::RunLabel label;
  label.endpoint = request.route;
  label.streamed = get_bool(fields, "stream").value_or(false);
  label.prompt_hash = hash_of(fields);
  label.parameters = parameters_of(fields);
  label.temperature = get_double(fields, "temperature");
  label.top_p = get_double(fields, "top_p");
  label.top_k = get_int(fields, "top_k");
  for (auto const* key : {"max_completion_tokens", "max_tokens", "max_output_tokens", "n_predict"})
    if (!label.max_new_tokens) label.max_new_tokens = get_int(fields, key);
  return label;
}

}  // namespace homelab::api
