#pragma once
// A distribution in little space: counts in classes whose width grows with the value, so that every
// percentile is right within 1 % of its value. Two sketches add up to that of all their values.
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace homelab::registry {

class Sketch {
 public:
  static constexpr double kAccuracy = 0.01;

  /// Values that are not finite are left out; those outside 0.001 to 10^9 count as the nearer end.
  void add(double value);
  [[nodiscard]] std::uint64_t count() const { return count_; }
  /// The value below which the part `q` (0 to 1) of all values lies; nullopt when there are none.
  [[nodiscard]] std::optional<double> quantile(double q) const;

  /// A few bytes for each class that has values.
  [[nodiscard]] std::string encoded() const;
  /// Adds the values of a sketch that encoded() wrote. False when the text is none; what could be
  /// read is in.
  bool add_encoded(std::string_view text);

 private:
  void add_class(std::size_t index, std::uint64_t count);
  std::vector<std::uint64_t> counts_;  ///< by class; empty, or all of them
  std::uint64_t count_ = 0;
};

}  // namespace homelab::registry
