#include "check_plan.h"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include "folder_at.h"

namespace homelab::cache {
namespace {

using Kind = VerifyFinding::Kind;
using State = EntryFacts::State;

constexpr std::size_t kMaxTreeBytes = 64 * 1024 * 1024;

std::optional<BlobName> listed_blob(TreeFile const* file) {
  if (file == nullptr) return std::nullopt;
  auto name = file->blob_name();
  return name ? std::optional(std::move(*name)) : std::nullopt;
}

class Planner {
 public:
  explicit Planner(RepoScan const& scan) : scan_(scan) {}

  CheckPlan make() {
    for (auto const& blob : scan_.blobs) add_blob(blob);
    for (auto const& revision : scan_.revisions) add_revision(revision);
    return std::move(plan_);
  }

 private:
  void add_blob(BlobFacts const& blob) {
    if (blob.hash()) {
      plan_.tasks.push_back({"blobs/" + blob.name, *blob.hash(), blob.size_bytes});
      return;
    }
    auto& finding = add(Kind::kUncheckable, scan_.folder / "blobs" / blob.name,
                        "its name is no hash, so nothing says what it must hold");
    finding.blob = blob.name;
    finding.size_bytes = blob.size_bytes;
  }

  void add_revision(RevisionFacts const& revision) {
    auto const tree = read_tree(revision.commit);
    std::map<std::string_view, EntryFacts const*> entries;
    for (auto const& entry : revision.entries) entries.emplace(entry.path, &entry);
    for (auto const& entry : revision.entries)
      add_entry(revision.commit, entry, tree ? tree->find(entry.path) : nullptr);
    if (!tree) return;
    for (auto const& file : tree->files)
      if (!entries.contains(file.path.text())) add_absent(revision.commit, file);
  }

  std::optional<Tree> read_tree(CommitHash const& commit) {
    Path const path = scan_.folder / "trees" / (commit.text() + ".json");
    auto const text = read_regular_file(path, kMaxTreeBytes);
    if (!text && text.error().code == Code::kNotFound) return std::nullopt;
    if (!text) {
      add(Kind::kUncheckable, path, "the commit's listing cannot be read: " + text.error().message);
      return std::nullopt;
    }
    auto tree = parse_tree_json(*text);
    if (tree) return std::move(*tree);
    add(Kind::kBadListing, path, tree.error().message + "; remove it, it is fetched again");
    return std::nullopt;
  }

  void add_entry(CommitHash const& commit, EntryFacts const& entry, TreeFile const* listed) {
    auto const wanted = listed_blob(listed);
    switch (entry.state) {
      case State::kLink:
        return add_link(commit, entry, listed);
      case State::kFile:
        return add_plain(commit, entry, listed);
      case State::kDangling: {
        auto& finding = add_for(commit, entry.path, Kind::kDangling, "its content is missing");
        if (wanted) finding.blob = wanted->text();
        if (listed) finding.size_bytes = listed->size_bytes;
        return;
      }
      case State::kOutside:
        add_for(commit, entry.path, Kind::kUncheckable, "it leads out of the cache; not followed");
    }
  }

  void add_link(CommitHash const& commit, EntryFacts const& entry, TreeFile const* listed) {
    auto const wanted = listed_blob(listed);
    if (!entry.blob || !wanted) return;
    auto const& blob = scan_.blobs.at(*entry.blob);
    if (blob.name != wanted->text()) {
      auto& finding =
          add_for(commit, entry.path, Kind::kWrongLink,
                  fmt::format("it shows {}, the commit lists {}", blob.name, wanted->text()));
      finding.blob = wanted->text();
      finding.size_bytes = listed->size_bytes;
    } else if (blob.size_bytes != listed->size_bytes) {
      plan_.disputes.push_back({blob.name, {commit, entry.path}, listed->size_bytes});
    }
  }

  /// A regular file stands where other caches have a link: the listing knows what it must be.
  void add_plain(CommitHash const& commit, EntryFacts const& entry, TreeFile const* listed) {
    if (entry.blob) return add_link(commit, entry, listed);  // a hard link: the blob is checked
    auto const wanted = listed_blob(listed);
    if (wanted) {
      plan_.tasks.push_back(
          {fmt::format("snapshots/{}/{}", commit.text(), entry.path), *wanted, entry.size_bytes});
      return;
    }
    add_for(commit, entry.path, Kind::kUncheckable,
            "a file placed by hand or without a listing; nothing says what it must hold");
  }

  void add_absent(CommitHash const& commit, TreeFile const& file) {
    auto& finding = add_for(commit, file.path.text(), Kind::kNotDownloaded,
                            "listed by the commit, not downloaded");
    finding.size_bytes = file.size_bytes;
    if (auto const name = listed_blob(&file)) finding.blob = name->text();
  }

  VerifyFinding& add(Kind kind, Path path, std::string what) {
    VerifyFinding finding;
    finding.kind = kind;
    finding.path = std::move(path);
    finding.what = std::move(what);
    return plan_.findings.emplace_back(std::move(finding));
  }

  VerifyFinding& add_for(CommitHash const& commit, std::string const& path, Kind kind,
                         std::string what) {
    auto& finding = add(kind, scan_.folder / "snapshots" / commit.text() / path, std::move(what));
    finding.entries.push_back({commit, path});
    return finding;
  }

  RepoScan const& scan_;
  CheckPlan plan_;
};

}  // namespace

CheckPlan plan_check(RepoScan const& scan) { return Planner(scan).make(); }

}  // namespace homelab::cache
