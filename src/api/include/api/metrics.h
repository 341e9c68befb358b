#pragma once
// What GET /metrics counts since the server's start (docs/decisions/0020). Thread-safe; nothing in
// here blocks but a short lock. Must outlive those who tell.
#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "registry/model.h"

namespace homelab::api {

class Exposition;

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(Metrics const&) = delete;
  Metrics& operator=(Metrics const&) = delete;

  /// A run ended on an engine. Of more than 100 models the later ones count as "other".
  void run_ended(std::string const& model, registry::PerformanceRow const& row);
  /// The head of an answer was made. `route`: the pattern, "" for none.
  void answered(std::string_view method, std::string_view route, int status,
                std::chrono::steady_clock::duration took);

  /// Adds what was counted.
  void write(Exposition& out) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace homelab::api
