#include "engine/log_file.h"

#include <fcntl.h>

#include <span>

namespace homelab::engine {
namespace {

os::Path old_of(os::Path path) {
  path += ".old";
  return path;
}

std::string text_of(os::Path const& path) {
  auto text = os::read_file(path, 2 * LogFile::kLimitBytes);
  return text ? *std::move(text) : std::string();
}

}  // namespace

LogFile::~LogFile() {
  end();
  // A file that stays is found by the next start of a server.
  if (!file_) return;
  static_cast<void>(os::remove_file(path_));
  static_cast<void>(os::remove_file(old_of(path_)));
}

void LogFile::append(std::string_view text) {
  std::lock_guard const lock(mutex_);
  if (file_ && file_bytes_ + text.size() > kLimitBytes) {
    file_.reset();
    // The file is a convenience: where it cannot be turned over it is overwritten.
    static_cast<void>(os::rename_file(path_, old_of(path_)));
  }
  if (!file_) {
    if (auto opened = os::open_file(path_, O_WRONLY | O_CREAT | O_TRUNC, 0600)) {
      file_ = std::move(*opened);
      file_bytes_ = 0;
    }
  }
  if (file_ && os::write_all_at(file_.get(), std::as_bytes(std::span(text)), file_bytes_))
    file_bytes_ += text.size();
  std::erase_if(listeners_, [&](Listener const& listener) { return !listener(text, false); });
}

void LogFile::end() {
  std::lock_guard const lock(mutex_);
  if (std::exchange(ended_, true)) return;
  for (auto const& listener : listeners_) listener({}, true);
  listeners_.clear();
}

std::string LogFile::tail(std::size_t lines) const {
  std::lock_guard const lock(mutex_);
  return tail_now(lines);
}

std::string LogFile::tail_now(std::size_t lines) const {
  if (!file_ || lines == 0) return {};
  std::string text = text_of(old_of(path_)) + text_of(path_);
  // The end of the last line begins no line.
  std::size_t at = text.empty() ? 0 : text.size() - 1;
  for (std::size_t found = 0; at > 0; --at) {
    if (text[at - 1] == '\n' && ++found == lines) break;
  }
  return text.substr(at);
}

void LogFile::follow(std::size_t lines, Listener listener) {
  std::lock_guard const lock(mutex_);
  bool const more = listener(tail_now(lines), ended_);
  if (more && !ended_) listeners_.push_back(std::move(listener));
}

}  // namespace homelab::engine
