#include "message_parser.h"

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include "text_rules.h"

namespace homelab::http {
namespace {

namespace beast_http = boost::beast::http;
using boost::beast::error_code;
using BeastView = boost::beast::string_view;

std::string_view view(BeastView text) { return {text.data(), text.size()}; }

/// Beast's callbacks that requests and responses have in common.
template <bool kIsRequest>
class FieldParser : public beast_http::basic_parser<kIsRequest> {
 public:
  Headers headers;
  bool head_complete = false;

 protected:
  void on_field_impl(beast_http::field, BeastView name, BeastView value, error_code&) override {
    if (!head_complete) headers.add(view(name), view(value));  // later ones are trailers
  }
  void on_header_impl(error_code&) override { head_complete = true; }
  void on_body_init_impl(boost::optional<std::uint64_t> const&, error_code&) override {}
  void on_chunk_header_impl(std::uint64_t, BeastView, error_code&) override {}
  void on_finish_impl(error_code&) override {}
};

class BeastRequest final : public FieldParser<true> {
 public:
  std::string method;
  std::string target;
  int version = 11;
  std::string* body = nullptr;

 private:
  void on_request_impl(beast_http::verb, BeastView method_text, BeastView target_text,
                       int http_version, error_code&) override {
    method.assign(method_text.data(), method_text.size());
    target.assign(target_text.data(), target_text.size());
    version = http_version;
  }
  void on_response_impl(int, BeastView, int, error_code&) override {}
  std::size_t on_body_impl(BeastView bytes, error_code&) override {
    body->append(bytes.data(), bytes.size());
    return bytes.size();
  }
  std::size_t on_chunk_body_impl(std::uint64_t, BeastView bytes, error_code&) override {
    body->append(bytes.data(), bytes.size());
    return bytes.size();
  }
};

class BeastResponse final : public FieldParser<false> {
 public:
  explicit BeastResponse(ResponseParser::OnData callback) : on_data(std::move(callback)) {}
  int status = 0;
  ResponseParser::OnData on_data;

 private:
  void on_request_impl(beast_http::verb, BeastView, BeastView, int, error_code&) override {}
  void on_response_impl(int code, BeastView, int, error_code&) override { status = code; }
  std::size_t on_body_impl(BeastView bytes, error_code&) override {
    if (on_data) on_data(view(bytes));
    return bytes.size();
  }
  std::size_t on_chunk_body_impl(std::uint64_t, BeastView bytes, error_code&) override {
    if (on_data) on_data(view(bytes));
    return bytes.size();
  }
};

constexpr char const* kBodyTooLarge = "the request body is larger than allowed here";

/// Beast 1.81 asserts that it sees at least five bytes when it looks again at a last chunk ("0 CR
/// LF CR LF") that was not complete before. So after a call that took nothing of what it saw, fewer
/// bytes are not shown to it. Bodies of known length take every byte and are never affected.
class Reconsideration {
 public:
  [[nodiscard]] bool too_early(std::size_t available) const {
    return took_nothing_ && available < 5;
  }
  void note(std::size_t used) { took_nothing_ = used == 0; }

 private:
  bool took_nothing_ = false;
};

Refusal bad_request(std::string detail) { return {400, std::move(detail)}; }

std::size_t count_fields(Headers const& headers, std::string_view name) {
  std::size_t count = 0;
  for (auto const& [field, value] : headers.fields())
    count += equals_without_case(field, name) ? 1 : 0;
  return count;
}

std::optional<Refusal> check_framing(RequestHead& head) {
  auto const hosts = count_fields(head.headers, "host");
  if (hosts > 1 || (hosts == 0 && head.minor_version >= 1))
    return bad_request("a request needs exactly one Host field");
  if (count_fields(head.headers, "content-length") > 1)
    return bad_request("more than one Content-Length field");
  auto const encoding = head.headers.find("transfer-encoding");
  if (encoding && !equals_without_case(*encoding, "chunked"))
    return Refusal{501, "the only Transfer-Encoding this server knows is chunked"};
  if (encoding && head.minor_version == 0) return bad_request("HTTP/1.0 has no Transfer-Encoding");
  if (auto const expect = head.headers.find("expect")) {
    if (!equals_without_case(*expect, "100-continue"))
      return Refusal{417, "the only expectation this server knows is 100-continue"};
    head.expects_continue = head.minor_version >= 1;
  }
  return std::nullopt;
}

}  // namespace

struct RequestParser::Impl {
  BeastRequest parser;
  RequestHead head;
  Reconsideration again;
};

RequestParser::RequestParser() : impl_(std::make_unique<Impl>()) {
  impl_->parser.eager(true);
  impl_->parser.body_limit(boost::none);
}
RequestParser::~RequestParser() = default;

std::optional<Refusal> RequestParser::parse_head(std::string_view raw) {
  BeastRequest& parser = impl_->parser;
  // find_end_of_head has already bounded the size.
  parser.header_limit(static_cast<std::uint32_t>(raw.size() + 1));
  error_code error;
  parser.put(boost::asio::const_buffer(raw.data(), raw.size()), error);
  if (error && error != beast_http::error::need_more)
    return bad_request("malformed request: " + error.message());
  if (!parser.is_header_done()) return bad_request("malformed request");

  RequestHead& head = impl_->head;
  head.method = std::move(parser.method);
  head.target = std::move(parser.target);
  head.headers = std::move(parser.headers);
  head.minor_version = parser.version - 10;
  head.keep_alive = parser.keep_alive();
  head.chunked = parser.chunked();
  if (auto const length = parser.content_length()) head.content_length = *length;
  return check_framing(head);
}

RequestHead& RequestParser::head() { return impl_->head; }

std::optional<Refusal> RequestParser::begin_body(std::string& body, std::size_t limit_bytes) {
  impl_->parser.body = &body;
  // Set once: Beast counts it down with every chunk.
  impl_->parser.body_limit(limit_bytes);
  if (impl_->head.content_length.value_or(0) > limit_bytes) return Refusal{413, kBodyTooLarge};
  return std::nullopt;
}

std::optional<Refusal> RequestParser::parse_body(std::string_view bytes, std::size_t& consumed) {
  BeastRequest& parser = impl_->parser;
  consumed = 0;
  if (parser.is_done() || bytes.empty() || impl_->again.too_early(bytes.size()))
    return std::nullopt;
  error_code error;
  consumed = parser.put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
  impl_->again.note(consumed);
  if (!error || error == beast_http::error::need_more) return std::nullopt;
  if (error == beast_http::error::body_limit) return Refusal{413, kBodyTooLarge};
  return bad_request("malformed request body: " + error.message());
}

bool RequestParser::done() const { return impl_->parser.is_done(); }

HeadSearch find_end_of_head(std::string_view bytes, std::size_t& scanned) {
  for (; scanned < bytes.size(); ++scanned) {
    char const c = bytes[scanned];
    if (c == '\0') return {{}, bad_request("a request head must not hold a NUL byte")};
    if (c != '\n') continue;
    if (scanned == 0 || bytes[scanned - 1] != '\r')
      return {{}, bad_request("lines of a request head must end with CR LF")};
    if (scanned >= 3 && bytes[scanned - 2] == '\n') return {scanned + 1, {}};
    // What follows decides whether the field is folded; wait for it.
    if (scanned + 1 == bytes.size()) return {};
    if (bytes[scanned + 1] == ' ' || bytes[scanned + 1] == '\t')
      return {{}, bad_request("a header field must not continue on the next line")};
  }
  return {};
}

struct ResponseParser::Impl {
  explicit Impl(OnData on_data) : parser(std::move(on_data)) {}
  BeastResponse parser;
  Reconsideration again;
};

ResponseParser::ResponseParser(bool no_body, OnData on_data)
    : impl_(std::make_unique<Impl>(std::move(on_data))) {
  impl_->parser.skip(no_body);
  impl_->parser.header_limit(64 * 1024);
  impl_->parser.body_limit(boost::none);
}
ResponseParser::~ResponseParser() = default;

Result<std::size_t> ResponseParser::parse(std::string_view bytes) {
  if (impl_->parser.is_done() || bytes.empty() || impl_->again.too_early(bytes.size()))
    return std::size_t{0};
  error_code error;
  std::size_t const used =
      impl_->parser.put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
  impl_->again.note(used);
  if (error && error != beast_http::error::need_more)
    return fail(Code::kDataLoss, "not an HTTP response: " + error.message());
  return used;
}

Status ResponseParser::end_of_input() {
  if (impl_->parser.is_done()) return {};
  error_code error;
  if (!impl_->parser.got_some()) error = beast_http::error::partial_message;
  if (!error) impl_->parser.put_eof(error);
  if (error) return fail(Code::kUnavailable, "the answer ended early");
  return {};
}

bool ResponseParser::head_done() const { return impl_->parser.is_header_done(); }
bool ResponseParser::done() const { return impl_->parser.is_done(); }
int ResponseParser::status() const { return impl_->parser.status; }
Headers const& ResponseParser::headers() const { return impl_->parser.headers; }

}  // namespace homelab::http
