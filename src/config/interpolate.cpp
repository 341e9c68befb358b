#include "interpolate.h"

#include <fmt/format.h>

namespace homelab::config {
namespace {

constexpr int kMaxDepth = 32;

bool starts_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool continues_name(char c) { return starts_name(c) || (c >= '0' && c <= '9'); }

std::string_view leading_name(std::string_view text) {
  if (text.empty() || !starts_name(text.front())) return {};
  std::size_t length = 1;
  while (length < text.size() && continues_name(text[length])) ++length;
  return text.substr(0, length);
}

/// Index of the brace that closes the one at text[0]; braces inside count, so that JSON can be a
/// default.
std::size_t closing_brace(std::string_view text) {
  int open = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '{') ++open;
    if (text[i] == '}' && --open == 0) return i;
  }
  return std::string_view::npos;
}

class Interpolator {
 public:
  explicit Interpolator(Interpolation const& rules) : rules_(rules) {}

  Result<std::string> expand(std::string_view text, int depth) {
    if (depth > kMaxDepth) {
      return fail(Code::kInvalidArgument,
                  fmt::format("${{...}} is nested more than {} deep", kMaxDepth));
    }
    std::string out;
    while (!text.empty()) {
      std::size_t const dollar = text.find('$');
      out += text.substr(0, dollar);
      if (dollar == std::string_view::npos) break;
      text.remove_prefix(dollar);
      ASSIGN_OR_RETURN(std::size_t const used, reference(text, out, depth));
      text.remove_prefix(used);
      if (out.size() > rules_.limit_bytes)
        return fail(Code::kResourceExhausted,
                    "the value grows too large when its variables are filled in");
    }
    return out;
  }

 private:
  /// `text` begins with '$'. Appends what it stands for and gives how many characters it took.
  Result<std::size_t> reference(std::string_view text, std::string& out, int depth) {
    std::string_view const rest = text.substr(1);
    if (rest.starts_with('$')) {
      out.push_back('$');
      return 2;
    }
    if (rest.starts_with('{')) return braced(rest, out, depth);
    std::string_view const name = leading_name(rest);
    if (name.empty()) {
      out.push_back('$');
      return 1;
    }
    warn(fmt::format(
        "${} without braces: some readers of this file keep it as it stands; write ${{{}}}", name,
        name));
    out += value_or_empty(std::string(name));
    return 1 + name.size();
  }

  Result<std::size_t> braced(std::string_view rest, std::string& out, int depth) {
    std::size_t const close = closing_brace(rest);
    if (close == std::string_view::npos)
      return fail(Code::kInvalidArgument, "'${' without its '}'; write $$ for a dollar sign");
    std::string_view const inside = rest.substr(1, close - 1);
    std::string_view const name = leading_name(inside);
    if (name.empty()) {
      return fail(
          Code::kInvalidArgument,
          fmt::format("'${{{}}}' does not begin with a variable's name; write $$ for a dollar sign",
                      inside));
    }
    ASSIGN_OR_RETURN(std::string const value,
                     apply(std::string(name), inside.substr(name.size()), depth));
    out += value;
    return 1 + close + 1;
  }

  /// `operation` is what stands between the name and the closing brace.
  Result<std::string> apply(std::string const& name, std::string_view operation, int depth) {
    if (operation.empty()) return value_or_empty(name);
    bool const colon = operation.starts_with(':');
    std::string_view const sign = operation.substr(colon ? 1 : 0, 1);
    std::string_view const operand =
        operation.substr(std::min<std::size_t>(operation.size(), colon ? 2 : 1));
    auto const value = rules_.lookup(name);
    bool const present = value && !(colon && value->empty());
    if (sign == "-") return present ? Result<std::string>(*value) : expand(operand, depth + 1);
    if (sign == "+")
      return present ? expand(operand, depth + 1) : Result<std::string>(std::string());
    if (sign == "?") {
      if (present) return *value;
      ASSIGN_OR_RETURN(std::string const message, expand(operand, depth + 1));
      return fail(Code::kInvalidArgument, message.empty()
                                              ? fmt::format("{} is required but has no value", name)
                                              : fmt::format("{} is required: {}", name, message));
    }
    return fail(
        Code::kInvalidArgument,
        fmt::format("'${{{}{}}}' is not understood; after the name one of :- - :? ? :+ + may stand",
                    name, operation));
  }

  std::string value_or_empty(std::string const& name) {
    if (auto value = rules_.lookup(name)) return *std::move(value);
    warn(fmt::format("{} is not set; it is taken as empty", name));
    return {};
  }

  void warn(std::string text) {
    if (rules_.warnings != nullptr) rules_.warnings->push_back(std::move(text));
  }

  Interpolation const& rules_;
};

}  // namespace

Result<std::string> interpolate(std::string_view text, Interpolation const& rules) {
  return Interpolator(rules).expand(text, 0);
}

}  // namespace homelab::config
