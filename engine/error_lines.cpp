#include "error_lines.h"

#include <array>
#include <string_view>

#include "base/strings.h"

namespace homelab::engine_process {
namespace {

constexpr std::size_t kMaxKeptBytes = 16'384;
constexpr std::array<std::string_view, 2> kMarkers = {"error loading model: ",
                                                      "failed to initialize the context: "};

}  // namespace

ErrorLines::ErrorLines() {
  llama_log_get(&previous_, &previous_data_);
  llama_log_set(&ErrorLines::listen, this);
}

ErrorLines::~ErrorLines() { llama_log_set(previous_, previous_data_); }

std::string ErrorLines::reason() const {
  std::lock_guard const lock(mutex_);
  std::string_view first;
  for (auto const line : split(text_, '\n')) {
    for (auto const marker : kMarkers) {
      if (auto const at = line.find(marker); at != std::string_view::npos)
        return std::string(trim(line.substr(at + marker.size())));
    }
    if (first.empty()) first = trim(line);
  }
  return std::string(first);
}

void ErrorLines::listen(ggml_log_level level, char const* text, void* self) {
  auto* const lines = static_cast<ErrorLines*>(self);
  if (level == GGML_LOG_LEVEL_ERROR) {
    std::lock_guard const lock(lines->mutex_);
    if (lines->text_.size() < kMaxKeptBytes) lines->text_ += text;
  }
  if (lines->previous_ != nullptr) lines->previous_(level, text, lines->previous_data_);
}

}  // namespace homelab::engine_process
