#include "progress_printer.h"

#include <cstdio>

#include "output.h"
#include "table.h"

namespace homelab::cli {
namespace {

constexpr std::chrono::milliseconds kRedraw{100};
constexpr std::chrono::seconds kLineEvery{2};

void print(std::string const& text) {
  // Progress that cannot be shown is no reason to stop the work.
  (void)std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

}  // namespace

void ProgressPrinter::show(ProgressState state, std::uint64_t moved_bytes) {
  std::lock_guard const lock(mutex_);
  auto const now = std::chrono::steady_clock::now();
  state.label = printable(state.label);
  bool const new_label = state.label != label_;
  if (new_label) {
    label_ = state.label;
    rate_ = {};
  }
  rate_.sample(now, moved_bytes);
  auto const pause = terminal_ ? std::chrono::steady_clock::duration(kRedraw) : kLineEvery;
  if (!new_label && now - shown_at_ < pause) return;
  // A step that moves no bytes has nothing new to say on another line.
  if (!terminal_ && !new_label && state.total_bytes == 0 && state.done_bytes == 0) return;
  shown_at_ = now;
  state.bytes_per_second = rate_.bytes_per_second();
  if (!terminal_) {
    print(render_line(state) + "\n");
    return;
  }
  print("\r\x1b[K" + render_bar(state, terminal_columns() - 1));
  bar_on_screen_ = true;
}

void ProgressPrinter::finish() {
  std::lock_guard const lock(mutex_);
  if (bar_on_screen_) print("\r\x1b[K");
  bar_on_screen_ = false;
}

}  // namespace homelab::cli
