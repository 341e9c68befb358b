#pragma once
// Ctrl-C and SIGTERM as a question that long work asks now and then.
#include <memory>

namespace homelab::cli {

/// While one lives, SIGINT and SIGTERM only raise a flag; the old handling comes back afterwards. A
/// blocking read of the keyboard is interrupted. Made and destroyed on the main thread; may nest.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(StopSignal const&) = delete;
  StopSignal& operator=(StopSignal const&) = delete;

  /// Thread-safe.
  [[nodiscard]] static bool raised();
  /// Forgets a signal that was dealt with (a chat goes on after an answer was cut short).
  static void clear();

 private:
  struct Saved;
  std::unique_ptr<Saved> saved_;
};

}  // namespace homelab::cli
