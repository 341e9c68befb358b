#pragma once
// Incremental HTTP/1.1 parsing. Beast's parser is inside; what it lets through and we do not is
// refused here.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "http/message.h"

namespace homelab::http {

/// What the head of a request says about the connection and the body.
struct RequestHead {
  std::string method;
  std::string target;
  int minor_version = 1;  ///< of HTTP/1.x
  Headers headers;
  bool keep_alive = false;
  bool chunked = false;
  std::optional<std::uint64_t> content_length;
  bool expects_continue = false;

  [[nodiscard]] bool has_body() const { return chunked || content_length.value_or(0) > 0; }
};

/// A refusal: the status to answer with, and why.
struct Refusal {
  int status;
  std::string detail;
};

/// Parses one request. The caller keeps the bytes and removes those that were consumed.
class RequestParser {
 public:
  RequestParser();
  ~RequestParser();
  RequestParser(RequestParser const&) = delete;
  RequestParser& operator=(RequestParser const&) = delete;

  /// `raw` is the whole head including the empty line (find_end_of_head).
  [[nodiscard]] std::optional<Refusal> parse_head(std::string_view raw);
  /// Valid after parse_head; may be moved from.
  [[nodiscard]] RequestHead& head();

  /// Once, after the head: where body bytes are appended (must live as long as the parser), and how
  /// many may come.
  [[nodiscard]] std::optional<Refusal> begin_body(std::string& body, std::size_t limit_bytes);
  /// Takes what it can from `bytes`. `consumed` is set in any case.
  [[nodiscard]] std::optional<Refusal> parse_body(std::string_view bytes, std::size_t& consumed);
  [[nodiscard]] bool done() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Looks for the empty line that ends a head. `scanned` remembers where the last call stopped.
/// A refusal for lines that do not end with CR LF, for NUL bytes and for folded fields.
struct HeadSearch {
  std::optional<std::size_t> end;  ///< size of the head, when complete
  std::optional<Refusal> refusal;
};
[[nodiscard]] HeadSearch find_end_of_head(std::string_view bytes, std::size_t& scanned);

/// Parses one response (of our own engines); body bytes go to the callback as they come.
class ResponseParser {
 public:
  using OnData = std::function<void(std::string_view)>;
  /// `no_body`: the request was HEAD.
  ResponseParser(bool no_body, OnData on_data);
  ~ResponseParser();
  ResponseParser(ResponseParser const&) = delete;
  ResponseParser& operator=(ResponseParser const&) = delete;

  /// Takes what it can; gives how many bytes. kDataLoss for what is no HTTP/1.x response.
  [[nodiscard]] Result<std::size_t> parse(std::string_view bytes);
  /// The peer closed. kUnavailable if that was too early.
  [[nodiscard]] Status end_of_input();
  [[nodiscard]] bool head_done() const;
  [[nodiscard]] bool done() const;
  [[nodiscard]] int status() const;
  [[nodiscard]] Headers const& headers() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace homelab::http
