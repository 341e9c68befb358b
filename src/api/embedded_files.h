#pragma once
// The files of the web page, built into the program.
#include <optional>
#include <string>
#include <string_view>

namespace homelab::api {

struct EmbeddedFile {
  std::string_view name;     ///< "app.js"
  std::string_view content;  ///< lives as long as the program
  std::string etag;          ///< quoted, made from the content
  std::string_view content_type;
};

/// By file name; nullopt when no such file was built in.
[[nodiscard]] std::optional<EmbeddedFile> embedded_file(std::string_view name);

}  // namespace homelab::api
