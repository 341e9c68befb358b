#include "curl_transfer.h"

#include <fmt/format.h>

#include <cstdlib>
#include <exception>

#include "base/log.h"
#include "base/strings.h"
#include "curl_library.h"
#include "curl_loop.h"
#include "text_rules.h"

namespace homelab::http {
namespace {

constexpr long kReceiveBufferBytes = 512L * 1024;
constexpr std::size_t kMaxHeaderBytes = 256UL * 1024;

/// The variables that the curl program reads for a certificate bundle of one's own.
char const* certificate_bundle() {
  for (char const* name : {"CURL_CA_BUNDLE", "SSL_CERT_FILE"}) {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing in this program changes the environment
    if (char const* value = std::getenv(name); value != nullptr && *value != '\0') return value;
  }
  return nullptr;
}

Status check(ClientRequest const& request) {
  if (!is_token(request.method))
    return fail(Code::kInvalidArgument, "HTTP method is not a word: " + request.method);
  if (!is_field_value(request.bearer_token))
    return fail(Code::kInvalidArgument, "the access token holds a line break or control character");
  for (auto const& [name, value] : request.headers.fields()) {
    if (!is_token(name) || !is_field_value(value))
      return fail(Code::kInvalidArgument, "header field " + name + " cannot be sent");
  }
  return {};
}

Code code_of(CURLcode code) {
  switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return Code::kInvalidArgument;
    case CURLE_OPERATION_TIMEDOUT:
      return Code::kDeadlineExceeded;
    case CURLE_ABORTED_BY_CALLBACK:
      return Code::kCancelled;
    case CURLE_OUT_OF_MEMORY:
      return Code::kResourceExhausted;
    case CURLE_TOO_MANY_REDIRECTS:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return Code::kFailedPrecondition;
    default:
      return Code::kUnavailable;
  }
}

std::string advice_for(CURLcode code) {
  if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
    return " (its certificate is not trusted here: install ca-certificates or set SSL_CERT_FILE)";
  if (code == CURLE_COULDNT_RESOLVE_PROXY) return " (check HTTPS_PROXY and HTTP_PROXY)";
  return {};
}

}  // namespace

CurlTransfer::CurlTransfer(std::weak_ptr<CurlLoop> loop, ClientRequest request,
                           TransferCallbacks callbacks)
    : loop_(std::move(loop)), request_(std::move(request)), callbacks_(std::move(callbacks)) {}

CurlTransfer::~CurlTransfer() {
  if (easy_ != nullptr) curl().easy_cleanup(easy_);
  curl().slist_free_all(header_list_);
}

void CurlTransfer::resume() {
  if (auto loop = loop_.lock()) loop->resume(shared_from_this());
}

void CurlTransfer::cancel() {
  if (auto loop = loop_.lock()) loop->cancel(shared_from_this());
}

void CurlTransfer::set_method() {
  if (request_.method == "HEAD") {
    curl().easy_setopt(easy_, CURLOPT_NOBODY, 1L);
  } else if (request_.method == "POST" || !request_.body.empty()) {
    curl().easy_setopt(easy_, CURLOPT_POST, 1L);
    curl().easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE,
                       static_cast<curl_off_t>(request_.body.size()));
    curl().easy_setopt(easy_, CURLOPT_POSTFIELDS, request_.body.c_str());
    if (request_.method != "POST")
      curl().easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  } else if (request_.method != "GET") {
    curl().easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  }
}

void CurlTransfer::set_headers() {
  auto const append = [this](std::string const& line) {
    header_list_ = curl().slist_append(header_list_, line.c_str());
  };
  for (auto const& [name, value] : request_.headers.fields())
    append(value.empty() ? name + ";" : fmt::format("{}: {}", name, value));
  // libcurl drops a field of this name by itself when a redirect leaves host, port or scheme.
  if (!request_.bearer_token.empty()) append("Authorization: Bearer " + request_.bearer_token);
  if (!request_.headers.find("expect")) append("Expect:");
  curl().easy_setopt(easy_, CURLOPT_HTTPHEADER, header_list_);
}

Status CurlTransfer::prepare(Client::Options const& options) {
  RETURN_IF_ERROR(check(request_));
  easy_ = curl().easy_init();
  if (easy_ == nullptr) return fail(Code::kResourceExhausted, "no memory for a transfer");
  curl().easy_setopt(easy_, CURLOPT_PRIVATE, this);
  curl().easy_setopt(easy_, CURLOPT_ERRORBUFFER, error_text_.data());
  curl().easy_setopt(easy_, CURLOPT_URL, request_.url.c_str());
  curl().easy_setopt(easy_, CURLOPT_PROTOCOLS_STR, "http,https");
  curl().easy_setopt(easy_, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  // Large files come over connections of their own; then a pause is plain TCP back-pressure.
  curl().easy_setopt(easy_, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl().easy_setopt(easy_, CURLOPT_FOLLOWLOCATION, request_.max_redirects > 0 ? 1L : 0L);
  curl().easy_setopt(easy_, CURLOPT_MAXREDIRS, static_cast<long>(request_.max_redirects));
  curl().easy_setopt(easy_, CURLOPT_CONNECTTIMEOUT,
                     static_cast<long>(request_.connect_timeout.count()));
  // Not CURLOPT_LOW_SPEED_*: that averages over five seconds, so a stall of one second would take
  // six.
  curl().easy_setopt(easy_, CURLOPT_PREREQFUNCTION, &CurlTransfer::before_request);
  curl().easy_setopt(easy_, CURLOPT_PREREQDATA, this);
  curl().easy_setopt(easy_, CURLOPT_XFERINFOFUNCTION, &CurlTransfer::progress);
  curl().easy_setopt(easy_, CURLOPT_XFERINFODATA, this);
  curl().easy_setopt(easy_, CURLOPT_NOPROGRESS, 0L);
  if (request_.total_timeout)
    curl().easy_setopt(easy_, CURLOPT_TIMEOUT, static_cast<long>(request_.total_timeout->count()));
  if (request_.direct) curl().easy_setopt(easy_, CURLOPT_NOPROXY, "*");
  curl().easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
  curl().easy_setopt(easy_, CURLOPT_TCP_KEEPALIVE, 1L);
  curl().easy_setopt(easy_, CURLOPT_BUFFERSIZE, kReceiveBufferBytes);
  curl().easy_setopt(easy_, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  if (!options.user_agent.empty())
    curl().easy_setopt(easy_, CURLOPT_USERAGENT, options.user_agent.c_str());
  if (char const* bundle = certificate_bundle()) curl().easy_setopt(easy_, CURLOPT_CAINFO, bundle);
  if (request_.range_from)
    curl().easy_setopt(easy_, CURLOPT_RANGE, fmt::format("{}-", *request_.range_from).c_str());
  curl().easy_setopt(easy_, CURLOPT_HEADERFUNCTION, &CurlTransfer::header_line);
  curl().easy_setopt(easy_, CURLOPT_HEADERDATA, this);
  curl().easy_setopt(easy_, CURLOPT_WRITEFUNCTION, &CurlTransfer::body_bytes);
  curl().easy_setopt(easy_, CURLOPT_WRITEDATA, this);
  set_method();
  set_headers();
  return {};
}

std::size_t CurlTransfer::header_line(char* text, std::size_t one, std::size_t size, void* self) {
  auto& transfer = *static_cast<CurlTransfer*>(self);
  try {
    return transfer.take_header_line(std::string_view(text, one * size)) ? one * size : 0;
  } catch (std::exception const& error) {  // must not fly through libcurl's C code
    logger("http")->error("a transfer's head callback threw: {}", error.what());
    transfer.aborted_ = true;
    return 0;
  }
}

bool CurlTransfer::take_header_line(std::string_view line) {
  last_moved_ = std::chrono::steady_clock::now();
  while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
  if (line.empty()) return end_of_head();
  if (line.starts_with("HTTP/") && line.find(':') == std::string_view::npos) {
    headers_ = {};
    std::size_t const blank = std::min(line.find(' '), line.size() - 1);
    status_ = static_cast<int>(parse_uint(line.substr(blank + 1, 3)).value_or(0));
    return true;
  }
  std::size_t const colon = line.find(':');
  // After the head, only trailers come here; nobody needs them.
  if (colon == std::string_view::npos || head_given_) return true;
  headers_.add(trim(line.substr(0, colon)), trim(line.substr(colon + 1)));
  return headers_.fields().size() * 32 < kMaxHeaderBytes;
}

bool CurlTransfer::end_of_head() {
  bool const interim = status_ < 200;
  bool const followed = status_ >= 300 && status_ < 400 && request_.max_redirects > 0 &&
                        headers_.find("location").has_value();
  if (interim || followed || head_given_) return true;
  head_given_ = true;
  if (callbacks_.on_head && !callbacks_.on_head(status_, headers_)) {
    aborted_ = true;
    return false;
  }
  return true;
}

std::size_t CurlTransfer::body_bytes(char* bytes, std::size_t one, std::size_t size, void* self) {
  auto& transfer = *static_cast<CurlTransfer*>(self);
  std::size_t const count = one * size;
  if (!transfer.callbacks_.on_data) return count;
  try {
    switch (transfer.callbacks_.on_data(std::as_bytes(std::span(bytes, count)))) {
      case TransferCallbacks::Flow::kContinue:
        return count;
      case TransferCallbacks::Flow::kPause:
        transfer.paused_ = true;
        return CURL_WRITEFUNC_PAUSE;
      case TransferCallbacks::Flow::kAbort:
        break;
    }
  } catch (std::exception const& error) {
    logger("http")->error("a transfer's data callback threw: {}", error.what());
  }
  transfer.aborted_ = true;
  return count == 0 ? 1 : 0;
}

int CurlTransfer::before_request(void* self, char*, char*, int, int) {
  static_cast<CurlTransfer*>(self)->last_moved_ = std::chrono::steady_clock::now();
  return CURL_PREREQFUNC_OK;
}

int CurlTransfer::progress(void* self, curl_off_t, curl_off_t down, curl_off_t, curl_off_t up) {
  auto& transfer = *static_cast<CurlTransfer*>(self);
  if (down + up != transfer.moved_bytes_) {
    transfer.moved_bytes_ = down + up;
    transfer.last_moved_ = std::chrono::steady_clock::now();
  }
  return 0;
}

bool CurlTransfer::stalled(std::chrono::steady_clock::time_point now) const {
  return !done_ && !paused_ && last_moved_ && now - *last_moved_ >= request_.stall_timeout;
}

Status CurlTransfer::stall_error() const {
  return fail(Code::kDeadlineExceeded,
              fmt::format("{}: no data for {} s", host(), request_.stall_timeout.count()));
}

void CurlTransfer::resume_now() {
  if (done_ || !paused_) return;
  paused_ = false;
  last_moved_ = std::chrono::steady_clock::now();
  curl().easy_pause(easy_, CURLPAUSE_CONT);  // may come back into body_bytes and pause again
}

std::string CurlTransfer::host() const {
  char const* last = nullptr;
  if (easy_ != nullptr) curl().easy_getinfo(easy_, CURLINFO_EFFECTIVE_URL, &last);
  std::string const url = last != nullptr && *last != '\0' ? last : request_.url;
  std::string name = "server";
  CURLU* parts = curl().url();
  if (parts == nullptr) return name;
  char* text = nullptr;
  if (curl().url_set(parts, CURLUPART_URL, url.c_str(), 0) == CURLUE_OK &&
      curl().url_get(parts, CURLUPART_HOST, &text, 0) == CURLUE_OK) {
    name = text;
    curl().free(text);
    if (curl().url_get(parts, CURLUPART_PORT, &text, 0) == CURLUE_OK) {
      name += std::string(":") + text;
      curl().free(text);
    }
  }
  curl().url_cleanup(parts);
  return name;
}

Status CurlTransfer::outcome(CURLcode code) const {
  if (aborted_) return fail(Code::kCancelled, "transfer was stopped");
  switch (code) {
    case CURLE_OK:
      return {};
    case CURLE_PARTIAL_FILE:
      return fail(Code::kUnavailable, host() + ": the answer ended early");
    case CURLE_GOT_NOTHING:
      return fail(Code::kUnavailable, host() + " closed the connection without an answer");
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return fail(Code::kInvalidArgument, "not a usable http or https URL (host: " + host() + ")");
    case CURLE_TOO_MANY_REDIRECTS:
      return fail(Code::kFailedPrecondition,
                  fmt::format("{}: more than {} redirects", host(), request_.max_redirects));
    default:
      break;
  }
  std::string const detail =
      error_text_[0] != '\0' ? error_text_.data() : curl().easy_strerror(code);
  return fail(code_of(code), fmt::format("{}: {}{}", host(), detail, advice_for(code)));
}

void CurlTransfer::finish(Status status) {
  if (done_) return;
  done_ = true;
  if (easy_ != nullptr) {
    char const* last = nullptr;
    curl().easy_getinfo(easy_, CURLINFO_EFFECTIVE_URL, &last);
    if (last != nullptr) effective_url_ = last;
    curl().easy_cleanup(easy_);
    easy_ = nullptr;
  }
  // The callbacks often own the caller, which owns this transfer: let go of them before the last
  // call returns.
  TransferCallbacks const callbacks = std::exchange(callbacks_, {});
  if (!callbacks.on_done) return;
  try {
    callbacks.on_done(std::move(status));
  } catch (std::exception const& error) {
    logger("http")->error("a transfer's done callback threw: {}", error.what());
  }
}

}  // namespace homelab::http
