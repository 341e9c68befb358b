#include "remote.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "base_url.h"

namespace homelab::engine {
namespace {

constexpr std::size_t kSmallAnswerBytes = 4UL << 20U;
constexpr std::size_t kNamesShown = 20;
constexpr std::size_t kQuotedBytes = 200;
constexpr std::chrono::seconds kSmallAnswerSilence{5};

http::ClientRequest client_request(Remote const& remote) {
  http::ClientRequest out;
  out.bearer_token = remote.api_key;
  // A server that sends its clients elsewhere is not the one that was named.
  out.max_redirects = 0;
  out.direct = is_loopback(remote.url);
  return out;
}

class RemoteExchange final : public http::LocalExchange {
 public:
  explicit RemoteExchange(std::shared_ptr<http::Transfer> transfer)
      : transfer_(std::move(transfer)) {}
  void cancel() override { transfer_->cancel(); }

 private:
  std::shared_ptr<http::Transfer> const transfer_;
};

/// The ids in an answer of GET /v1/models; nullopt when it is none.
std::optional<std::vector<std::string>> ids_in(std::string_view body) {
  auto const value = parse_json(body);
  auto const* object = value ? value->if_object() : nullptr;
  auto const* data = object == nullptr ? nullptr : get_array(*object, "data");
  if (data == nullptr) return std::nullopt;
  std::vector<std::string> out;
  for (auto const& entry : *data) {
    auto const* model = entry.if_object();
    if (auto id = model == nullptr ? std::nullopt : get_string(*model, "id"))
      out.push_back(*std::move(id));
  }
  return out;
}

tl::unexpected<Error> not_listed(Remote const& remote, std::string const& wanted,
                                 std::vector<std::string> const& ids) {
  std::string names;
  for (std::size_t i = 0; i < std::min(ids.size(), kNamesShown); ++i)
    names += (i == 0 ? "" : ", ") + ids[i];
  if (ids.size() > kNamesShown) names += fmt::format(" and {} more", ids.size() - kNamesShown);
  return fail(
      Code::kNotFound,
      fmt::format("{} has no model '{}'; it lists: {}. Say which one is meant with \"model\" "
                  "beside the engine's name or URL",
                  remote.url, wanted, names.empty() ? "none" : names));
}

}  // namespace

std::shared_ptr<http::LocalExchange> start_remote(Remote const& remote, http::LocalRequest request,
                                                  http::LocalCallbacks callbacks) {
  auto out = client_request(remote);
  out.method = std::move(request.method);
  out.url = remote.url + request.target;
  out.headers = std::move(request.headers);
  out.body = std::move(request.body);
  out.stall_timeout = std::chrono::ceil<std::chrono::seconds>(request.idle_timeout);
  auto const shared = std::make_shared<http::LocalCallbacks>(std::move(callbacks));
  http::TransferCallbacks transfer;
  transfer.on_head = [shared](int status, http::Headers const& headers) {
    if (shared->on_head) shared->on_head(status, headers);
    return true;
  };
  transfer.on_data = [shared](std::span<std::byte const> bytes) {
    if (shared->on_data)
      shared->on_data({reinterpret_cast<char const*>(bytes.data()), bytes.size()});
    return http::TransferCallbacks::Flow::kContinue;
  };
  transfer.on_done = [shared](Status status) {
    auto const last = std::exchange(*shared, {});
    if (last.on_done) last.on_done(std::move(status));
  };
  return std::make_shared<RemoteExchange>(remote.client.start(std::move(out), std::move(transfer)));
}

Result<http::ClientResponse> fetch_remote(Remote const& remote, std::string const& path,
                                          std::function<bool()> const& cancelled) {
  auto request = client_request(remote);
  request.url = remote.url + path;
  request.connect_timeout = kSmallAnswerSilence;
  request.stall_timeout = kSmallAnswerSilence;
  return remote.client.fetch(std::move(request), kSmallAnswerBytes, cancelled);
}

Result<std::string> find_remote_model(Remote const& remote, std::string const& wanted,
                                      std::vector<std::string> const& likely,
                                      std::function<bool()> const& cancelled) {
  ASSIGN_OR_RETURN(auto const answer, fetch_remote(remote, "/v1/models", cancelled));
  if (answer.status == 401 || answer.status == 403)
    return fail(
        Code::kPermissionDenied,
        fmt::format("{} refuses {} (status {}); name the variable that holds its key with "
                    "api_key_env in the engines file",
                    remote.url, remote.api_key.empty() ? "requests without a key" : "the key",
                    answer.status));
  if (answer.status >= 500)
    return fail(Code::kUnavailable,
                fmt::format("{} answers GET /v1/models with status {}: {}", remote.url,
                            answer.status, answer.body.substr(0, kQuotedBytes)));
  auto const ids = answer.status == 200 ? ids_in(answer.body) : std::nullopt;
  if (!ids) {
    if (answer.status == 404 || answer.status == 405) return wanted.empty() ? likely.at(0) : wanted;
    return fail(Code::kDataLoss,
                fmt::format("{} is no server with OpenAI's API: GET /v1/models gives status {}: {}",
                            remote.url, answer.status, answer.body.substr(0, kQuotedBytes)));
  }
  auto const listed = [&](std::string const& name) {
    return std::ranges::find(*ids, name) != ids->end();
  };
  if (!wanted.empty())
    return listed(wanted) ? Result<std::string>(wanted) : not_listed(remote, wanted, *ids);
  for (auto const& name : likely)
    if (listed(name)) return name;
  if (ids->size() == 1) return ids->front();
  return not_listed(remote, likely.at(0), *ids);
}

}  // namespace homelab::engine
