#pragma once
// What a progress bar says. Pure: numbers in, one line out; the time is passed in.
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

namespace homelab::cli {

/// Speed over the last seconds, so that it follows the network without jumping about.
class RateMeter {
 public:
  using Time = std::chrono::steady_clock::time_point;
  /// `bytes`: moved so far in all; must not become smaller (a smaller value starts over).
  void sample(Time now, std::uint64_t bytes);
  /// nullopt until half a second of samples is there.
  [[nodiscard]] std::optional<double> bytes_per_second() const;

 private:
  struct Sample {
    Time at;
    std::uint64_t bytes;
  };
  std::deque<Sample> samples_;
};

struct ProgressState {
  std::string label;              ///< "Downloading", "Starting engine"
  std::uint64_t total_bytes = 0;  ///< 0 = not known (yet)
  std::uint64_t done_bytes = 0;   ///< already there and downloaded
  std::size_t total_files = 0;    ///< 0 = not shown
  std::size_t finished_files = 0;
  std::optional<double> bytes_per_second;
};

/// "4 s", "2 min 05 s", "3 h 07 min", "2 d 4 h".
[[nodiscard]] std::string human_duration(std::chrono::seconds duration);

/// One line of at most `columns` columns: label, bar, percent, bytes, speed, time left. Parts that
/// do not fit are left out from the right; without a total there is no bar.
[[nodiscard]] std::string render_bar(ProgressState const& state, std::size_t columns);
/// The same as words, for logs: "Downloading: 45 % (60.3 MB of 134.0 MB), 12.1 MB/s, 6 s left, 2/4
/// files".
[[nodiscard]] std::string render_line(ProgressState const& state);

}  // namespace homelab::cli
