#include "hub/hub_api.h"

#include <fmt/format.h>

#include <thread>

#include "answers.h"
#include "base/strings.h"
#include "http/client.h"
#include "retry.h"

namespace homelab::hub {
namespace {

constexpr std::size_t kAnswerLimitBytes = 32ULL << 20;
constexpr std::size_t kPageLimit = 1000;
constexpr std::size_t kFileLimit = 500'000;
constexpr std::chrono::seconds kAnswerTimeout{60};

/// False when the wait was cut short by `cancelled`.
bool wait_unless(std::chrono::milliseconds wait, Cancelled const& cancelled) {
  auto const end = std::chrono::steady_clock::now() + wait;
  for (;;) {
    if (cancelled && cancelled()) return false;
    auto const now = std::chrono::steady_clock::now();
    if (now >= end) return true;
    std::this_thread::sleep_for(
        std::min<std::chrono::steady_clock::duration>(end - now, std::chrono::milliseconds(50)));
  }
}

/// One API answer with status 200, after retries. `what` names the thing in errors.
class Asker {
 public:
  Asker(http::Client& client, HubOptions const& options, Cancelled const& cancelled)
      : client_(client), options_(options), cancelled_(cancelled) {}

  Result<http::ClientResponse> get(std::string const& url, std::string const& what) const {
    if (options_.offline)
      return fail(Code::kUnavailable,
                  fmt::format("{}: not asked, because HF_HUB_OFFLINE is set", what));
    RetryBudget budget(options_.retry_unit);
    for (;;) {
      auto answer = client_.fetch(request_for(url), kAnswerLimitBytes, cancelled_);
      if (answer && answer->status == 200) return answer;
      Error const error = answer ? error_of_answer(answer->status, answer->headers, what,
                                                   options_.endpoint, !options_.token.empty())
                                 : Error(answer.error()).in(what);
      bool const again = answer ? is_retryable_status(answer->status) : is_retryable(error.code);
      auto const wait =
          again ? budget.next_wait(false, answer ? asked_wait(answer->headers) : std::nullopt)
                : std::nullopt;
      if (!wait) return fail(error);
      if (!wait_unless(*wait, cancelled_))
        return fail(Code::kCancelled, fmt::format("{}: cancelled", what));
    }
  }

 private:
  http::ClientRequest request_for(std::string const& url) const {
    http::ClientRequest request;
    request.url = url;
    request.headers.set("Accept", "application/json");
    request.total_timeout = kAnswerTimeout;
    // A mirror that passes on a foreign "next page" must not get the token sent there.
    if (origin_of(url) == origin_of(options_.endpoint)) request.bearer_token = options_.token;
    return request;
  }

  http::Client& client_;
  HubOptions const& options_;
  Cancelled const& cancelled_;
};

Error at_endpoint(Error error, std::string const& what, std::string const& endpoint) {
  return std::move(error).in(fmt::format("{} from {}", what, endpoint));
}

}  // namespace

HubApi::HubApi(http::Client& client, HubOptions options)
    : client_(client), options_(std::move(options)) {
  while (options_.endpoint.ends_with('/')) options_.endpoint.pop_back();
}

Result<cache::CommitHash> HubApi::commit_of(cache::RepoId const& repo,
                                            cache::Revision const& revision,
                                            Cancelled const& cancelled) const {
  if (revision.is_commit()) return cache::CommitHash::parse(revision.text());
  ASSIGN_OR_RETURN(auto remote, remote_revision(repo, revision, cancelled));
  return std::move(remote.commit);
}

Result<RemoteRevision> HubApi::remote_revision(cache::RepoId const& repo,
                                               cache::Revision const& revision,
                                               Cancelled const& cancelled) const {
  std::string const what = fmt::format("{} at {}", repo.text(), revision.text());
  std::string const url =
      fmt::format("{}/api/models/{}/revision/{}", options_.endpoint,
                  percent_encode(repo.text(), "/"), percent_encode(revision.text()));
  ASSIGN_OR_RETURN(auto const answer, Asker(client_, options_, cancelled).get(url, what));
  auto remote = parse_repo_info(answer.body);
  if (!remote) return fail(at_endpoint(remote.error(), what, options_.endpoint));
  return remote;
}

Result<cache::Tree> HubApi::tree(cache::RepoId const& repo, cache::CommitHash const& commit,
                                 Cancelled const& cancelled) const {
  std::string const what = fmt::format("files of {} at {}", repo.text(), commit.text());
  std::optional<std::string> url =
      fmt::format("{}/api/models/{}/tree/{}?recursive=true&expand=false", options_.endpoint,
                  percent_encode(repo.text(), "/"), commit.text());
  Asker const asker(client_, options_, cancelled);
  std::vector<cache::TreeFile> files;
  for (std::size_t page = 0; url; ++page) {
    if (page >= kPageLimit || files.size() > kFileLimit)
      return fail(Code::kResourceExhausted,
                  fmt::format("{}: the listing does not end after {} pages and {} files", what,
                              page, files.size()));
    ASSIGN_OR_RETURN(auto const answer, asker.get(*url, what));
    auto const status = parse_tree_page(answer.body, files);
    if (!status) return fail(at_endpoint(status.error(), what, options_.endpoint));
    url = next_link(answer.headers.find("Link").value_or(""));
    if (url && !origin_of(*url))
      return fail(Code::kDataLoss, fmt::format("{}: the next page is no http(s) URL", what));
  }
  auto tree = make_tree(std::move(files));
  if (!tree) return fail(at_endpoint(tree.error(), what, options_.endpoint));
  return tree;
}

std::string HubApi::file_url(cache::RepoId const& repo, cache::CommitHash const& commit,
                             cache::RepoPath const& path) const {
  return fmt::format("{}/{}/resolve/{}/{}", options_.endpoint, percent_encode(repo.text(), "/"),
                     commit.text(), percent_encode(path.text(), "/"));
}

}  // namespace homelab::hub
