#include "json_fault.h"

#include <algorithm>
#include <vector>

namespace homelab::api {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

/// Walks the text once, with a stack of its own instead of recursion: depth is the sender's choice.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  std::optional<JsonFault> run() {
    skip_blanks();
    if (document() && (skip_blanks(), at_ < text_.size())) fault(at_, "Extra data");
    return std::move(fault_);
  }

 private:
  enum class Open { kObject, kArray };

  bool document() {
    do {
      if (!value_begin()) return false;
      while (!value_wanted_) {
        if (open_.empty()) return true;
        if (!after_value()) return false;
      }
    } while (true);
  }

  /// One scalar, or the start of a container. Leaves value_wanted_ = true when another value must
  /// follow.
  bool value_begin() {
    if (peek('{')) {
      ++at_;
      skip_blanks();
      if (peek('}')) return closed();
      open_.push_back(Open::kObject);
      return key();
    }
    if (peek('[')) {
      ++at_;
      skip_blanks();
      if (peek(']')) return closed();
      open_.push_back(Open::kArray);
      value_wanted_ = true;
      return true;
    }
    value_wanted_ = false;
    return peek('"') ? string() : word() || number() || fault(at_, "Expecting value");
  }

  bool closed() {
    ++at_;
    value_wanted_ = false;
    return true;
  }

  bool after_value() {
    skip_blanks();
    bool const object = open_.back() == Open::kObject;
    if (peek(object ? '}' : ']')) {
      open_.pop_back();
      return closed();
    }
    if (!peek(',')) return fault(at_, "Expecting ',' delimiter");
    ++at_;
    skip_blanks();
    value_wanted_ = true;
    return object ? key() : true;
  }

  bool key() {
    if (!peek('"')) return fault(at_, "Expecting property name enclosed in double quotes");
    if (!string()) return false;
    skip_blanks();
    if (!peek(':')) return fault(at_, "Expecting ':' delimiter");
    ++at_;
    skip_blanks();
    value_wanted_ = true;
    return true;
  }

  bool string() {
    std::size_t const begin = at_++;
    for (; at_ < text_.size(); ++at_) {
      char const c = text_[at_];
      if (c == '"') {
        ++at_;
        return true;
      }
      if (static_cast<unsigned char>(c) < 0x20) return fault(at_, "Invalid control character at");
      if (c == '\\' && !escape(begin)) return false;
    }
    return fault(begin, "Unterminated string starting at");
  }

  /// at_ stands on the backslash and is left on the escape's last character.
  bool escape(std::size_t begin) {
    std::size_t const backslash = at_++;
    if (at_ >= text_.size()) return fault(begin, "Unterminated string starting at");
    if (text_[at_] != 'u') {
      if (std::string_view("\"\\/bfnrt").find(text_[at_]) != std::string_view::npos) return true;
      return fault(backslash, "Invalid \\escape");
    }
    std::string_view const digits = text_.substr(at_ + 1, 4);
    if (digits.size() < 4 || !std::all_of(digits.begin(), digits.end(), is_hex))
      return fault(at_, "Invalid \\uXXXX escape");
    at_ += 4;
    return true;
  }

  bool word() {
    for (std::string_view const known : {"null", "true", "false"}) {
      if (!text_.substr(at_).starts_with(known)) continue;
      at_ += known.size();
      return true;
    }
    return false;
  }

  bool number() {
    std::size_t end = at_;
    if (end < text_.size() && text_[end] == '-') ++end;
    if (!digit_at(end)) return false;
    end = text_[end] == '0' ? end + 1 : skip_digits(end);
    // A fraction or exponent without digits is not part of the number; what follows it is judged as
    // any other text.
    if (digit_at(end + 1) && text_[end] == '.') end = skip_digits(end + 1);
    if (end < text_.size() && (text_[end] == 'e' || text_[end] == 'E')) {
      std::size_t digits = end + 1;
      if (digits < text_.size() && (text_[digits] == '+' || text_[digits] == '-')) ++digits;
      if (digit_at(digits)) end = skip_digits(digits);
    }
    at_ = end;
    return true;
  }

  [[nodiscard]] bool digit_at(std::size_t at) const {
    return at < text_.size() && is_digit(text_[at]);
  }

  [[nodiscard]] std::size_t skip_digits(std::size_t from) const {
    while (from < text_.size() && is_digit(text_[from])) ++from;
    return from;
  }

  void skip_blanks() {
    while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
  }

  [[nodiscard]] bool peek(char c) const { return at_ < text_.size() && text_[at_] == c; }

  bool fault(std::size_t byte, std::string_view message) {
    auto const before = text_.substr(0, byte);
    auto const characters = std::count_if(before.begin(), before.end(), [](char c) {
      return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
    });
    fault_ = JsonFault{static_cast<std::size_t>(characters), std::string(message)};
    return false;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  bool value_wanted_ = true;
  std::vector<Open> open_;
  std::optional<JsonFault> fault_;
};

}  // namespace

std::optional<JsonFault> find_json_fault(std::string_view text) { return Scanner(text).run(); }

}  // namespace homelab::api
