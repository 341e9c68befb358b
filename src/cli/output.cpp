#include "output.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>

#include "exit_code.h"
#include "table.h"

namespace homelab::cli {
namespace {

void print(std::FILE* to, std::string_view text) {
  // Errors of the terminal itself have no better place to be reported.
  (void)std::fwrite(text.data(), 1, text.size(), to);
}

}  // namespace

void Output::text(std::string_view answer) const {
  if (!json_) print(stdout, answer);
}

void Output::value(json::value const& answer) const {
  if (json_) print(stdout, json::serialize(answer) + "\n");
}

void Output::remark(std::string_view words) const {
  std::fflush(stdout);
  print(stderr, printable(words, true) + "\n");
}

int Output::error(Error const& error) const {
  std::fflush(stdout);
  print(stderr, "error: " + printable(error.message, true) + "\n");
  value(json::object{
      {"error", json::object{{"code", to_string(error.code)}, {"message", error.message}}}});
  return exit_code(error.code);
}

void print_now(std::string_view text) {
  print(stdout, text);
  std::fflush(stdout);
}

bool stdout_is_terminal() { return ::isatty(STDOUT_FILENO) == 1; }
bool stderr_is_terminal() { return ::isatty(STDERR_FILENO) == 1; }
bool stdin_is_terminal() { return ::isatty(STDIN_FILENO) == 1; }

std::size_t terminal_columns() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

}  // namespace homelab::cli
