#include "config/python_cache.h"

#include <cctype>
#include <cstdlib>

namespace homelab::config {
namespace {

std::string home(Variable const& variable) { return variable("HOME").value_or("/"); }

bool is_name_letter(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

/// `~` alone or before a slash; `~user` is left as it is.
std::string with_home(std::string text, Variable const& variable) {
  if (text == "~" || text.starts_with("~/")) text.replace(0, 1, home(variable));
  return text;
}

/// $NAME and ${NAME}; a variable that is not set stays as written.
std::string with_variables(std::string const& text, Variable const& variable) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    bool const braced = text.compare(at, 2, "${") == 0;
    std::size_t const begin = at + (braced ? 2 : 1);
    std::size_t end = begin;
    while (text[at] == '$' && end < text.size() && is_name_letter(text[end])) ++end;
    bool const named =
        text[at] == '$' && end > begin && (!braced || (end < text.size() && text[end] == '}'));
    auto const value =
        named ? variable(text.substr(begin, end - begin)) : std::optional<std::string>();
    if (value) {
      out += *value;
      at = end + (braced ? 1 : 0);
    } else {
      out += text[at++];
    }
  }
  return out;
}

std::filesystem::path expanded(std::string const& text, Variable const& variable) {
  return with_variables(with_home(text, variable), variable);
}

}  // namespace

PythonCache python_cache(Variable const& variable) {
  // The first that is present counts, even when it is empty.
  for (std::string const name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"})
    if (auto const value = variable(name)) return {expanded(*value, variable), name};
  if (auto const value = variable("HF_HOME"))
    return {expanded(*value, variable) / "hub", "hub/ below HF_HOME"};
  if (auto const value = variable("XDG_CACHE_HOME"))
    return {expanded(*value, variable) / "huggingface" / "hub",
            "huggingface/hub/ below XDG_CACHE_HOME"};
  return {std::filesystem::path(home(variable)) / ".cache" / "huggingface" / "hub",
          "Python's default"};
}

std::optional<std::string> process_variable(std::string const& name) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing in this program changes the environment
  char const* const value = std::getenv(name.c_str());
  return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
}

}  // namespace homelab::config
