#include "config/dotenv.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/strings.h"
#include "interpolate.h"

namespace homelab::config {
namespace {

constexpr std::size_t kMaxFileBytes = 1024UL * 1024;
/// Of all values together: ten lines that each double the one before must not fill the memory.
constexpr std::size_t kMaxValueBytes = 4 * kMaxFileBytes;

bool is_key_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.' || c == '-' || c == '[' || c == ']';
}

void append_utf8_byte(std::string& out, unsigned value) {
  if (value < 0x80) {
    out.push_back(static_cast<char>(value));
  } else {
    out.push_back(static_cast<char>(0xC0U | (value >> 6U)));
    out.push_back(static_cast<char>(0x80U | (value & 0x3FU)));
  }
}

/// Compose's `\0ddd` (octal). Gives how many characters of `text` (which begins behind the
/// backslash) were used.
std::size_t unescape_octal(std::string_view text, std::string& out) {
  std::size_t length = 1;
  while (length < 4 && length < text.size() && text[length] >= '0' && text[length] <= '9') ++length;
  std::string_view const digits = text.substr(1, length - 1);
  unsigned value = 0;
  for (char const digit : digits) value = value * 8 + static_cast<unsigned>(digit - '0');
  if (digits.size() == 3 && digits.find_first_of("89") == std::string_view::npos && value < 256)
    append_utf8_byte(out, value);
  else
    out += "\\" + std::string(digits);
  return length;
}

/// Escapes of a double-quoted value. `\$` becomes `$$`, which the interpolation after this turns
/// into `$`.
std::string unescape(std::string_view text) {
  static constexpr std::string_view kNames = "abfnrtv\"\\";
  static constexpr std::string_view kMeanings = "\a\b\f\n\r\t\v\"\\";
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out.push_back(text[i]);
      continue;
    }
    char const name = text[i + 1];
    if (auto const at = kNames.find(name); at != std::string_view::npos) {
      out.push_back(kMeanings[at]);
      ++i;
    } else if (name == '$') {
      out += "$$";
      ++i;
    } else if (name == '0') {
      i += unescape_octal(text.substr(i + 1), out);
    } else {
      out.push_back('\\');
    }
  }
  return out;
}

class Parser {
 public:
  Parser(std::string_view text, Lookup const& environment, std::vector<std::string>* warnings)
      : rest_(text), environment_(environment), warnings_(warnings) {}

  Result<std::vector<DotenvEntry>> parse() {
    constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
    if (rest_.starts_with(kByteOrderMark)) rest_.remove_prefix(kByteOrderMark.size());
    while (skip_to_statement()) {
      int const line = line_;
      if (Status const read = statement(); !read)
        return fail(Error(read.error()).in(fmt::format("line {}", line)));
    }
    return std::move(entries_);
  }

 private:
  /// Moves to the next thing that is neither blank nor a comment; false at the end.
  bool skip_to_statement() {
    while (!rest_.empty()) {
      if (rest_.front() == '#')
        skip_line();
      else if (rest_.front() == '\n' || trim(rest_.substr(0, 1)).empty())
        advance(1);
      else
        return true;
    }
    return false;
  }

  Status statement() {
    int const line = line_;
    drop_export();
    std::size_t length = 0;
    while (length < rest_.size() && is_key_character(rest_[length])) ++length;
    std::string key(rest_.substr(0, length));
    advance(length);
    skip_blanks();
    if (rest_.empty() || rest_.front() == '\n') return inherit(std::move(key), line);
    // A colon is compose's second spelling: NAME: value.
    if (key.empty() || (rest_.front() != '=' && rest_.front() != ':'))
      return fail(Code::kInvalidArgument, explain_bad_name(key));
    advance(1);
    skip_blanks();
    ASSIGN_OR_RETURN(std::string value, read_value());
    return add(std::move(key), std::move(value), line);
  }

  void drop_export() {
    constexpr std::string_view kWord = "export";
    if (!rest_.starts_with(kWord) || rest_.size() == kWord.size()) return;
    char const next = rest_[kWord.size()];
    if (next != ' ' && next != '\t') return;
    advance(kWord.size());
    skip_blanks();
  }

  // The rest of the line is not shown: it may hold a secret.
  std::string explain_bad_name(std::string const& key) const {
    auto const found = static_cast<unsigned char>(rest_.front());
    std::string const shown = found > 0x20 && found < 0x7F ? fmt::format("'{}'", rest_.front())
                                                           : fmt::format("byte 0x{:02x}", found);
    if (key.empty()) return fmt::format("expected NAME=value, but the line begins with {}", shown);
    return fmt::format(
        "expected '=' after the name '{}', found {}; names are letters, digits, _ . - [ ]", key,
        shown);
  }

  Status inherit(std::string key, int line) {
    auto value = environment_(key);
    if (!value) return {};
    return add(std::move(key), *std::move(value), line);
  }

  Result<std::string> read_value() {
    if (!rest_.empty() && (rest_.front() == '"' || rest_.front() == '\'')) return read_quoted();
    std::string_view value = rest_.substr(0, rest_.find('\n'));
    advance(value.size());
    value = trim(value.substr(0, value.find(" #")));
    if (value.starts_with('#'))
      warn(
          "the value begins with '#', so it is a value and no comment; put the comment on its own "
          "line");
    return expand(value);
  }

  Result<std::string> read_quoted() {
    char const quote = rest_.front();
    std::string raw;
    std::size_t i = 1;
    for (; i < rest_.size() && rest_[i] != quote; ++i) {
      if (rest_[i] == '\\' && i + 1 < rest_.size()) {
        ++i;
        // Only the quote itself loses its backslash here; the other escapes are those of double
        // quotes.
        if (rest_[i] != quote) raw.push_back('\\');
      }
      raw.push_back(rest_[i]);
    }
    if (i >= rest_.size())
      return fail(Code::kInvalidArgument,
                  fmt::format("the quoted value is never closed; expected {}", quote));
    advance(i + 1);
    RETURN_IF_ERROR(expect_end_of_line());
    if (quote == '\'') return raw;
    return expand(unescape(raw));
  }

  Status expect_end_of_line() {
    skip_blanks();
    if (rest_.empty() || rest_.front() == '\n') return {};
    if (rest_.front() == '#') {
      skip_line();
      return {};
    }
    return fail(Code::kInvalidArgument,
                "text stands after the closing quote; put the whole value into the quotes");
  }

  Result<std::string> expand(std::string_view value) {
    std::vector<std::string> found;
    Interpolation const rules{[this](std::string const& name) { return look_up(name); }, &found,
                              kMaxValueBytes};
    auto result = interpolate(value, rules);
    for (auto& warning : found) warn(std::move(warning));
    return result;
  }

  std::optional<std::string> look_up(std::string const& name) const {
    if (auto value = environment_(name)) return value;
    auto const found = latest_.find(name);
    if (found == latest_.end()) return std::nullopt;
    return entries_[found->second].value;
  }

  Status add(std::string key, std::string value, int line) {
    if (value.find('\0') != std::string::npos)
      return fail(Code::kInvalidArgument, fmt::format("the value of {} holds a NUL byte", key));
    value_bytes_ += value.size();
    if (value_bytes_ > kMaxValueBytes) {
      return fail(Code::kResourceExhausted,
                  fmt::format("the values together are larger than {} bytes", kMaxValueBytes));
    }
    latest_[key] = entries_.size();
    entries_.push_back({std::move(key), std::move(value), line});
    return {};
  }

  void advance(std::size_t count) {
    line_ += static_cast<int>(
        std::count(rest_.begin(), rest_.begin() + static_cast<std::ptrdiff_t>(count), '\n'));
    rest_.remove_prefix(count);
  }
  void skip_line() { advance(std::min(rest_.size(), rest_.find('\n'))); }
  void skip_blanks() {
    while (!rest_.empty() && rest_.front() != '\n' && trim(rest_.substr(0, 1)).empty()) advance(1);
  }
  void warn(std::string text) {
    if (warnings_ != nullptr) warnings_->push_back(fmt::format("line {}: {}", line_, text));
  }

  std::string_view rest_;
  Lookup const& environment_;
  std::vector<std::string>* warnings_;
  int line_ = 1;
  std::vector<DotenvEntry> entries_;
  std::map<std::string, std::size_t, std::less<>> latest_;
  std::size_t value_bytes_ = 0;
};

}  // namespace

Result<std::vector<DotenvEntry>> parse_dotenv(std::string_view text, Lookup const& environment,
                                              std::vector<std::string>* warnings) {
  if (text.size() > kMaxFileBytes) {
    return fail(
        Code::kResourceExhausted,
        fmt::format("the file is {} bytes long; at most {} are read", text.size(), kMaxFileBytes));
  }
  return Parser(text, environment, warnings).parse();
}

}  // namespace homelab::config
