#pragma once
// Does an engine get on, or does it hang? Judged by what it did, not by the time alone
// (docs/decisions/0018).
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace homelab::engine {

/// What an engine has done so far, and what it is doing.
struct WorkSample {
  std::uint64_t heard = 0;         ///< pieces of answers that came from it
  std::uint64_t cpu_ms = 0;        ///< processor time of all its threads
  std::uint64_t major_faults = 0;  ///< pages it had to wait for until the disk gave them
  std::uint64_t resident_bytes = 0;
  bool busy_thread = false;  ///< one of its threads computes, wants to, or waits for the disk
};

/// From /proc/PID (`proc` stands for "/proc" in tests); nullopt when the process is gone. `heard`
/// is left to the caller.
[[nodiscard]] std::optional<WorkSample> read_work(int pid, std::string const& proc = "/proc");

/// "main: S futex_do_wait; ..." of every thread, as far as the kernel tells.
[[nodiscard]] std::string describe_threads(int pid, std::string const& proc = "/proc");

/// Pure; one thread.
class ProgressWatch {
 public:
  using Time = std::chrono::steady_clock::time_point;
  /// `patience`: how long an engine with work may do nothing.
  explicit ProgressWatch(std::chrono::milliseconds patience) : patience_(patience) {}

  /// Takes in what it did until `now`. True when it has work (`has_work`) and has done nothing of
  /// it for all the patience. Samples should come several times within the patience.
  [[nodiscard]] bool hangs(WorkSample const& sample, bool has_work, Time now);

 private:
  [[nodiscard]] bool progressed(WorkSample const& sample) const;

  std::chrono::milliseconds const patience_;
  std::optional<WorkSample> mark_;  ///< at the last progress
  Time since_;                      ///< of the mark
};

}  // namespace homelab::engine
