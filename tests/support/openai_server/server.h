#pragma once
// A small server with OpenAI's API whose faults can be chosen.
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "http/server.h"

namespace homelab::test {

/// /health, /v1/models, /v1/completions (streamed: the words of `answer`), /v1/chat/completions
/// (answers with the body it got). A prompt with "wait" is answered with one word and no end.
class OpenAiServer {
 public:
  struct Behaviour {
    std::vector<std::string> models = {"remote-model"};
    std::string answer = "one two three";
    std::string key = {};   ///< asked for when it is not empty
    bool usage = true;      ///< the last event counts tokens
    bool done_mark = true;  ///< the stream ends with [DONE]
    bool has_list = true;   ///< GET /v1/models exists
    int health = 200;       ///< status of GET /health
    int ill_after = 0;      ///< answers of /health after which it says 500; 0 = never
    int completion_status = 200;
  };
  /// `port` 0 = any free one.
  OpenAiServer(Behaviour behaviour, int port);
  ~OpenAiServer();

  [[nodiscard]] int port() const { return server_->port(); }
  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port()); }
  void set_health(int status) { health_ = status; }
  /// Breaks the connections of answers without end.
  void break_open_answers();
  /// Bodies of the POSTs so far.
  [[nodiscard]] std::vector<std::string> bodies() const;
  [[nodiscard]] int health_checks() const { return health_checks_; }
  /// Clients that left before the end of an answer.
  [[nodiscard]] int clients_gone() const { return clients_gone_; }

 private:
  [[nodiscard]] http::Router router();
  [[nodiscard]] bool is_allowed(http::Request const& request) const;
  [[nodiscard]] http::Reply list_models(http::Request const& request);
  [[nodiscard]] http::Reply complete(http::Request const& request);
  void stream(std::shared_ptr<http::StreamChannel> const& channel, std::string const& prompt);
  void remember(std::string const& body);

  Behaviour const behaviour_;
  http::IoLoops loops_{1};
  std::atomic<int> health_;
  std::atomic<int> health_checks_{0};
  std::atomic<int> clients_gone_{0};
  mutable std::mutex mutex_;
  std::vector<std::string> bodies_;
  std::vector<std::shared_ptr<http::StreamChannel>> open_;  // of prompts with "wait"
  std::unique_ptr<http::Server> server_;
};

}  // namespace homelab::test
