#pragma once
// Errors as values. Every function that can fail for a reason outside the program returns Result<T>
// or Status.
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace homelab {

/// The one vocabulary of failures. HTTP statuses and exit codes are derived from it in one table
/// each (api/error_status.h, cli/exit_code.h).
enum class Code {
  kInvalidArgument,     ///< the caller's input is wrong; trying again will not help
  kNotFound,            ///< the named thing does not exist
  kAlreadyExists,       ///< the name is taken
  kFailedPrecondition,  ///< the thing exists but is in a state that forbids this
  kResourceExhausted,   ///< no space, no memory, quota or bound reached
  kPermissionDenied,    ///< the file system or the Hub refuses this user
  kAborted,             ///< another actor won; trying again may help
  kUnavailable,         ///< network or process is away; trying again may help
  kDeadlineExceeded,    ///< took too long
  kCancelled,           ///< somebody asked to stop
  kDataLoss,            ///< bytes are not what they must be (hash, length, format)
  kUnimplemented,       ///< valid, but this program cannot do it
  kInternal,            ///< a bug of ours
};

/// Stable lower-case word of a code ("not_found"), as used in JSON and logs.
[[nodiscard]] std::string_view to_string(Code code);

/// Why something failed. `message` reads outermost context first: "load phi-2: open blob: no such
/// file". Never holds secrets.
struct Error {
  Code code = Code::kInternal;
  std::string message;

  /// Adds what was being done: Error{"no such file"}.in("open blob") is "open blob: no such file".
  [[nodiscard]] Error in(std::string_view doing) && {
    message.insert(0, std::string(doing) + ": ");
    return std::move(*this);
  }
  friend bool operator==(Error const&, Error const&) = default;
};

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

/// `return fail(Code::kNotFound, "...")` from any function that returns Result or Status.
[[nodiscard]] inline tl::unexpected<Error> fail(Code code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message)});
}
[[nodiscard]] inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}

/// Error for a failed system call: "<doing> <path>: <strerror>", with a code that fits
/// `errno_value` (ENOENT not found, EACCES/EPERM/EROFS permission denied, ENOSPC/EDQUOT/EMFILE
/// exhausted, else unavailable).
[[nodiscard]] tl::unexpected<Error> fail_errno(std::string_view doing, std::string_view path,
                                               int errno_value);

}  // namespace homelab

#define HOMELAB_CONCAT_INNER(a, b) a##b
#define HOMELAB_CONCAT(a, b) HOMELAB_CONCAT_INNER(a, b)

/// Returns the error of `expression` from the enclosing function, if it has one.
#define RETURN_IF_ERROR(expression)                              \
  do {                                                           \
    if (auto homelab_status = (expression); !homelab_status)     \
      return ::homelab::fail(std::move(homelab_status).error()); \
  } while (false)

/// ASSIGN_OR_RETURN(auto file, open(path)); the left side may also be an existing variable.
// NOLINTBEGIN(bugprone-macro-parentheses): `left` is a declaration, `result` a name.
#define ASSIGN_OR_RETURN(left, expression) \
  HOMELAB_ASSIGN_OR_RETURN_IMPL(HOMELAB_CONCAT(homelab_result_, __LINE__), left, expression)
#define HOMELAB_ASSIGN_OR_RETURN_IMPL(result, left, expression)   \
  auto result = (expression);                                     \
  if (!result) return ::homelab::fail(std::move(result).error()); \
  left = std::move(*result)
// NOLINTEND(bugprone-macro-parentheses)
