#include "run_watch.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace homelab::engine {
namespace {

constexpr double kFirstClassMs = 0.05;
constexpr double kClassGrowth = 1.2;
constexpr double kMsPerSecond = 1000;
constexpr std::size_t kObjectLimitBytes = 4096;

std::size_t class_of(double ms, std::size_t classes) {
  if (ms <= kFirstClassMs) return 0;
  static double const growth = std::log(kClassGrowth);
  auto const index = static_cast<std::size_t>(std::ceil(std::log(ms / kFirstClassMs) / growth));
  return std::min(index, classes - 1);
}

/// The object behind `"name":`, the last one in `text`. A text inside JSON has its quotes escaped,
/// so what is found is a member.
std::optional<json::object> last_object(std::string_view text, std::string_view name) {
  std::string const key = "\"" + std::string(name) + "\":";
  for (auto at = text.rfind(key); at != std::string_view::npos;
       at = at == 0 ? std::string_view::npos : text.rfind(key, at - 1)) {
    auto const begin = text.find_first_not_of(' ', at + key.size());
    if (begin == std::string_view::npos || text[begin] != '{') continue;
    json::stream_parser parser;
    boost::system::error_code error;
    parser.write_some(text.data() + begin, std::min(text.size() - begin, kObjectLimitBytes), error);
    if (error || !parser.done()) continue;
    json::value value = parser.release();
    if (value.is_object()) return std::move(value.get_object());
  }
  return std::nullopt;
}

void set(std::optional<std::int64_t>& field, std::optional<std::int64_t> value) {
  if (value && *value >= 0) field = value;
}

std::optional<double> per_second(std::optional<std::int64_t> count, std::optional<double> ms) {
  if (!count || !ms || *count <= 0 || *ms <= 0) return std::nullopt;
  return static_cast<double>(*count) * kMsPerSecond / *ms;
}

}  // namespace

void take_timings(json::object const& timings, EngineReport& report) {
  auto const computed = get_int(timings, "prompt_n");
  auto const cached = get_int(timings, "cache_n");
  set(report.cached_tokens, cached);
  if (computed) set(report.input_tokens, *computed + cached.value_or(0));
  set(report.output_tokens, get_int(timings, "predicted_n"));
  report.prefill_ms = get_double(timings, "prompt_ms");
  report.decode_ms = get_double(timings, "predicted_ms");
  // One token of a prompt that is cached says nothing about the speed of reading.
  if (computed.value_or(0) > 1)
    report.prefill_tokens_per_second = per_second(computed, report.prefill_ms);
  // The first token comes out of the prompt's last batch: the time is that of the others.
  auto const predicted = get_int(timings, "predicted_n");
  if (predicted.value_or(0) > 1)
    report.decode_tokens_per_second = per_second(*predicted - 1, report.decode_ms);
}

void take_usage(json::object const& usage, EngineReport& report) {
  set(report.output_tokens, get_int(usage, "completion_tokens"));
  set(report.input_tokens, get_int(usage, "prompt_tokens"));
  if (auto const* details = get_object(usage, "prompt_tokens_details"))
    set(report.cached_tokens, get_int(*details, "cached_tokens"));
  set(report.output_tokens, get_int(usage, "output_tokens"));
  if (auto const* details = get_object(usage, "input_tokens_details"))
    set(report.cached_tokens, get_int(*details, "cached_tokens"));
  auto const input = get_int(usage, "input_tokens");
  auto const cached = get_int(usage, "cache_read_input_tokens");
  set(report.cached_tokens, cached);
  if (input) set(report.input_tokens, *input + cached.value_or(0));
}

void Gaps::add(double ms) {
  ++counts_[class_of(ms, kClasses)];
  ++count_;
  sum_ += ms;
  max_ = std::max(max_, ms);
}

std::optional<double> Gaps::mean() const {
  if (count_ == 0) return std::nullopt;
  return sum_ / static_cast<double>(count_);
}

std::optional<double> Gaps::max() const {
  return count_ == 0 ? std::nullopt : std::optional<double>(max_);
}

std::optional<double> Gaps::quantile(double q) const {
  if (count_ == 0) return std::nullopt;
  auto const rank = static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(count_)));
  std::uint64_t seen = 0;
  std::size_t index = 0;
  for (; index + 1 < kClasses; ++index) {
    seen += counts_[index];
    if (seen >= rank) break;
  }
  double const upper = kFirstClassMs * std::pow(kClassGrowth, static_cast<double>(index));
  double const middle = upper * 2 / (1 + kClassGrowth);  // ends of the class: 9 % to both sides
  return std::min(middle, max_);
}

void PieceClock::piece(Clock::time_point now) {
  using Ms = std::chrono::duration<double, std::milli>;
  if (first_ms_) {
    gaps_.add(Ms(now - last_).count());
  } else {
    first_ms_ = Ms(now - begun_).count();
  }
  last_ = now;
}

void AnswerEnds::add(std::string_view bytes) {
  auto const room = kHeadBytes - std::min(head_.size(), kHeadBytes);
  auto const first = std::min(room, bytes.size());
  head_ += bytes.substr(0, first);
  bytes.remove_prefix(first);
  if (bytes.size() >= kTailBytes) {
    tail_ = bytes.substr(bytes.size() - kTailBytes);
    return;
  }
  tail_ += bytes;
  if (tail_.size() > 2 * kTailBytes) tail_.erase(0, tail_.size() - kTailBytes);
}

EngineReport AnswerEnds::report() const {
  EngineReport report;
  // The beginning may run over into the rest without a gap.
  std::string const begin = head_ + tail_.substr(0, kObjectLimitBytes);
  for (std::string_view const part : {std::string_view(begin), std::string_view(tail_)})
    if (auto const usage = last_object(part, "usage")) take_usage(*usage, report);
  // The timings know more, but not about the cache of every dialect.
  for (std::string_view const part : {std::string_view(begin), std::string_view(tail_)})
    if (auto const timings = last_object(part, "timings")) take_timings(*timings, report);
  return report;
}

std::optional<std::string> AnswerEnds::error() const {
  for (std::string_view const part : {std::string_view(tail_), std::string_view(head_)}) {
    if (auto const error = last_object(part, "error"))
      return get_string(*error, "message").value_or("the engine reported an error");
  }
  return std::nullopt;
}

bool has_event_data(std::string_view bytes) {
  return bytes.starts_with("data:") || bytes.find("\ndata:") != std::string_view::npos;
}

}  // namespace homelab::engine
