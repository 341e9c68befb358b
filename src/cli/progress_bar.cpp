#include "progress_bar.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/strings.h"
#include "table.h"

namespace homelab::cli {
namespace {

constexpr std::chrono::seconds kWindow{5};
constexpr std::size_t kMaxSamples = 128;
constexpr std::size_t kMaxBar = 32;
constexpr std::size_t kMinBar = 8;

std::optional<std::string> speed(ProgressState const& state) {
  if (!state.bytes_per_second) return std::nullopt;
  return human_bytes(static_cast<std::uint64_t>(*state.bytes_per_second)) + "/s";
}

std::optional<std::string> time_left(ProgressState const& state) {
  if (!state.bytes_per_second || *state.bytes_per_second < 1.0) return std::nullopt;
  if (state.total_bytes <= state.done_bytes) return std::nullopt;
  double const seconds =
      static_cast<double>(state.total_bytes - state.done_bytes) / *state.bytes_per_second;
  constexpr double kLongest = 99.0 * 86400;
  if (seconds > kLongest) return std::nullopt;
  return human_duration(std::chrono::seconds(static_cast<std::int64_t>(seconds + 0.999))) + " left";
}

std::optional<std::string> files(ProgressState const& state) {
  if (state.total_files < 2) return std::nullopt;
  return fmt::format("{}/{} files", state.finished_files, state.total_files);
}

double fraction(ProgressState const& state) {
  return std::min(1.0,
                  static_cast<double>(state.done_bytes) / static_cast<double>(state.total_bytes));
}

/// Rounded down, so that "100 %" means complete.
int percent(ProgressState const& state) { return static_cast<int>(fraction(state) * 100.0); }

/// A long name must not push the numbers off the line.
std::string short_label(std::string const& label, std::size_t columns) {
  std::size_t const room = std::max<std::size_t>(columns / 3, 24);
  if (display_width(label) <= room) return label;
  return std::string(clip(label, room - 1)) + "…";
}

std::string draw(double share, std::size_t width) {
  auto const filled = static_cast<std::size_t>(share * static_cast<double>(width));
  return "[" + std::string(filled, '#') + std::string(width - filled, '.') + "]";
}

}  // namespace

void RateMeter::sample(Time now, std::uint64_t bytes) {
  if (!samples_.empty() && bytes < samples_.back().bytes) samples_.clear();
  samples_.push_back({now, bytes});
  while (samples_.size() > 2 && (now - samples_[1].at >= kWindow || samples_.size() > kMaxSamples))
    samples_.pop_front();
}

std::optional<double> RateMeter::bytes_per_second() const {
  if (samples_.size() < 2) return std::nullopt;
  std::chrono::duration<double> const span = samples_.back().at - samples_.front().at;
  if (span < std::chrono::milliseconds(500)) return std::nullopt;
  return static_cast<double>(samples_.back().bytes - samples_.front().bytes) / span.count();
}

std::string human_duration(std::chrono::seconds duration) {
  auto const total = duration.count();
  if (total < 60) return fmt::format("{} s", total);
  if (total < 3600) return fmt::format("{} min {:02} s", total / 60, total % 60);
  if (total < 86400) return fmt::format("{} h {:02} min", total / 3600, total % 3600 / 60);
  return fmt::format("{} d {} h", total / 86400, total % 86400 / 3600);
}

std::string render_bar(ProgressState const& state, std::size_t columns) {
  std::string line = short_label(state.label, columns);
  if (state.total_bytes == 0) {
    if (state.done_bytes > 0) line += "  " + human_bytes(state.done_bytes);
    return std::string(clip(line, columns));
  }
  // Text that must be there first; what is left of the width goes to the bar, then to the extras in
  // their order.
  std::string const share = fmt::format("{:3} %", percent(state));
  std::size_t const fixed = display_width(line) + 2 + share.size();
  std::vector<std::optional<std::string>> const extras{
      fmt::format("{} of {}", human_bytes(state.done_bytes), human_bytes(state.total_bytes)),
      speed(state), time_left(state), files(state)};
  std::string tail;
  for (auto const& extra : extras)
    if (extra && fixed + 4 + kMinBar + tail.size() + 2 + extra->size() <= columns)
      tail += "  " + *extra;
  if (columns >= fixed + 4 + kMinBar + tail.size()) {
    std::size_t const bar = std::min(kMaxBar, columns - fixed - 4 - tail.size());
    line += "  " + draw(fraction(state), bar);
  }
  line += "  " + share + tail;
  return std::string(clip(line, columns));
}

std::string render_line(ProgressState const& state) {
  std::vector<std::string> parts;
  if (state.total_bytes > 0)
    parts.push_back(fmt::format("{} % ({} of {})", percent(state), human_bytes(state.done_bytes),
                                human_bytes(state.total_bytes)));
  else if (state.done_bytes > 0)
    parts.push_back(human_bytes(state.done_bytes));
  for (auto const& extra : {speed(state), time_left(state), files(state)})
    if (extra) parts.push_back(*extra);
  if (parts.empty()) return state.label;
  return fmt::format("{}: {}", state.label, fmt::join(parts, ", "));
}

}  // namespace homelab::cli
