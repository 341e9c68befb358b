#pragma once
// One generation: tokenize, stream the completion, tell the caller, log the run.
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/json.h"
#include "engine_task.h"
#include "http/sse_parser.h"
#include "registry/model.h"

namespace homelab::engine {

class Generation : public EngineTask {
 public:
  /// `log_row` may be empty: then nothing is recorded. It is called before on_done, so that who has
  /// heard the end can find the row.
  using LogRow = engine::LogRow;
  Generation(http::IoLoops& loops, std::shared_ptr<TaskHost> host, GenerateRequest request,
             GenerateCallbacks callbacks, LogRow log_row);

 protected:
  void begin() override;
  void deliver(std::optional<Error> error) override;

 private:
  using Clock = std::chrono::steady_clock;

  void on_tokenized(Status const& status);
  void complete(json::array tokens);
  void stream(http::LocalRequest request);
  void on_head(int status);
  void on_external_event(std::string_view data);
  void on_completion_data(std::string_view bytes);
  void on_event(std::string_view data);
  void on_completed(Status const& status);
  void take_text(std::string_view text);
  [[nodiscard]] double elapsed_ms() const;

  GenerateRequest const request_;
  GenerateCallbacks callbacks_;
  LogRow const log_row_;
  Clock::time_point started_at_ = Clock::now();  ///< then: when the engine was asked
  int status_ = 0;                               ///< HTTP status of the running exchange
  std::string body_;                             ///< of /tokenize, or of an error answer
  http::SseParser events_;
  std::optional<Error> error_;  ///< what went wrong inside the stream
  bool complete_ = false;       ///< the last event has come
  bool over_ = false;           ///< an external engine has said why it stopped
  GenerateStats stats_;
  PieceClock pieces_;
  EngineReport report_;
  std::string text_;
};

}  // namespace homelab::engine
