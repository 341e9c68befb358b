#pragma once
// Which of the loaded models may work right now: the threads of all engines are one budget, because
// engines that share a core slow each other down far more than by half (their threads spin).
// Pure: no process, no thread, no clock.
//
// Tasks of one model work side by side, up to the engine's own slots. While another model waits,
// the working one may take further tasks for `max_wait`; then it is let run dry, and the other one
// has its turn.
#include <chrono>
#include <cstddef>
#include <deque>
#include <map>
#include <string>
#include <vector>

namespace homelab::engine {

/// Names one task.
using Ticket = std::uint64_t;
using Time = std::chrono::steady_clock::time_point;

class Turns {
 public:
  /// `budget`: threads of all engines that work at the same time.
  Turns(unsigned budget, std::chrono::milliseconds max_wait)
      : budget_(budget), max_wait_(max_wait) {}

  /// A task for a model whose engine works with `threads` (0: it works elsewhere, on a GPU).
  /// Gives the tasks that begin now: this one, or nobody.
  [[nodiscard]] std::vector<Ticket> enter(Ticket ticket, std::string const& model, unsigned threads,
                                          Time now);
  /// A task that worked or waited is over. Gives the tasks that begin now.
  [[nodiscard]] std::vector<Ticket> leave(Ticket ticket, Time now);
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }

 private:
  struct Waiting {
    Ticket ticket = 0;
    std::string model;
    unsigned threads = 0;
    Time since;
  };
  struct Working {
    std::size_t tasks = 0;
    unsigned threads = 0;
  };
  [[nodiscard]] bool fits(Waiting const& task) const;
  [[nodiscard]] std::vector<Ticket> begin_what_may(Time now);

  unsigned const budget_;
  std::chrono::milliseconds const max_wait_;
  std::deque<Waiting> waiting_;  // in the order of arrival
  std::map<std::string, Working> working_;
  std::map<Ticket, std::string> model_of_;  // of the tasks that work
};

}  // namespace homelab::engine
