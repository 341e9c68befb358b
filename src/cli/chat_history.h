#pragma once
// The conversation of `run`, as the messages of an OpenAI request. Pure.
#include <string>

#include "base/json.h"
#include "command_line.h"

namespace homelab::cli {

/// Bounded: the oldest exchanges are forgotten when the conversation grows beyond `limit_bytes`;
/// the system message and the newest message stay.
class ChatHistory {
 public:
  explicit ChatHistory(std::string const& system,
                       std::size_t limit_bytes = std::size_t{256} * 1024);

  void user_says(std::string text) { add("user", std::move(text)); }
  void model_says(std::string text) { add("assistant", std::move(text)); }
  /// Takes back the last message of the user (its answer was not finished).
  void forget_last();
  /// Starts over; the system message stays.
  void clear();

  /// Body of POST /v1/chat/completions.
  [[nodiscard]] json::object request(std::string const& model,
                                     SamplingOptions const& sampling) const;

 private:
  void add(std::string_view role, std::string text);
  [[nodiscard]] std::size_t first_exchange() const { return has_system_ ? 1 : 0; }

  json::array messages_;
  bool has_system_;
  std::size_t limit_bytes_;
  std::size_t bytes_ = 0;
};

}  // namespace homelab::cli
