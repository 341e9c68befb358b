#include "sketch.h"

#include <algorithm>
#include <cmath>

namespace homelab::registry {
namespace {

constexpr double kLowest = 0.001;
constexpr double kHighest = 1e9;
/// Upper and lower end of a class: 1 % to both sides of the value that stands for it.
constexpr double kGrowth = (1 + Sketch::kAccuracy) / (1 - Sketch::kAccuracy);
constexpr unsigned kVarintBits = 7;
constexpr unsigned char kMore = 0x80;

double log_growth() {
  static double const value = std::log(kGrowth);
  return value;
}

std::size_t class_of(double value) {
  double const bounded = std::clamp(value, kLowest, kHighest);
  return static_cast<std::size_t>(std::ceil(std::log(bounded / kLowest) / log_growth()));
}

std::size_t class_count() {
  static std::size_t const count = class_of(kHighest) + 1;
  return count;
}

double value_of(std::size_t index) {
  return kLowest * std::pow(kGrowth, static_cast<double>(index)) * 2 / (kGrowth + 1);
}

void put_number(std::string& out, std::uint64_t number) {
  while (number >= kMore) {
    out += static_cast<char>(static_cast<unsigned char>(number) | kMore);
    number >>= kVarintBits;
  }
  out += static_cast<char>(number);
}

std::optional<std::uint64_t> take_number(std::string_view& text) {
  constexpr unsigned kLongest = 63;
  std::uint64_t number = 0;
  for (unsigned shift = 0; !text.empty() && shift <= kLongest; shift += kVarintBits) {
    auto const byte = static_cast<unsigned char>(text.front());
    text.remove_prefix(1);
    number |= static_cast<std::uint64_t>(byte & (kMore - 1U)) << shift;
    if (byte < kMore) return number;
  }
  return std::nullopt;
}

}  // namespace

void Sketch::add(double value) {
  if (std::isfinite(value)) add_class(class_of(value), 1);
}

void Sketch::add_class(std::size_t index, std::uint64_t count) {
  if (counts_.empty()) counts_.resize(class_count());
  counts_[index] += count;
  count_ += count;
}

std::optional<double> Sketch::quantile(double q) const {
  if (count_ == 0) return std::nullopt;
  auto const rank = static_cast<std::uint64_t>(q * static_cast<double>(count_ - 1));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen > rank) return value_of(i);
  }
  return value_of(counts_.size() - 1);
}

std::string Sketch::encoded() const {
  std::string out;
  std::size_t last = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] == 0) continue;
    put_number(out, i - last);
    put_number(out, counts_[i]);
    last = i;
  }
  return out;
}

bool Sketch::add_encoded(std::string_view text) {
  std::uint64_t index = 0;
  while (!text.empty()) {
    auto const step = take_number(text);
    auto const count = take_number(text);
    if (!step || !count || *step >= class_count() || index + *step >= class_count()) return false;
    index += *step;
    add_class(index, *count);
  }
  return true;
}

}  // namespace homelab::registry
