#pragma once
// Progress on stderr: a bar that is redrawn on a terminal, plain lines otherwise.
#include <chrono>
#include <mutex>
#include <string>

#include "progress_bar.h"

namespace homelab::cli {

/// Thread-safe.
class ProgressPrinter {
 public:
  explicit ProgressPrinter(bool terminal) : terminal_(terminal) {}
  ~ProgressPrinter() { finish(); }
  ProgressPrinter(ProgressPrinter const&) = delete;
  ProgressPrinter& operator=(ProgressPrinter const&) = delete;

  /// Shows the newest state: at most ten times a second on a terminal, else one line every two
  /// seconds; a new label is shown at once. The speed is computed here from `moved_bytes`, what
  /// came over the network so far.
  void show(ProgressState state, std::uint64_t moved_bytes);
  /// Removes the bar, so that the answer starts on a clean line.
  void finish();

 private:
  using Time = std::chrono::steady_clock::time_point;

  bool const terminal_;
  std::mutex mutex_;
  RateMeter rate_;
  std::string label_;
  Time shown_at_{};
  bool bar_on_screen_ = false;
};

}  // namespace homelab::cli
