#pragma once
// Where a command's words go: answers to stdout, talk and progress to stderr, one JSON value with
// --json.
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "cli/cli.h"

namespace homelab::cli {

/// Used by one thread at a time.
class Output {
 public:
  explicit Output(bool json) : json_(json) {}
  [[nodiscard]] bool json() const { return json_; }

  /// Answer for people; nothing is printed in JSON mode. No newline is added.
  void text(std::string_view answer) const;
  /// The one JSON value of the command; nothing is printed in text mode.
  void value(json::value const& answer) const;
  /// A remark beside the answer ("registered x"), to stderr in both modes; a newline is added.
  void remark(std::string_view words) const;
  /// "error: ..." to stderr, and {"error":{"code","message"}} to stdout in JSON mode; gives the
  /// exit code.
  [[nodiscard]] int error(Error const& error) const;

 private:
  bool json_;
};

/// Writes everything and flushes; a closed pipe ends quietly (the reader had enough).
void print_now(std::string_view text);

[[nodiscard]] bool stdout_is_terminal();
[[nodiscard]] bool stderr_is_terminal();
[[nodiscard]] bool stdin_is_terminal();
/// Columns of the terminal on stderr, 80 when that is not known.
[[nodiscard]] std::size_t terminal_columns();

}  // namespace homelab::cli
