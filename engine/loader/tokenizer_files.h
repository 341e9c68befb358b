#pragma once
// What the readers of a tokenizer's files share: small JSON files, and errors that name the file.
#include <cstddef>
#include <filesystem>
#include <string_view>

#include "base/json.h"
#include "base/result.h"

namespace homelab::loader {

/// Bounds for a vocabulary (tokenizer.json, tokenizer.model) and for the files beside it.
constexpr std::size_t kMaxTokenizerBytes = 256'000'000;
constexpr std::size_t kMaxSideFileBytes = 16'000'000;

[[nodiscard]] bool is_there(std::filesystem::path const& path);

/// One JSON object. Errors: those of os::read_file and parse_json, kInvalidArgument for another
/// value.
[[nodiscard]] Result<json::object> read_object(std::filesystem::path const& path,
                                               std::size_t limit_bytes);

/// The object, empty when the file is not there.
[[nodiscard]] Result<json::object> read_optional_object(std::filesystem::path const& path);

/// True if the member is there and neither null, false, 0 nor an empty text.
[[nodiscard]] bool is_set(json::object const& object, std::string_view key);

/// "FILE: WHAT cannot be loaded from safetensors; use a GGUF of this model" (kUnimplemented).
[[nodiscard]] tl::unexpected<Error> unsupported(std::string_view file, std::string_view what);

/// "FILE: WHAT" (kInvalidArgument).
[[nodiscard]] tl::unexpected<Error> broken(std::string_view file, std::string_view what);

constexpr std::string_view kTokenizerJson = "tokenizer.json";
constexpr std::string_view kTokenizerModel = "tokenizer.model";

}  // namespace homelab::loader
