#pragma once
// What we say in a stream of events besides the engine's own: that we are alive, that it failed.
// Rules: a comment (HTML standard, §9.2.6) for OpenAI's clients; Anthropic's streams have an event
// for each of the two.
#include <string>
#include <string_view>

#include "base/json.h"

namespace homelab::api {

/// A comment; every reader of event streams skips it.
inline constexpr std::string_view kPingComment = ": ping\n\n";

class StreamWords {
 public:
  /// `target`: the path of the request.
  explicit StreamWords(std::string_view target);

  /// False: requests of this path have no stream.
  [[nodiscard]] bool streams() const { return streams_; }
  [[nodiscard]] std::string ping() const;
  /// `problem`: {"error": {"message", ...}} as OpenAI's clients get it; `status`: the one it would
  /// have had as an answer.
  [[nodiscard]] std::string failure(int status, json::object const& problem) const;

 private:
  bool streams_ = false;
  bool anthropic_ = false;
};

}  // namespace homelab::api
