#pragma once
// Reads request bodies and query values as leniently as the original did, and answers E2 in the
// same words (contract §2.0: pydantic 2 in its lax mode behind FastAPI; the texts are protocol).
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "http/message.h"

namespace homelab::api {

/// Why one value was refused.
struct Problem {
  std::string type;     ///< "int_parsing"
  std::string message;  ///< "Input should be a valid integer, unable to parse string as an integer"
  json::object context = {};
};
template <class T>
using Lenient = tl::expected<T, Problem>;

/// The lax conversions: 5.0, "7" and true are integers, "yes" is a boolean, numbers are no strings.
[[nodiscard]] Lenient<std::string> to_text(json::value const& input);
[[nodiscard]] Lenient<std::int64_t> to_integer(json::value const& input);
[[nodiscard]] Lenient<double> to_number(json::value const& input);
[[nodiscard]] Lenient<bool> to_boolean(json::value const& input);

/// Bounds of a number, both included.
struct Range {
  double low = 0;
  double high = 0;
  bool integer = false;  ///< how the bound is shown in "ctx"
};

/// One JSON body. The readers are called in the order of the fields; each notes its error and gives
/// the default back, so that every bad field is reported at once. Look at rejection() before using
/// what was read.
class BodyReader {
 public:
  explicit BodyReader(http::Request const& request);

  /// What `read` asks of a body, as a JSON schema: the same calls that check requests describe
  /// them.
  using Read = std::function<void(BodyReader&)>;
  [[nodiscard]] static json::object describe(Read const& read);

  /// Changes an accepted text; an error's text becomes a `value_error`.
  using Clean = std::function<Lenient<std::string>(std::string const&)>;

  std::string text(std::string_view field, Clean const& clean = {});
  std::string text_or(std::string_view field, std::string fallback, Clean const& clean = {});
  std::optional<std::string> optional_text(std::string_view field);
  std::int64_t integer_or(std::string_view field, std::int64_t fallback, Range range);
  double number_or(std::string_view field, double fallback, Range range);
  std::optional<double> optional_number(std::string_view field, std::optional<double> fallback);
  /// A text that must be one of `allowed`.
  std::string one_of(std::string_view field, std::span<std::string_view const> allowed,
                     std::string fallback);
  /// A list of texts; empty when absent. Each is cleaned; an error names its place in the list.
  std::vector<std::string> texts(std::string_view field, bool required, Clean const& clean = {});
  bool boolean(std::string_view field);
  bool boolean_or(std::string_view field, bool fallback);

  // Fields that need not be there; null counts as absent.
  std::optional<std::int64_t> integer_if(std::string_view field, Range range);
  std::optional<double> number_if(std::string_view field, Range range);
  std::optional<bool> boolean_if(std::string_view field);
  /// A value that the caller checks itself (refuse_value); valid as long as the reader. `schema`
  /// says what it should be.
  json::value const* value_if(std::string_view field, json::object schema);
  /// The same of a field that must be there; null when it is not.
  json::value const* required_value(std::string_view field, json::object schema);

  /// Refuses a field that was read, for a reason beyond its type.
  void refuse_value(std::string_view field, std::string const& why);
  /// Refuses every field that no reader was called for.
  void forbid_others();
  /// The fields as they came; empty when there are none.
  [[nodiscard]] json::object const& fields() const { return fields_; }

  /// The 422 (or, for a body that is no text at all, 400) if anything was wrong.
  [[nodiscard]] std::optional<http::Response> rejection() const;

 private:
  template <class T>
  std::optional<T> read(std::string_view field, bool required,
                        Lenient<T> (*convert)(json::value const&));
  void refuse(std::string_view field, json::value const& input, Problem problem);
  void check_range(std::string_view field, double value, Range range);
  void parse(http::Request const& request);
  BodyReader() = default;
  /// For describe(); nothing happens when a request is read.
  void note(std::string_view field, bool required, json::object schema);

  bool describing_ = false;
  json::object properties_;
  json::array required_;
  json::object fields_;
  std::set<std::string, std::less<>> asked_;
  bool is_object_ = false;  ///< false: there are no fields, the errors say why
  json::array errors_;
  bool not_text_ = false;
};

/// The trimming rule of names (contract §2.3): blank after trimming is refused, the message begins
/// with `what`.
[[nodiscard]] BodyReader::Clean not_blank(std::string what);
/// The same, and blanks around each '/' go.
[[nodiscard]] BodyReader::Clean clean_hub_path(std::string what);

/// A query flag; the last of several counts. The error side is the finished 422.
[[nodiscard]] tl::expected<bool, http::Response> query_flag(http::Request const& request,
                                                            std::string_view name, bool fallback);
/// A query number, the same way.
[[nodiscard]] tl::expected<double, http::Response> query_number(http::Request const& request,
                                                                std::string_view name,
                                                                double fallback);
[[nodiscard]] tl::expected<std::int64_t, http::Response> query_integer(http::Request const& request,
                                                                       std::string_view name,
                                                                       std::int64_t fallback);
/// A body that is a bare list of texts. The error side is the finished 422 (or 400).
[[nodiscard]] tl::expected<std::vector<std::string>, http::Response> read_text_list(
    http::Request const& request);
/// Last value of a query key, decoded; nullopt when absent.
[[nodiscard]] std::optional<std::string> last_query_value(http::Request const& request,
                                                          std::string_view name);

}  // namespace homelab::api
