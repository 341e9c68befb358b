#pragma once
// What an engine process says: its last lines in memory, all of it (bounded) in a file for people.
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/os/events.h"
#include "base/os/file.h"
#include "engine/log_file.h"
#include "engine/sandbox_report.h"

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
  /// The first line that began with kSandboxMark, however long ago; empty if none did.
  [[nodiscard]] std::string const& sandbox_line() const { return sandbox_line_; }

 private:
  void end_line();
  std::size_t const max_lines_;
  std::size_t const max_line_bytes_;
  std::deque<std::string> lines_;
  std::string open_;
  std::string sandbox_line_;
};

/// Why a process ended, from its log: the text of the last line that begins with "error:" (without
/// that word), else the last `max_lines` lines joined with " | ", those of llama.cpp's own everyday
/// remarks ("0.12.345 I slot ...") only when there are no others. Empty when it said nothing.
[[nodiscard]] std::string reason_in(std::vector<std::string> const& lines,
                                    std::size_t max_lines = 5);

/// Reads an engine's output pipe. Thread-safe.
class EngineLog {
 public:
  /// Keeps the text in a LogFile at `file`, too.
  EngineLog(os::UniqueFd read_end, os::Path file);
  EngineLog(EngineLog const&) = delete;
  EngineLog& operator=(EngineLog const&) = delete;
  /// Takes in what is left; nothing comes any more.
  ~EngineLog();

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] std::shared_ptr<LogFile> const& file() const { return file_; }
  /// Takes in what is there. False at the end of the pipe: nothing will come any more.
  bool drain();
  [[nodiscard]] std::vector<std::string> lines();
  /// What the process said about its sandbox; none if it said nothing.
  [[nodiscard]] std::optional<SandboxReport> sandbox();

 private:
  os::UniqueFd const fd_;
  std::shared_ptr<LogFile> const file_;
  std::mutex mutex_;
  LineRing ring_;  // guarded by mutex_
};

}  // namespace homelab::engine
