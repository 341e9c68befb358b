#include "request_book.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "base/json.h"
#include "replies.h"

namespace homelab::api {
namespace {

constexpr std::string_view kHeader = "x-request-id";
constexpr std::size_t kLongestId = 128;

bool is_id_character(char c) {
  bool const letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return letter || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == ':';
}

class PendingWithId final : public http::Pending {
 public:
  PendingWithId(std::shared_ptr<http::Pending> inner, std::string id)
      : inner_(std::move(inner)), id_(std::move(id)) {}
  void complete(http::Response response) override {
    response.headers.set(kHeader, id_);
    inner_->complete(std::move(response));
  }
  void complete(http::StreamReply reply) override {
    reply.headers.set(kHeader, id_);
    inner_->complete(std::move(reply));
  }
  void on_client_gone(std::function<void()> callback) override {
    inner_->on_client_gone(std::move(callback));
  }

 private:
  std::shared_ptr<http::Pending> const inner_;
  std::string const id_;
};

}  // namespace

bool is_request_id(std::string_view text) {
  return !text.empty() && text.size() <= kLongestId && std::ranges::all_of(text, is_id_character);
}

void RequestBook::Place::heard() {
  if (auto const book = book_.lock()) book->heard(number_);
}

void RequestBook::Place::leave() {
  if (auto const book = book_.lock()) book->leave(number_);
}

std::string RequestBook::new_id() {
  std::random_device random;
  return fmt::format("req-{:08x}{:08x}-{:x}", random(), random(), last_number_);
}

std::shared_ptr<RequestBook::Place> RequestBook::enter(http::Request const& request,
                                                       std::string model,
                                                       std::function<void()> cancel) {
  std::string wanted(request.headers.find(kHeader).value_or(""));
  Entry entry;
  entry.view.path = request.path;
  entry.view.model = std::move(model);
  entry.view.since = utc_now();
  entry.cancel = std::move(cancel);
  std::unique_lock lock(mutex_);
  entry.number = ++last_number_;
  bool const taken =
      std::ranges::any_of(entries_, [&](Entry const& one) { return one.view.id == wanted; });
  entry.view.id = is_request_id(wanted) && !taken ? std::move(wanted) : new_id();
  auto const view = entry.view;
  auto const number = entry.number;
  entries_.push_back(std::move(entry));
  lock.unlock();
  if (on_change) on_change("begin", view);
  return std::make_shared<Place>(weak_from_this(), number, view.id);
}

std::vector<RequestView> RequestBook::list() const {
  std::lock_guard const lock(mutex_);
  std::vector<RequestView> out;
  out.reserve(entries_.size());
  for (Entry const& entry : entries_) out.push_back(entry.view);
  return out;
}

bool RequestBook::has(std::string_view id) const {
  std::lock_guard const lock(mutex_);
  return std::ranges::any_of(entries_, [&](Entry const& one) { return one.view.id == id; });
}

bool RequestBook::cancel(std::string_view id) {
  std::function<void()> cancel;
  {
    std::lock_guard const lock(mutex_);
    auto const found =
        std::ranges::find_if(entries_, [&](Entry const& one) { return one.view.id == id; });
    if (found == entries_.end()) return false;
    cancel = found->cancel;
  }
  // Without the lock: its end may come from inside this call.
  cancel();
  return true;
}

void RequestBook::heard(std::uint64_t number) {
  std::lock_guard const lock(mutex_);
  for (Entry& entry : entries_)
    if (entry.number == number) entry.view.heard = true;
}

void RequestBook::leave(std::uint64_t number) {
  std::list<Entry> gone;  // outside the lock: it owns other objects
  {
    std::lock_guard const lock(mutex_);
    auto const found =
        std::ranges::find_if(entries_, [&](Entry const& one) { return one.number == number; });
    if (found == entries_.end()) return;
    gone.splice(gone.begin(), entries_, found);
  }
  if (on_change) on_change("end", gone.front().view);
}

std::shared_ptr<http::Pending> with_request_id(std::shared_ptr<http::Pending> inner,
                                               std::string id) {
  return std::make_shared<PendingWithId>(std::move(inner), std::move(id));
}

std::optional<http::Response> refuse_request_id(RequestBook const& book,
                                                http::Request const& request) {
  auto const id = request.headers.find(kHeader);
  if (!id) return std::nullopt;
  if (!is_request_id(*id)) {
    json::object const entry{
        {"type", "value_error"},
        {"loc", {"header", kHeader}},
        {"msg", fmt::format("Value error, must be 1 to {} letters, digits, '-', '_', '.' or ':'",
                            kLongestId)},
        {"input", *id},
        {"ctx", {{"error", json::object()}}}};
    return json_reply(422, json::object{{"detail", json::array{entry}}});
  }
  if (book.has(*id))
    return detail_reply(409, fmt::format("request '{}' is still running; give another id, or end "
                                         "it with DELETE /api/requests/{}",
                                         *id, *id));
  return std::nullopt;
}

}  // namespace homelab::api
