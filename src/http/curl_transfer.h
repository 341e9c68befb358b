#pragma once
// One libcurl transfer. Everything but the two public calls of Transfer happens on the transfer
// thread.
#include <curl/curl.h>

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "http/client.h"

namespace homelab::http {

class CurlLoop;

class CurlTransfer final : public Transfer, public std::enable_shared_from_this<CurlTransfer> {
 public:
  CurlTransfer(std::weak_ptr<CurlLoop> loop, ClientRequest request, TransferCallbacks callbacks);
  ~CurlTransfer() override;
  CurlTransfer(CurlTransfer const&) = delete;
  CurlTransfer& operator=(CurlTransfer const&) = delete;

  void resume() override;
  void cancel() override;

  // For the loop:
  [[nodiscard]] Status prepare(Client::Options const& options);
  [[nodiscard]] CURL* easy() const { return easy_; }
  void resume_now();
  /// True if no byte has moved for the request's stall_timeout. Waiting for a connection or a pause
  /// does not count.
  [[nodiscard]] bool stalled(std::chrono::steady_clock::time_point now) const;
  [[nodiscard]] Status stall_error() const;
  /// What libcurl says at the end, as one of our errors. Never holds tokens, paths or query
  /// strings.
  [[nodiscard]] Status outcome(CURLcode code) const;
  /// Calls on_done, once; later calls do nothing. Gives libcurl's handle back.
  void finish(Status status);
  /// Of the last response; to be read after on_done has come.
  [[nodiscard]] std::string const& effective_url() const { return effective_url_; }

 private:
  static std::size_t header_line(char* text, std::size_t one, std::size_t size, void* self);
  static std::size_t body_bytes(char* bytes, std::size_t one, std::size_t size, void* self);
  static int before_request(void* self, char*, char*, int, int);
  static int progress(void* self, curl_off_t, curl_off_t down, curl_off_t, curl_off_t up);
  [[nodiscard]] bool take_header_line(std::string_view line);
  [[nodiscard]] bool end_of_head();
  void set_method();
  void set_headers();
  [[nodiscard]] std::string host() const;

  std::weak_ptr<CurlLoop> loop_;
  ClientRequest request_;
  TransferCallbacks callbacks_;
  CURL* easy_ = nullptr;
  curl_slist* header_list_ = nullptr;
  std::array<char, CURL_ERROR_SIZE> error_text_{};
  int status_ = 0;
  Headers headers_;
  bool head_given_ = false;
  bool aborted_ = false;
  bool paused_ = false;
  bool done_ = false;
  std::optional<std::chrono::steady_clock::time_point> last_moved_;  // from the first request on
  curl_off_t moved_bytes_ = 0;
  std::string effective_url_;
};

}  // namespace homelab::http
