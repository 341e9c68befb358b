#pragma once
// What an engine process says: its last lines in memory, all of it (bounded) in a file for people.
#include <cstddef>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/os/events.h"
#include "base/os/file.h"

namespace homelab::engine {

/// Lines kept of a text that comes in pieces. Bounded in lines and in bytes per line; not
/// thread-safe.
class LineRing {
 public:
  explicit LineRing(std::size_t max_lines = 400, std::size_t max_line_bytes = 1000)
      : max_lines_(max_lines), max_line_bytes_(max_line_bytes) {}
  void append(std::string_view text);
  /// Complete lines and the unfinished last one, oldest first, without blank lines.
  [[nodiscard]] std::vector<std::string> lines() const;

 private:
  void end_line();
  std::size_t const max_lines_;
  std::size_t const max_line_bytes_;
  std::deque<std::string> lines_;
  std::string open_;
};

/// Why a process ended, from its log: the text of the last line that begins with "error:" (without
/// that word), else the last `max_lines` lines joined with " | ", those of llama.cpp's own everyday
/// remarks ("0.12.345 I slot ...") only when there are no others. Empty when it said nothing.
[[nodiscard]] std::string reason_in(std::vector<std::string> const& lines,
                                    std::size_t max_lines = 5);

/// Reads an engine's output pipe. Thread-safe.
class EngineLog {
 public:
  /// Keeps the text in `file` too: at most kFileLimitBytes, then it starts again and the old half
  /// becomes "<file>.old".
  static constexpr std::size_t kFileLimitBytes = 1 << 20;
  EngineLog(os::UniqueFd read_end, os::Path file);

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] os::Path const& file() const { return path_; }
  /// Takes in what is there. False at the end of the pipe: nothing will come any more.
  bool drain();
  [[nodiscard]] std::vector<std::string> lines();

 private:
  void write_to_file(std::string_view text);

  os::UniqueFd const fd_;
  os::Path const path_;
  std::mutex mutex_;
  LineRing ring_;      // guarded by mutex_
  os::UniqueFd file_;  // guarded by mutex_
  std::size_t file_bytes_ = 0;
};

}  // namespace homelab::engine
