#include "embedded_files.h"

#include <cstddef>
#include <utility>

#include "base/hash.h"

namespace homelab::api {
namespace {

struct EmbeddedRange {
  const char* name;
  const char* begin;
  const char* end;
};

}  // namespace
}  // namespace homelab::api

// Symbols and kEmbedded[], written by homelab_embed() in cmake/embed.cmake.
namespace homelab::api::embedded {
using homelab::api::EmbeddedRange;
#include "homelab_api_embedded.inc"
}  // namespace homelab::api::embedded

namespace homelab::api {
namespace {

std::string_view type_of(std::string_view name) {
  static constexpr std::pair<std::string_view, std::string_view> kTypes[] = {
      {".html", "text/html; charset=utf-8"},
      {".js", "text/javascript; charset=utf-8"},
      {".css", "text/css; charset=utf-8"},
      {".svg", "image/svg+xml"}};
  for (auto const& [ending, type] : kTypes)
    if (name.ends_with(ending)) return type;
  return "application/octet-stream";
}

}  // namespace

std::optional<EmbeddedFile> embedded_file(std::string_view name) {
  for (EmbeddedRange const& range : embedded::kEmbedded) {
    if (name != range.name) continue;
    std::string_view const content(range.begin, static_cast<std::size_t>(range.end - range.begin));
    return EmbeddedFile{range.name, content, '"' + sha256_hex(content).substr(0, 32) + '"',
                        type_of(name)};
  }
  return std::nullopt;
}

}  // namespace homelab::api
