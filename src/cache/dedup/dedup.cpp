#include "cache/dedup.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "candidates.h"
#include "open_blob.h"

namespace homelab::cache {
namespace {

using sharing::Candidates;
using sharing::OpenBlob;
using sharing::Place;

class Work {
 public:
  Work(DedupOptions const& options, DedupReport& report) : options_(options), report_(report) {}

  void run(Candidates const& candidates);

 private:
  /// True when an earlier run made reflinks of all: then nothing needs to be read.
  [[nodiscard]] bool is_done(Candidates::Group const& group) const;
  void run_group(Candidates::Group const& group);
  /// True when the content is right; else the reason is noted.
  bool verify(OpenBlob const& blob);
  void share(OpenBlob&& blob);
  /// Under both locks; an error says why nothing was done.
  Result<SharedBlob::How> share_with(OpenBlob const& blob, OpenBlob& kept);
  void skip(Path path, std::string why) {
    report_.skipped.push_back({std::move(path), std::move(why)});
  }
  bool stopped() {
    if (options_.stop && options_.stop()) report_.stopped = true;
    return report_.stopped;
  }

  DedupOptions const& options_;
  DedupReport& report_;
  DedupProgress progress_;
  std::vector<OpenBlob> kept_;                          ///< of this group, verified
  std::map<FileIdentity, std::uint64_t> names_left_;    ///< hard links not replaced yet
  std::map<FileIdentity, std::uint64_t> names_listed_;  ///< of this group
};

void Work::run(Candidates const& candidates) {
  for (auto const& group : candidates.groups) {
    for (auto const& place : group.places) progress_.total_bytes += place.size_bytes;
  }
  for (auto const& group : candidates.groups) {
    if (stopped()) return;
    run_group(group);
  }
}

bool Work::is_done(Candidates::Group const& group) const {
  auto const first = sharing::open_blob(group.places[0], group.name);
  return first && std::ranges::all_of(group.places, [&](Place const& place) {
           if (place.identity == first->identity()) return true;
           auto const other = sharing::open_blob(place, group.name);
           return other && sharing::share_blocks(*first, *other);
         });
}

void Work::run_group(Candidates::Group const& group) {
  if (is_done(group)) {
    for (auto const& place : group.places) progress_.done_bytes += place.size_bytes;
    return;
  }
  kept_.clear();
  names_left_.clear();
  names_listed_.clear();
  for (auto const& place : group.places) {
    ++names_listed_[place.identity];
    names_left_[place.identity] = place.names;
  }
  for (auto const& place : group.places) {
    if (stopped()) return;
    auto blob = sharing::open_blob(place, group.name);
    if (!blob) {
      skip(place.repo_folder / "blobs" / group.name.text(), blob.error().message);
      continue;
    }
    auto const is_kept = [&](OpenBlob const& kept) {
      return kept.identity() == blob->identity() || sharing::share_blocks(kept, *blob);
    };
    if (std::ranges::any_of(kept_, is_kept)) {
      progress_.done_bytes += place.size_bytes;
    } else if (!verify(*blob)) {
      continue;
    } else if (kept_.empty()) {
      kept_.push_back(std::move(*blob));
    } else {
      share(std::move(*blob));
    }
  }
}

bool Work::verify(OpenBlob const& blob) {
  auto const on_bytes = [&](std::uint64_t bytes) {
    progress_.done_bytes += bytes;
    if (options_.progress) options_.progress(progress_);
    return !stopped();
  };
  auto const right = sharing::has_right_content(blob, on_bytes);
  if (!right) {
    if (!report_.stopped) skip(blob.path(), right.error().message);
    return false;
  }
  if (!*right)
    skip(blob.path(), "the content is not what the name says; check it with: cache verify");
  return *right;
}

void Work::share(OpenBlob&& blob) {
  FileIdentity const old = blob.identity();
  if (names_listed_[old] < blob.facts.st_nlink) {
    // Replacing our names would free nothing and leave two files where there is one now.
    skip(blob.path(), "it has further hard links elsewhere, for example in a snapshot");
    return;
  }
  std::optional<Error> why;
  for (auto& kept : kept_) {
    auto const how = share_with(blob, kept);
    if (!how) {
      why = how.error();
      continue;
    }
    std::uint64_t const blocks = static_cast<std::uint64_t>(blob.facts.st_blocks) * 512;
    auto& left = names_left_[old];
    if (left > 0) --left;
    report_.shared.push_back({blob.path(), kept.path(),
                              static_cast<std::uint64_t>(blob.facts.st_size),
                              left == 0 ? blocks : 0, *how});
    return;
  }
  skip(blob.path(), why->message);
  // Others of its owner and mode may still be shared with it.
  if (why->code == Code::kFailedPrecondition) kept_.push_back(std::move(blob));
}

Result<SharedBlob::How> Work::share_with(OpenBlob const& blob, OpenBlob& kept) {
  if (options_.dry_run) {
    RETURN_IF_ERROR(sharing::check_replaceable(blob, kept));
    return SharedBlob::How::kNotYet;
  }
  // Tried only, so two programs that take them in different order cannot wait for each other.
  ASSIGN_OR_RETURN(auto const first, kept.lock());
  ASSIGN_OR_RETURN(auto const second, blob.lock());
  if (!kept.is_unchanged() || !blob.is_unchanged())
    return fail(Code::kAborted, "another program changed the blob meanwhile");
  return sharing::replace(blob, kept);
}

}  // namespace

Result<DedupReport> dedup(std::vector<Path> const& hub_folders, DedupOptions const& options) {
  ASSIGN_OR_RETURN(auto const candidates, sharing::find_candidates(hub_folders));
  DedupReport report;
  report.disk_bytes_before = candidates.disk_bytes;
  Work(options, report).run(candidates);
  report.disk_bytes_after = report.disk_bytes_before;
  for (auto const& blob : report.shared) report.disk_bytes_after -= blob.freed_bytes;
  return report;
}

}  // namespace homelab::cache
