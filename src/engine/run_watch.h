#pragma once
// What is measured of one run while its answer passes, and what the engine says of it at the end.
// Pure: the clock is the caller's. Memory is bounded, whatever the answer's length.
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"

namespace homelab::engine {

/// The engine's own count: "timings" and "usage" of its last event or its body.
struct EngineReport {
  std::optional<std::int64_t> input_tokens;   ///< the whole prompt
  std::optional<std::int64_t> cached_tokens;  ///< of it, that were not computed again
  std::optional<std::int64_t> output_tokens;
  std::optional<double> prefill_ms;  ///< of the prompt's other tokens
  std::optional<double> decode_ms;   ///< of all output tokens but the first
  std::optional<double> prefill_tokens_per_second;
  std::optional<double> decode_tokens_per_second;
};

/// llama-server's "timings": prompt_n, prompt_ms, predicted_n, predicted_ms, cache_n.
void take_timings(json::object const& timings, EngineReport& report);
/// "usage" in the words of OpenAI, of its newer form, and of Anthropic.
void take_usage(json::object const& usage, EngineReport& report);

/// Times between the pieces of an answer.
class Gaps {
 public:
  void add(double ms);
  [[nodiscard]] std::optional<double> mean() const;
  [[nodiscard]] std::optional<double> max() const;
  /// The value below which the part `q` of them lies, right within 10 %.
  [[nodiscard]] std::optional<double> quantile(double q) const;

 private:
  static constexpr std::size_t kClasses = 96;
  std::array<std::uint32_t, kClasses> counts_{};
  std::uint64_t count_ = 0;
  double sum_ = 0;
  double max_ = 0;
};

/// Time to the first piece and between the pieces.
class PieceClock {
 public:
  using Clock = std::chrono::steady_clock;
  void begin(Clock::time_point now) { begun_ = now; }
  /// A piece with content came.
  void piece(Clock::time_point now);
  /// Since begin(); none while no piece came.
  [[nodiscard]] std::optional<double> first_ms() const { return first_ms_; }
  [[nodiscard]] Gaps const& gaps() const { return gaps_; }

 private:
  Clock::time_point begun_{};
  Clock::time_point last_{};
  std::optional<double> first_ms_;
  Gaps gaps_;
};

/// Begin and end of an answer that passes: what the engine says of its work is in one of them.
class AnswerEnds {
 public:
  void add(std::string_view bytes);
  [[nodiscard]] EngineReport report() const;
  /// The message of an {"error": ...} of the engine; nullopt: there is none.
  [[nodiscard]] std::optional<std::string> error() const;

 private:
  static constexpr std::size_t kHeadBytes = 4096;
  static constexpr std::size_t kTailBytes = 16384;
  std::string head_;
  std::string tail_;  ///< up to twice kTailBytes
};

/// True when bytes of an event stream hold something for the client: no comment alone.
[[nodiscard]] bool has_event_data(std::string_view bytes);

}  // namespace homelab::engine
