#include "finding.h"

#include <fmt/format.h>

#include <algorithm>

#include "../table.h"
#include "base/strings.h"

namespace homelab::cli::doctor {
namespace {

constexpr int kSeverityColumns = 9;
constexpr int kGroupColumns = 13;

std::string summary(std::vector<GroupReport> const& groups) {
  std::size_t const errors = count(groups, Severity::kError);
  std::size_t const warnings = count(groups, Severity::kWarning);
  std::size_t all = 0;
  for (auto const& group : groups) all += group.findings.size();
  if (errors + warnings == 0)
    return fmt::format("all is well ({} looked at)\n", counted(all, "thing"));
  return fmt::format("{}, {}\n", counted(errors, "error"), counted(warnings, "warning"));
}

/// Every line of a mend under the sentence it belongs to.
std::string indented(std::string const& mend) {
  std::string out;
  std::string line = std::string(kSeverityColumns + kGroupColumns, ' ') + "mend: ";
  for (char const c : printable(mend, true) + "\n") {
    line += c;
    if (c != '\n') continue;
    out += line;
    line = std::string(kSeverityColumns + kGroupColumns + 6, ' ');
  }
  return out;
}

}  // namespace

std::string_view to_string(Severity severity) {
  switch (severity) {
    case Severity::kOk:
      return "ok";
    case Severity::kInfo:
      return "info";
    case Severity::kWarning:
      return "warning";
    case Severity::kError:
      return "error";
  }
  return "error";
}

std::size_t count(std::vector<GroupReport> const& groups, Severity severity) {
  std::size_t number = 0;
  for (auto const& group : groups)
    number +=
        static_cast<std::size_t>(std::ranges::count(group.findings, severity, &Finding::severity));
  return number;
}

std::string report_text(std::vector<GroupReport> const& groups) {
  std::string out;
  for (auto const& group : groups) {
    for (auto const& finding : group.findings) {
      out += fmt::format("{:<{}}{:<{}}{}\n", to_string(finding.severity), kSeverityColumns,
                         group.group, kGroupColumns, printable(finding.text));
      if (!finding.mend.empty()) out += indented(finding.mend);
    }
  }
  return out + summary(groups);
}

json::object to_json(std::vector<GroupReport> const& groups) {
  json::array findings;
  for (auto const& group : groups)
    for (auto const& finding : group.findings)
      findings.push_back(json::object{{"group", group.group},
                                      {"severity", to_string(finding.severity)},
                                      {"text", printable(finding.text)},
                                      {"mend", printable(finding.mend, true)}});
  std::size_t const errors = count(groups, Severity::kError);
  return {{"ok", errors == 0},
          {"errors", errors},
          {"warnings", count(groups, Severity::kWarning)},
          {"findings", std::move(findings)}};
}

std::string shell_word(std::string_view text) {
  bool const plain = !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("/._-+=:,@%").find(c) != std::string_view::npos;
  });
  if (plain) return std::string(text);
  std::string word = "'";
  for (char const c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

}  // namespace homelab::cli::doctor
