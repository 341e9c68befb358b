// What the commands rm, prune and gc want to remove, decided from one scan.
#include <fmt/format.h>

#include <algorithm>

#include "cache/removal.h"

namespace homelab::cache {
namespace {

constexpr std::size_t kShortestCommit = 7;

/// The ref's or the (beginning of the) commit's revision.
Result<RevisionFacts const*> find_revision(RepoScan const& scan, std::string const& wanted) {
  RevisionFacts const* found = nullptr;
  for (RevisionFacts const& revision : scan.revisions) {
    if (std::ranges::find(revision.refs, wanted) != revision.refs.end()) return &revision;
    bool const begins =
        wanted.size() >= kShortestCommit && revision.commit.text().starts_with(wanted);
    if (!begins) continue;
    if (found != nullptr) {
      return fail(Code::kInvalidArgument,
                  fmt::format("'{}' is the beginning of several commits of {}; give more of it",
                              wanted, scan.id));
    }
    found = &revision;
  }
  if (found != nullptr) return found;
  return fail(Code::kNotFound,
              fmt::format("{} has no revision '{}' in {}", scan.id, wanted, scan.folder.string()));
}

bool has_entry(RevisionFacts const& revision, std::string const& path) {
  return std::ranges::any_of(revision.entries,
                             [&](EntryFacts const& entry) { return entry.path == path; });
}

Result<Proposal> propose_file(RepoScan const& scan, RevisionFacts const* revision,
                              std::string const& file) {
  Proposal out;
  for (RevisionFacts const& one : scan.revisions)
    if ((revision == nullptr || revision == &one) && has_entry(one, file))
      out.wish.files[one.commit].insert(file);
  if (!out.wish.files.empty()) return out;
  return fail(Code::kNotFound,
              fmt::format("{} has no file '{}' in {}", scan.id, file, scan.folder.string()));
}

/// A ref takes its revision with it, unless another ref names the same one.
Proposal propose_revision(RevisionFacts const& revision, std::string const& wanted) {
  Proposal out;
  bool const by_ref = std::ranges::find(revision.refs, wanted) != revision.refs.end();
  if (!by_ref || revision.refs.size() == 1) {
    out.wish.revisions.insert(revision.commit);
    return out;
  }
  out.wish.refs.insert(wanted);
  std::vector<std::string> others;
  std::ranges::copy_if(revision.refs, std::back_inserter(others),
                       [&](std::string const& ref) { return ref != wanted; });
  out.kept.push_back({"snapshots/" + revision.commit.text(),
                      fmt::format("also named by {}; give the commit to remove it with all its "
                                  "refs",
                                  fmt::join(others, ", "))});
  return out;
}

bool is_live(RepoScan const& scan) { return std::ranges::any_of(scan.leftovers, &Leftover::live); }

void propose_leftovers(RepoScan const& scan, GcRules const& rules, Proposal& out) {
  for (std::size_t i = 0; i < scan.leftovers.size(); ++i) {
    Leftover const& left = scan.leftovers[i];
    bool const own = left.kind == Leftover::Kind::kOwnPartial;
    std::int64_t const limit = own ? rules.own_partials_older_than_ns : rules.older_than_ns;
    std::string const path = left.path.string();
    if (left.live) {
      out.kept.push_back({path, "somebody is downloading it right now"});
    } else if (rules.now_ns - left.modified_ns < limit) {
      out.kept.push_back({path, own ? "the next download continues with it (--partials)"
                                    : "too young to be surely dead (--older-than)"});
    } else {
      out.wish.leftovers.insert(i);
    }
  }
}

void propose_orphans(RepoScan const& scan, GcRules const& rules, bool live, Proposal& out) {
  for (BlobFacts const& blob : scan.blobs) {
    if (blob.entries > 0 || !scan.complete) continue;
    std::string const path = "blobs/" + blob.name;
    if (live) {
      out.kept.push_back({path, "the repository is being downloaded right now"});
    } else if (rules.now_ns - blob.modified_ns < rules.older_than_ns) {
      out.kept.push_back({path, "may belong to a download that is not yet linked (--older-than)"});
    } else {
      out.wish.blobs.insert(blob.name);
    }
  }
}

}  // namespace

bool RemovalWish::empty() const {
  return !everything && revisions.empty() && files.empty() && refs.empty() && blobs.empty() &&
         leftovers.empty() && listings.empty() && !folder_if_empty;
}

Result<Proposal> propose_rm(RepoScan const& scan, RemovalTarget const& target) {
  if (!target.revision && !target.file) {
    Proposal out;
    out.wish.everything = true;
    return out;
  }
  RevisionFacts const* revision = nullptr;
  if (target.revision) {
    bool const dangling = !target.file && scan.dangling_refs.contains(*target.revision);
    auto const found = find_revision(scan, *target.revision);
    if (!found && !dangling) return fail(found.error());
    if (!found) {
      Proposal out;
      out.wish.refs.insert(*target.revision);
      return out;
    }
    revision = *found;
  }
  if (target.file) return propose_file(scan, revision, *target.file);
  return propose_revision(*revision, *target.revision);
}

Proposal propose_prune(RepoScan const& scan, std::size_t keep) {
  std::vector<RevisionFacts const*> newest;
  newest.reserve(scan.revisions.size());
  for (RevisionFacts const& revision : scan.revisions) newest.push_back(&revision);
  std::ranges::stable_sort(newest, std::ranges::greater(), &RevisionFacts::modified_ns);
  Proposal out;
  for (std::size_t i = 0; i < newest.size(); ++i) {
    RevisionFacts const& revision = *newest[i];
    if (!revision.refs.empty()) continue;
    if (!scan.refs_clear) {
      out.kept.push_back(
          {"snapshots/" + revision.commit.text(),
           "a ref here cannot be read or holds no commit; it may name this revision"});
    } else if (i < keep) {
      out.kept.push_back({"snapshots/" + revision.commit.text(),
                          fmt::format("one of the {} newest revisions (--keep)", keep)});
    } else {
      out.wish.revisions.insert(revision.commit);
    }
  }
  return out;
}

Proposal propose_gc(RepoScan const& scan, DiskFacts const& facts, GcRules const& rules) {
  Proposal out;
  std::string const folder = scan.folder.filename().string();
  bool const live = is_live(scan);
  propose_leftovers(scan, rules, out);
  propose_orphans(scan, rules, live, out);
  auto const is_old = [&](std::string const& path) {
    return !live &&
           rules.now_ns - facts.use(folder + "/" + path).modified_ns >= rules.older_than_ns;
  };
  for (auto const& [ref, commit] : scan.dangling_refs) {
    if (is_old("refs/" + ref))
      out.wish.refs.insert(ref);
    else
      out.kept.push_back({"refs/" + ref, "its snapshot may be on the way (--older-than)"});
  }
  for (std::string const& commit : facts.listings) {
    bool const there = std::ranges::any_of(scan.revisions, [&](RevisionFacts const& revision) {
      return revision.commit.text() == commit;
    });
    if (there) continue;
    if (is_old("trees/" + commit + ".json") && is_old(".no_exist/" + commit))
      out.wish.listings.insert(commit);
  }
  out.wish.folder_if_empty = scan.complete && scan.revisions.empty() &&
                             out.wish.blobs.size() == scan.blobs.size() &&
                             out.wish.leftovers.size() == scan.leftovers.size() && is_old("");
  return out;
}

}  // namespace homelab::cache
