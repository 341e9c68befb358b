#include "hub/repair.h"

#include <fmt/format.h>

#include <map>

#include "blob_fetcher.h"

namespace homelab::hub {
namespace {

/// The work on one repository; commits one after the other.
class Repair {
 public:
  Repair(http::Client& client, HubApi const& api, Downloader::Options const& options,
         RepairRequest const& request, cache::RepoWriter const& writer)
      : client_(client), api_(api), options_(options), request_(request), writer_(writer) {}

  Status fetch(cache::CommitHash const& commit, std::vector<cache::RepoPath> const& paths,
               RepairOutcome& outcome) {
    ASSIGN_OR_RETURN(auto const tree, tree_of(commit));
    std::vector<cache::TreeFile> files;
    std::vector<cache::RepoWriter::Link> links;
    for (auto const& path : paths) {
      auto const* file = tree.find(path.text());
      if (file == nullptr)
        return fail(Code::kNotFound, fmt::format("{} has no file {} at {}", request_.repo.text(),
                                                 path.text(), commit.text()));
      ASSIGN_OR_RETURN(auto name, file->blob_name());
      files.push_back(*file);
      links.push_back({path, std::move(name)});
    }
    BlobFetcher fetcher({client_, api_, writer_, commit, options_, machinery(), request_.cancelled,
                         request_.on_progress});
    auto const fetched = fetcher.run(files);
    outcome.downloaded_bytes += fetcher.downloaded_bytes();
    RETURN_IF_ERROR(fetched);
    return writer_.link_all(commit, links);
  }

  Status list_anew(cache::CommitHash const& commit) const {
    ASSIGN_OR_RETURN(auto const tree, api_.tree(request_.repo, commit, request_.cancelled));
    return writer_.write_tree(commit, tree);
  }

 private:
  Result<cache::Tree> tree_of(cache::CommitHash const& commit) const {
    if (auto stored = writer_.folder().read_tree(commit); stored && *stored)
      return std::move(**stored);
    return api_.tree(request_.repo, commit, request_.cancelled);
  }

  std::shared_ptr<Machinery> machinery() {
    if (!machinery_) machinery_ = std::make_shared<Machinery>(options_.write_threads);
    return machinery_;
  }

  http::Client& client_;
  HubApi const& api_;
  Downloader::Options const& options_;
  RepairRequest const& request_;
  cache::RepoWriter const& writer_;
  std::shared_ptr<Machinery> machinery_;
};

}  // namespace

Result<RepairOutcome> repair(http::Client& client, HubApi const& api,
                             Downloader::Options const& options, RepairRequest const& request) {
  ASSIGN_OR_RETURN(auto const writer, cache::RepoWriter::open(request.hub_folder, request.repo));
  Repair work(client, api, options, request, writer);
  RepairOutcome outcome;
  // Listings first: the files are looked up in them.
  for (auto const& commit : request.listings)
    if (auto const listed = work.list_anew(commit); !listed)
      outcome.errors.push_back(listed.error());
  std::map<cache::CommitHash, std::vector<cache::RepoPath>> by_commit;
  for (auto const& file : request.files) by_commit[file.commit].push_back(file.path);
  for (auto const& [commit, paths] : by_commit)
    if (auto const fetched = work.fetch(commit, paths, outcome); !fetched)
      outcome.errors.push_back(fetched.error());
  return outcome;
}

}  // namespace homelab::hub
