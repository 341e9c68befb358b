#pragma once
// What one engine process wrote, kept for people: a file of bounded size and the one before it.
#include <cstddef>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/os/file.h"

namespace homelab::engine {

/// Thread-safe. Its two files go with it; it outlives its engine, so that the log of one that died
/// can be read.
class LogFile {
 public:
  /// At this size the file becomes "<file>.old", in the place of an older one, and starts again.
  static constexpr std::size_t kLimitBytes = 1 << 20;
  explicit LogFile(os::Path file) : path_(std::move(file)) {}
  LogFile(LogFile const&) = delete;
  LogFile& operator=(LogFile const&) = delete;
  ~LogFile();

  [[nodiscard]] os::Path const& path() const { return path_; }
  void append(std::string_view text);
  /// Nothing will come any more.
  void end();

  /// The last `lines` lines; empty when nothing was written.
  [[nodiscard]] std::string tail(std::size_t lines) const;

  /// Gets pieces of text in order, and `ended` once, with the last one (which may be empty). False
  /// = it wants no more. Must not block, nor call this object.
  using Listener = std::function<bool(std::string_view text, bool ended)>;
  /// The last `lines` lines at once, and then all that comes.
  void follow(std::size_t lines, Listener listener);

 private:
  [[nodiscard]] std::string tail_now(std::size_t lines) const;

  os::Path const path_;
  mutable std::mutex mutex_;
  os::UniqueFd file_;  // guarded by mutex_, as the rest
  std::size_t file_bytes_ = 0;
  bool ended_ = false;
  std::vector<Listener> listeners_;
};

}  // namespace homelab::engine
