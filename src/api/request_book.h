#pragma once
// Generations that run or wait, by the id that their client gave or got (X-Request-ID): to list
// them and to end one from elsewhere.
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "http/message.h"

namespace homelab::api {

struct RequestView {
  std::string id;
  std::string path;   ///< "/api/generate"
  std::string model;  ///< a registered name; empty: "the loaded model"
  UtcTime since{};
  bool heard = false;  ///< its engine has answered something
};

/// 1 to 128 of the characters that need no quoting anywhere: letters, digits, "-", "_", ".", ":".
[[nodiscard]] bool is_request_id(std::string_view text);

/// Thread-safe. `cancel` functions are called without the book's lock.
class RequestBook : public std::enable_shared_from_this<RequestBook> {
 public:
  /// A request's entry; it goes with leave() or with this object.
  class Place {
   public:
    Place(std::weak_ptr<RequestBook> book, std::uint64_t number, std::string id)
        : book_(std::move(book)), number_(number), id_(std::move(id)) {}
    ~Place() { leave(); }
    Place(Place const&) = delete;
    Place& operator=(Place const&) = delete;
    [[nodiscard]] std::string const& id() const { return id_; }
    /// The first sign of its engine.
    void heard();
    /// It has ended. Idempotent.
    void leave();

   private:
    std::weak_ptr<RequestBook> book_;
    std::uint64_t const number_;
    std::string const id_;
  };

  /// What changed: "begin", "end". On the thread of the change, without the lock.
  std::function<void(std::string_view what, RequestView const&)> on_change = {};

  /// The request's own id; without one, or with one that is no id or in use, another one.
  [[nodiscard]] std::shared_ptr<Place> enter(http::Request const& request, std::string model,
                                             std::function<void()> cancel);
  /// In the order in which they came.
  [[nodiscard]] std::vector<RequestView> list() const;
  [[nodiscard]] bool has(std::string_view id) const;
  /// False: no such request. It ends soon; its client gets an error.
  bool cancel(std::string_view id);

 private:
  struct Entry {
    std::uint64_t number = 0;
    RequestView view;
    std::function<void()> cancel;
  };
  void leave(std::uint64_t number);
  void heard(std::uint64_t number);
  [[nodiscard]] std::string new_id();

  mutable std::mutex mutex_;
  std::list<Entry> entries_;  // guarded by mutex_, like the rest
  std::uint64_t last_number_ = 0;
};

/// Completes `inner`, with the id in the answer's head.
[[nodiscard]] std::shared_ptr<http::Pending> with_request_id(std::shared_ptr<http::Pending> inner,
                                                             std::string id);

/// The 422 for an X-Request-ID that is no id, the 409 for one in use; for our own routes. Clients
/// of other dialects may send what they like there and get another id.
[[nodiscard]] std::optional<http::Response> refuse_request_id(RequestBook const& book,
                                                              http::Request const& request);

}  // namespace homelab::api
