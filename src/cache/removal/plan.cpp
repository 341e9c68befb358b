// From a wish to the list of what goes, in order, with what it frees.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <system_error>
#include <utility>

#include "cache/removal.h"

namespace homelab::cache {
namespace {

constexpr std::array<std::pair<RemovalKind, std::string_view>, 9> kKinds{{
    {RemovalKind::kRef, "ref"},
    {RemovalKind::kSnapshot, "snapshot"},
    {RemovalKind::kEntry, "entry"},
    {RemovalKind::kBlob, "blob"},
    {RemovalKind::kPayload, "payload"},
    {RemovalKind::kTree, "tree"},
    {RemovalKind::kAbsences, "absences"},
    {RemovalKind::kLeftover, "leftover"},
    {RemovalKind::kFolder, "folder"},
}};

Path real_path(Path const& path) {
  std::error_code error;
  Path real = std::filesystem::weakly_canonical(path, error);
  return error ? path.lexically_normal() : real;
}

/// What in this repository must stay, and why.
class Protection {
 public:
  Protection(RepoScan const& scan, std::span<Need const> needs) {
    Path const folder = real_path(scan.folder);
    for (Need const& need : needs) add(scan, folder, need);
  }

  /// Empty: nobody needs it.
  [[nodiscard]] std::string why(CommitHash const& commit) const {
    auto const found = commits_.find(commit);
    return found == commits_.end() ? all_ : found->second;
  }
  [[nodiscard]] std::string why_any() const {
    return commits_.empty() ? all_ : commits_.begin()->second;
  }

 private:
  void add(RepoScan const& scan, Path const& folder, Need const& need) {
    Path const path = real_path(need.path);
    auto const [rest, inner] =
        std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
    if (rest != folder.end()) return;
    std::optional<CommitHash> named;
    if (inner != path.end() && *inner == "snapshots" && std::next(inner) != path.end())
      if (auto commit = CommitHash::parse(std::next(inner)->string())) named = *std::move(commit);
    bool any = false;
    for (RevisionFacts const& revision : scan.revisions) {
      bool const by_ref = need.revision &&
                          (revision.commit.text() == *need.revision ||
                           std::ranges::find(revision.refs, *need.revision) != revision.refs.end());
      if (!by_ref && need.commit != revision.commit && named != revision.commit) continue;
      commits_.emplace(revision.commit, need.why);
      any = true;
    }
    // Which revision is meant cannot be told from the disk: all of them may be.
    if (!any && all_.empty()) all_ = need.why;
  }

  std::map<CommitHash, std::string> commits_;
  std::string all_;
};

/// Collects what goes; RemovalKind's order is the order of the list.
class Planner {
 public:
  Planner(RepoScan const& scan, Proposal const& proposal, Protection const& protection,
          DiskFacts const& facts, bool force)
      : scan_(scan), wish_(proposal.wish), protection_(protection), facts_(facts), force_(force) {
    plan_.hub_folder = scan.folder.parent_path();
    plan_.repo_folder_name = scan.folder.filename().string();
    plan_.type = scan.type;
    plan_.id = scan.id;
    for (Kept const& one : proposal.kept) plan_.kept.push_back({below_hub(one.path), one.why});
  }

  RemovalPlan run() && {
    if (wish_.everything && !allow_everything()) return std::move(plan_);
    choose_revisions();
    choose_files();
    choose_refs();
    std::set<std::string> const blobs = choose_blobs();
    choose_payloads(blobs);
    choose_listings();
    choose_leftovers();
    if (wish_.everything || wish_.folder_if_empty) {
      add(RemovalKind::kFolder, "", "nothing remains in it", 0);
      plan_.items.back().if_bare = !wish_.everything;
    }
    settle();
    return std::move(plan_);
  }

 private:
  bool allow_everything() {
    std::string why = protection_.why_any();
    bool const live = std::ranges::any_of(scan_.leftovers, &Leftover::live);
    if (live) {
      refuse("", "it is being downloaded right now");
      return false;
    }
    if (why.empty()) return true;
    if (!force_)
      refuse("", why);
    else
      plan_.kept.push_back({plan_.repo_folder_name, "removed although it is " + why});
    return force_;
  }

  /// True when it may go.
  bool allow(CommitHash const& commit, std::string const& path) {
    std::string const why = protection_.why(commit);
    if (why.empty() || wish_.everything) return true;
    if (force_)
      plan_.kept.push_back({plan_.repo_folder_name + "/" + path, "removed although it is " + why});
    else
      refuse(path, why);
    return force_;
  }

  void choose_revisions() {
    for (RevisionFacts const& revision : scan_.revisions) {
      if (!wish_.everything && !wish_.revisions.contains(revision.commit)) continue;
      std::string const path = "snapshots/" + revision.commit.text();
      if (!allow(revision.commit, path)) continue;
      gone_.insert(revision.commit);
      for (std::string const& ref : revision.refs)
        add_ref(ref, revision.commit.text(), "names a revision that goes");
      std::uint64_t plain_bytes = 0;
      for (EntryFacts const& entry : revision.entries)
        if (entry.state == EntryFacts::State::kFile) plain_bytes += entry.size_bytes;
      add(RemovalKind::kSnapshot, path,
          revision.refs.empty() ? "revision without a ref"
                                : fmt::format("revision {}", fmt::join(revision.refs, ", ")),
          plain_bytes);
    }
  }

  void choose_files() {
    for (RevisionFacts const& revision : scan_.revisions) {
      auto const wanted = wish_.files.find(revision.commit);
      if (wanted == wish_.files.end() || gone_.contains(revision.commit)) continue;
      for (EntryFacts const& entry : revision.entries) {
        if (!wanted->second.contains(entry.path)) continue;
        std::string const path = "snapshots/" + revision.commit.text() + "/" + entry.path;
        if (!allow(revision.commit, path)) continue;
        gone_files_.insert(path);
        bool const plain = entry.state == EntryFacts::State::kFile;
        add(RemovalKind::kEntry, path, "asked for", plain ? entry.size_bytes : 0);
      }
    }
  }

  void choose_refs() {
    for (RevisionFacts const& revision : scan_.revisions)
      for (std::string const& ref : revision.refs)
        if (wish_.refs.contains(ref) && !gone_.contains(revision.commit) &&
            allow(revision.commit, "refs/" + ref))
          add_ref(ref, revision.commit.text(), "asked for");
    for (auto const& [ref, commit] : scan_.dangling_refs)
      if (wish_.everything || wish_.refs.contains(ref))
        add_ref(ref, commit, "names a revision that is not here");
  }

  void add_ref(std::string const& ref, std::string const& commit, std::string why) {
    add(RemovalKind::kRef, "refs/" + ref, std::move(why), 0);
    plan_.items.back().commit = commit;
  }

  std::set<std::string> choose_blobs() {
    std::vector<std::size_t> users(scan_.blobs.size(), 0);
    for (RevisionFacts const& revision : scan_.revisions) {
      if (gone_.contains(revision.commit)) continue;
      std::string const prefix = "snapshots/" + revision.commit.text() + "/";
      for (EntryFacts const& entry : revision.entries)
        if (entry.blob && !gone_files_.contains(prefix + entry.path)) ++users.at(*entry.blob);
    }
    std::set<std::string> chosen;
    if (!scan_.complete && !wish_.everything) {
      // What could not be read may need any of them.
      plan_.kept.push_back({below_hub("blobs"), "not everything in the repository can be read"});
      return chosen;
    }
    for (std::size_t i = 0; i < scan_.blobs.size(); ++i) {
      BlobFacts const& blob = scan_.blobs[i];
      bool const asked = wish_.everything || wish_.blobs.contains(blob.name);
      if (users[i] > 0 || (blob.entries == 0 && !asked)) continue;
      add(RemovalKind::kBlob, "blobs/" + blob.name,
          blob.entries == 0 ? "nothing refers to it" : "no remaining revision uses it",
          blob.size_bytes);
      chosen.insert(blob.name);
    }
    return chosen;
  }

  void choose_payloads(std::set<std::string> const& blobs) {
    std::map<std::string, StorePayload> payloads;
    std::map<std::string, std::uint64_t> sizes;
    std::set<std::string> going;
    for (BlobFacts const& blob : scan_.blobs) {
      if (!blob.in_shared_store || !blobs.contains(blob.name)) continue;
      std::string const path = plan_.repo_folder_name + "/blobs/" + blob.name;
      going.insert(path);
      auto payload = facts_.payload(path);
      if (!payload) continue;
      std::string const place = payload->path;
      sizes[place] = blob.size_bytes;
      payloads.emplace(place, *std::move(payload));
    }
    for (auto const& [path, payload] : payloads) {
      if (!payload.references) {
        plan_.kept.push_back({path, "its list of users cannot be read"});
      } else if (!std::ranges::includes(going, *payload.references)) {
        plan_.kept.push_back({path, "another repository uses it"});
      } else {
        add_at(RemovalKind::kPayload, path, "no repository uses it", sizes[path]);
      }
    }
  }

  void choose_listings() {
    for (std::string const& commit : facts_.listings) {
      bool const gone =
          std::ranges::any_of(gone_, [&](CommitHash const& one) { return one.text() == commit; });
      if (!gone && !wish_.everything && !wish_.listings.contains(commit)) continue;
      add_if_there(RemovalKind::kTree, "trees/" + commit + ".json", "listing of a gone revision");
      add_if_there(RemovalKind::kAbsences, ".no_exist/" + commit, "notes on a gone revision");
    }
  }

  void choose_leftovers() {
    for (std::size_t i = 0; i < scan_.leftovers.size(); ++i) {
      Leftover const& left = scan_.leftovers[i];
      if ((!wish_.everything && !wish_.leftovers.contains(i)) || left.live) continue;
      add_at(RemovalKind::kLeftover, below_hub(left.path), why_left(left.kind), left.disk_bytes);
    }
  }

  static std::string why_left(Leftover::Kind kind) {
    switch (kind) {
      case Leftover::Kind::kOwnPartial:
        return "unfinished download of this program";
      case Leftover::Kind::kForeignPartial:
        return "unfinished download of another program";
      case Leftover::Kind::kTemporary:
        return "temporary file that was left over";
    }
    return "left over";
  }

  [[nodiscard]] std::string below_hub(Path const& path) const {
    if (!path.is_absolute()) return plan_.repo_folder_name + "/" + path.string();
    return path.lexically_relative(plan_.hub_folder).string();
  }

  void refuse(std::string const& path, std::string why) {
    plan_.refused.push_back(
        {path.empty() ? plan_.repo_folder_name : plan_.repo_folder_name + "/" + path,
         std::move(why)});
  }

  void add(RemovalKind kind, std::string const& path, std::string why, std::uint64_t size_bytes) {
    std::string full = plan_.repo_folder_name;
    if (!path.empty()) full += "/" + path;
    add_at(kind, std::move(full), std::move(why), size_bytes);
  }

  void add_if_there(RemovalKind kind, std::string const& path, std::string why) {
    if (facts_.use(plan_.repo_folder_name + "/" + path).exists) add(kind, path, std::move(why), 0);
  }

  void add_at(RemovalKind kind, std::string path, std::string why, std::uint64_t size_bytes) {
    RemovalItem item;
    item.kind = kind;
    item.path = std::move(path);
    item.why = std::move(why);
    item.size_bytes = size_bytes;
    item.use = facts_.use(item.path);
    if (kind == RemovalKind::kPayload)  // its list of users goes with it
      item.use.own_bytes += facts_.use(item.path + ".refs").own_bytes;
    if (kind == RemovalKind::kFolder) {
      // What is in it is counted with the other items: this is what remains.
      std::uint64_t inner = 0;
      for (RemovalItem const& one : plan_.items)
        if (one.kind != RemovalKind::kPayload) inner += one.use.own_bytes;
      item.use.own_bytes -= std::min(inner, item.use.own_bytes);
      item.use.shared.clear();
    }
    plan_.items.push_back(std::move(item));
  }

  /// Order of effects, and to each item what becomes free with it: a file with several names
  /// counts where the last of them goes.
  void settle() {
    std::ranges::stable_sort(plan_.items, {}, &RemovalItem::kind);
    std::map<FileIdentity, std::uint64_t> gone;
    for (RemovalItem& item : plan_.items) {
      item.frees_bytes = item.use.own_bytes;
      for (DiskUse::Shared const& file : item.use.shared)
        if (++gone[file.identity] == file.names) item.frees_bytes += file.disk_bytes;
    }
  }

  RepoScan const& scan_;
  RemovalWish const& wish_;
  Protection const& protection_;
  DiskFacts const& facts_;
  bool force_;
  RemovalPlan plan_;
  std::set<CommitHash> gone_;
  std::set<std::string> gone_files_;
};

}  // namespace

std::string_view to_string(RemovalKind kind) {
  for (auto const& [one, word] : kKinds)
    if (one == kind) return word;
  return "blob";
}

std::optional<RemovalKind> parse_removal_kind(std::string_view text) {
  for (auto const& [one, word] : kKinds)
    if (word == text) return one;
  return std::nullopt;
}

std::uint64_t RemovalPlan::frees_bytes() const {
  std::uint64_t sum = 0;
  for (RemovalItem const& item : items) sum += item.frees_bytes;
  return sum;
}

std::uint64_t freed_bytes(std::span<RemovalItem const* const> items) {
  std::uint64_t sum = 0;
  std::map<FileIdentity, std::uint64_t> gone;
  for (RemovalItem const* item : items) {
    sum += item->use.own_bytes;
    for (DiskUse::Shared const& file : item->use.shared)
      if (++gone[file.identity] == file.names) sum += file.disk_bytes;
  }
  return sum;
}

RemovalPlan plan_removal(RepoScan const& scan, Proposal const& proposal,
                         std::span<Need const> needs, DiskFacts const& facts, bool force) {
  Protection const protection(scan, needs);
  return Planner(scan, proposal, protection, facts, force).run();
}

}  // namespace homelab::cache
