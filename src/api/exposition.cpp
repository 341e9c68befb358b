#include "exposition.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace homelab::api {
namespace {

/// As the format wants it: a backslash before backslash and quote, no line feed.
std::string escaped(std::string_view text, bool quote_too) {
  std::string out;
  for (char const c : text) {
    if (c == '\\' || (quote_too && c == '"')) out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

}  // namespace

Histogram::Histogram(std::span<double const> bounds)
    : bounds_(bounds), counts_(bounds.size() + 1) {}

void Histogram::add(double value) {
  auto const bound = std::lower_bound(bounds_.begin(), bounds_.end(), value);
  ++counts_[static_cast<std::size_t>(bound - bounds_.begin())];
  sum_ += value;
}

std::vector<std::uint64_t> Histogram::up_to() const {
  auto out = counts_;
  for (std::size_t i = 1; i < out.size(); ++i) out[i] += out[i - 1];
  return out;
}

void Exposition::metric(std::string_view name, std::string_view type, std::string_view help) {
  name_ = name;
  text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, escaped(help, false), name, type);
}

void Exposition::sample(Labels const& labels, double value) { line("", labels, "", value); }

void Exposition::histogram(Labels const& labels, Histogram const& histogram) {
  auto const counts = histogram.up_to();
  for (std::size_t i = 0; i < counts.size(); ++i) {
    bool const last = i == histogram.bounds().size();
    auto const bound = fmt::format("le=\"{}\"", last ? "+Inf" : number(histogram.bounds()[i]));
    line("_bucket", labels, bound, static_cast<double>(counts[i]));
  }
  line("_sum", labels, "", histogram.sum());
  line("_count", labels, "", static_cast<double>(counts.back()));
}

void Exposition::line(std::string_view suffix, Labels const& labels, std::string_view last_label,
                      double value) {
  std::string inside;
  for (auto const& [key, text] : labels)
    inside += fmt::format("{}{}=\"{}\"", inside.empty() ? "" : ",", key, escaped(text, true));
  if (!last_label.empty()) inside += fmt::format("{}{}", inside.empty() ? "" : ",", last_label);
  text_ += inside.empty() ? fmt::format("{}{} {}\n", name_, suffix, number(value))
                          : fmt::format("{}{}{{{}}} {}\n", name_, suffix, inside, number(value));
}

}  // namespace homelab::api
