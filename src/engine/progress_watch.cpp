#include "progress_watch.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

namespace homelab::engine {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

/// Of the patience: an engine that only looks at its clock now and then uses less, one that works
/// uses more.
constexpr std::uint64_t kLeastCpuPart = 500;
constexpr std::uint64_t kLeastCpuMs = 20;  // the kernel counts in steps of 10 ms
constexpr std::uint64_t kLeastResidentBytes = 256UL * 1024;
constexpr std::size_t kShownThreads = 16;

std::string first_line(fs::path const& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

/// The fields of a stat file behind the name, which may hold anything: the state is the first.
std::optional<std::array<std::uint64_t, 21>> stat_numbers(fs::path const& file, char& state) {
  std::string const line = first_line(file);
  auto const name_end = line.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream in(line.substr(name_end + 1));
  in >> state;
  std::array<std::uint64_t, 21> numbers{};
  // Some of those in between may be negative.
  for (auto& number : numbers) {
    std::int64_t value = 0;
    in >> value;
    number = value < 0 ? 0 : static_cast<std::uint64_t>(value);
  }
  return in ? std::optional(numbers) : std::nullopt;
}

// Of proc_pid_stat(5), counted from the field behind the state.
constexpr std::size_t kMajorFaults = 8;
constexpr std::size_t kUserTicks = 10;
constexpr std::size_t kSystemTicks = 11;
constexpr std::size_t kResidentPages = 20;

bool any_thread_busy(fs::path const& tasks) {
  std::error_code error;
  for (fs::directory_iterator entry(tasks, error), end; !error && entry != end;
       entry.increment(error)) {
    char state = 0;
    if (stat_numbers(entry->path() / "stat", state) && (state == 'R' || state == 'D')) return true;
  }
  return false;
}

}  // namespace

std::optional<WorkSample> read_work(int pid, std::string const& proc) {
  fs::path const folder = fs::path(proc) / std::to_string(pid);
  char state = 0;
  auto const numbers = stat_numbers(folder / "stat", state);
  if (!numbers) return std::nullopt;
  static auto const ticks_per_s = static_cast<std::uint64_t>(std::max(1L, ::sysconf(_SC_CLK_TCK)));
  static auto const page_bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  WorkSample sample;
  sample.cpu_ms = ((*numbers)[kUserTicks] + (*numbers)[kSystemTicks]) * 1000 / ticks_per_s;
  sample.major_faults = (*numbers)[kMajorFaults];
  sample.resident_bytes = (*numbers)[kResidentPages] * page_bytes;
  sample.busy_thread = any_thread_busy(folder / "task");
  return sample;
}

std::string describe_threads(int pid, std::string const& proc) {
  std::string out;
  std::size_t count = 0;
  std::error_code error;
  for (fs::directory_iterator entry(fs::path(proc) / std::to_string(pid) / "task", error), end;
       !error && entry != end && count < kShownThreads; entry.increment(error), ++count) {
    char state = '?';
    static_cast<void>(stat_numbers(entry->path() / "stat", state));
    std::string const where = first_line(entry->path() / "wchan");
    out += fmt::format("{}{} {}{}", out.empty() ? "" : "; ", first_line(entry->path() / "comm"),
                       state, where.empty() || where == "0" ? "" : " in " + where);
  }
  return out;
}

bool ProgressWatch::progressed(WorkSample const& sample) const {
  auto const least_cpu =
      std::max(kLeastCpuMs, static_cast<std::uint64_t>(patience_.count()) / kLeastCpuPart);
  auto const moved = std::max(sample.resident_bytes, mark_->resident_bytes) -
                     std::min(sample.resident_bytes, mark_->resident_bytes);
  return sample.busy_thread || sample.heard != mark_->heard ||
         sample.major_faults != mark_->major_faults || sample.cpu_ms >= mark_->cpu_ms + least_cpu ||
         moved >= kLeastResidentBytes;
}

bool ProgressWatch::hangs(WorkSample const& sample, bool has_work, Time now) {
  if (!mark_ || !has_work || progressed(sample)) {
    mark_ = sample;
    since_ = now;
    return false;
  }
  return now - since_ >= patience_;
}

}  // namespace homelab::engine
