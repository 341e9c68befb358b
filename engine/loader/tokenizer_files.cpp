#include "loader/tokenizer_files.h"

#include <fmt/format.h>

#include <system_error>

#include "base/os/file.h"

namespace homelab::loader {

bool is_there(std::filesystem::path const& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

Result<json::object> read_object(std::filesystem::path const& path, std::size_t limit_bytes) {
  ASSIGN_OR_RETURN(auto const text, os::read_file(path, limit_bytes));
  auto parsed = parse_json(text);
  if (!parsed) return fail(std::move(parsed.error()).in(path.string()));
  if (!parsed->is_object())
    return fail(Code::kInvalidArgument, path.string() + ": expected a JSON object");
  return std::move(parsed->get_object());
}

Result<json::object> read_optional_object(std::filesystem::path const& path) {
  if (!is_there(path)) return json::object{};
  return read_object(path, kMaxSideFileBytes);
}

bool is_set(json::object const& object, std::string_view key) {
  auto const* value = object.if_contains(key);
  if (!value || value->is_null()) return false;
  if (value->is_string()) return !value->get_string().empty();
  if (value->is_bool()) return value->get_bool();
  return !value->is_number() || value->to_number<double>() != 0;
}

tl::unexpected<Error> unsupported(std::string_view file, std::string_view what) {
  return fail(Code::kUnimplemented,
              fmt::format("{}: {} cannot be loaded from safetensors; use a GGUF of this model",
                          file, what));
}

tl::unexpected<Error> broken(std::string_view file, std::string_view what) {
  return fail(Code::kInvalidArgument, fmt::format("{}: {}", file, what));
}

}  // namespace homelab::loader
