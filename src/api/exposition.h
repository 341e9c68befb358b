#pragma once
// The text format of Prometheus, version 0.0.4. Pure.
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace homelab::api {

using Labels = std::vector<std::pair<std::string, std::string>>;

/// Counts of values up to a few bounds.
class Histogram {
 public:
  explicit Histogram(std::span<double const> bounds);
  void add(double value);
  [[nodiscard]] std::span<double const> bounds() const { return bounds_; }
  /// How many values are at most the bound; behind the last one all of them.
  [[nodiscard]] std::vector<std::uint64_t> up_to() const;
  [[nodiscard]] double sum() const { return sum_; }

 private:
  std::span<double const> bounds_;  ///< static, ascending
  std::vector<std::uint64_t> counts_;
  double sum_ = 0;
};

/// Writes one metric after the other: first its name, then its samples.
class Exposition {
 public:
  /// `type`: "counter", "gauge", "histogram".
  void metric(std::string_view name, std::string_view type, std::string_view help);
  void sample(Labels const& labels, double value);
  void histogram(Labels const& labels, Histogram const& histogram);
  [[nodiscard]] std::string take() && { return std::move(text_); }

 private:
  void line(std::string_view suffix, Labels const& labels, std::string_view last_label,
            double value);
  std::string name_;
  std::string text_;
};

}  // namespace homelab::api
