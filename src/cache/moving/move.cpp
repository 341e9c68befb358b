#include "cache/move.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/hash.h"
#include "base/os/file_lock.h"
#include "base/strings.h"
#include "cache/blob_writer.h"
#include "cache/bridge.h"
#include "cache/removal.h"
#include "cache/room.h"
#include "durable_step.h"
#include "repo_locks.h"
#include "walk_at.h"

namespace homelab::cache {
namespace {

/// Small enough to stay in the processor's cache between reading, writing and hashing.
constexpr std::size_t kPieceBytes = 256UL * 1024;

/// Nearest existing folder, for asking about its file system.
Result<dev_t> device_of(Path path) {
  for (;; path = path.parent_path()) {
    auto const found = os::stat_target(path);
    if (found) return found->st_dev;
    if (found.error().code != Code::kNotFound || path == path.parent_path())
      return fail(found.error());
  }
}

bool is_there(Path const& path) { return os::stat_link(path).has_value(); }

/// Links that would lead elsewhere from another place.
Result<bool> has_absolute_links(Path const& repo) {
  ASSIGN_OR_RETURN(FolderAt const folder, open_folder(repo));
  bool found = false;
  RETURN_IF_ERROR(walk_below(
      folder, "", [&](FolderAt const& here, std::string const& name, std::string const&) -> Status {
        auto const text = link_text(here, name);
        found = found || (text && text->starts_with('/'));
        return {};
      }));
  return found;
}

bool has_stored_blobs(RepoScan const& scan) {
  return std::ranges::any_of(scan.blobs, &BlobFacts::in_shared_store);
}

tl::unexpected<Error> only_by_rename(Path const& path, std::string_view what) {
  return fail(Code::kFailedPrecondition,
              fmt::format("{} {}; it cannot be moved to another file system or into a folder that "
                          "is already there",
                          path.string(), what));
}

/// Everything that is moved blob by blob must be understood.
Status check_movable(RepoScan const& scan) {
  if (!scan.complete) return only_by_rename(scan.folder, "cannot be read completely");
  for (RevisionFacts const& revision : scan.revisions) {
    for (EntryFacts const& entry : revision.entries) {
      Path const path = scan.folder / "snapshots" / revision.commit.text() / entry.path;
      if (entry.state == EntryFacts::State::kDangling) continue;
      if (entry.state == EntryFacts::State::kOutside)
        return only_by_rename(path, "leads out of the repository");
      if (entry.state == EntryFacts::State::kFile)
        return only_by_rename(path, "is a file instead of a link");
      if (!RepoPath::parse(entry.path)) return only_by_rename(path, "has a name no Hub would give");
      if (!scan.blobs.at(entry.blob.value_or(0)).hash())
        return only_by_rename(path, "has content whose name is no hash");
    }
  }
  return {};
}

Status check_refs(RepoScan const& from, RepoScan const& to) {
  std::map<std::string, std::string> theirs = to.dangling_refs;
  for (RevisionFacts const& revision : to.revisions)
    for (std::string const& ref : revision.refs) theirs[ref] = revision.commit.text();
  for (RevisionFacts const& revision : from.revisions) {
    for (std::string const& ref : revision.refs) {
      auto const there = theirs.find(ref);
      if (there == theirs.end() || there->second == revision.commit.text()) continue;
      return fail(Code::kFailedPrecondition,
                  fmt::format("{} of {} is commit {} here and {} at the target; remove one of them "
                              "first (homelab-llm cache rm {}@{})",
                              ref, from.id, revision.commit.text(), there->second, from.id, ref));
    }
  }
  return {};
}

/// True when a blob of this name and size is there.
bool has_blob(RepoScan const* to, BlobFacts const& blob) {
  if (to == nullptr) return false;
  auto const there = std::ranges::lower_bound(to->blobs, blob.name, {}, &BlobFacts::name);
  return there != to->blobs.end() && there->name == blob.name &&
         there->size_bytes == blob.size_bytes;
}

/// Every revision, file and ref of `from` is in `to`.
bool is_contained(RepoScan const& from, RepoScan const& to) {
  for (RevisionFacts const& revision : from.revisions) {
    auto const there = std::ranges::find(to.revisions, revision.commit, &RevisionFacts::commit);
    if (there == to.revisions.end()) return false;
    for (std::string const& ref : revision.refs)
      if (std::ranges::find(there->refs, ref) == there->refs.end()) return false;
    for (EntryFacts const& entry : revision.entries) {
      if (entry.state == EntryFacts::State::kDangling) continue;
      auto const same = std::ranges::find(there->entries, entry.path, &EntryFacts::path);
      bool const good = same != there->entries.end() && entry.blob && same->blob &&
                        from.blobs.at(*entry.blob).name == to.blobs.at(*same->blob).name &&
                        entry.size_bytes == same->size_bytes;
      if (!good) return false;
    }
  }
  return true;
}

struct Sides {
  RepoScan from;
  std::optional<RepoScan> to;
  bool same_device = false;
};

class Mover {
 public:
  explicit Mover(MoveRequest const& request) : request_(request) {}

  Result<MovePlan> plan() {
    MovePlan plan;
    Path const source = request_.from_hub / request_.repo_folder_name;
    Path const target = request_.to_hub / request_.repo_folder_name;
    std::error_code same;
    if (std::filesystem::equivalent(source, target, same))
      return fail(
          Code::kInvalidArgument,
          fmt::format("{} is in {} already", request_.repo_folder_name, request_.to_hub.string()));
    if (!is_there(source) && is_there(target)) return plan;
    ASSIGN_OR_RETURN(sides_.from, scan_repo(source));
    if (is_there(target)) {
      ASSIGN_OR_RETURN(sides_.to, scan_repo(target));
    }
    ASSIGN_OR_RETURN(dev_t const from_device, device_of(source));
    ASSIGN_OR_RETURN(dev_t const to_device, device_of(target));
    sides_.same_device = from_device == to_device;
    ASSIGN_OR_RETURN(bool const absolute, has_absolute_links(source));
    bool whole = sides_.same_device && !sides_.to && !absolute && !has_stored_blobs(sides_.from);
    if (whole && request_.keep_source_meanwhile)
      whole = !check_movable(sides_.from) || !left_behind().empty();
    plan.method = whole                ? MoveMethod::kRename
                  : sides_.same_device ? MoveMethod::kLink
                                       : MoveMethod::kCopy;
    if (!whole) RETURN_IF_ERROR(check_movable(sides_.from));
    if (sides_.to) RETURN_IF_ERROR(check_refs(sides_.from, *sides_.to));
    count(plan);
    return check_space(std::move(plan));
  }

  Result<MoveReport> run() {
    ASSIGN_OR_RETURN(MovePlan const planned, plan());
    report_.method = planned.method;
    if (planned.method == MoveMethod::kNothing) return report_;
    // Nobody may download into the source meanwhile; those who wait find it gone and start anew.
    ASSIGN_OR_RETURN(auto const locks, take_locks());
    if (planned.method == MoveMethod::kRename) {
      ASSIGN_OR_RETURN(bool const renamed, rename_whole());
      if (renamed) return report_;
      report_.method = MoveMethod::kCopy;
    }
    RETURN_IF_ERROR(check_movable(sides_.from));
    RETURN_IF_ERROR(make_room(request_.to_hub, needed_bytes(planned)));
    total_ = planned.copy_bytes;
    RETURN_IF_ERROR(fill_target());
    return report_;
  }

  /// After run() of an other method than renaming: with no lock held.
  Result<MoveReport> remove_source(MoveReport report) {
    Path const source = request_.from_hub / request_.repo_folder_name;
    ASSIGN_OR_RETURN(RepoScan const from, scan_repo(source));
    ASSIGN_OR_RETURN(RepoScan const to, scan_repo(request_.to_hub / request_.repo_folder_name));
    if (!from.complete || !is_contained(from, to))
      return fail(Code::kAborted,
                  fmt::format("{} changed while it was moved; both sides are complete, run it "
                              "again",
                              source.string()));
    Proposal everything;
    everything.wish.everything = true;
    auto const plan = plan_removal(from, everything, {},
                                   look_up(request_.from_hub, request_.repo_folder_name), false);
    if (!plan.refused.empty())
      return fail(Code::kAborted, fmt::format("{}: {}; the target is complete, run it again",
                                              source.string(), plan.refused.front().why));
    ASSIGN_OR_RETURN(auto const removed, execute_removal(plan, {false, "cache mv", {}}));
    if (!removed.skipped.empty())
      return fail(Code::kAborted,
                  fmt::format("the target is complete, but {} was left at the source: {}; run it "
                              "again",
                              removed.skipped.front().path, removed.skipped.front().why));
    report.freed_bytes = removed.freed_bytes;
    return report;
  }

 private:
  void count(MovePlan& plan) const {
    for (BlobFacts const& blob : sides_.from.blobs) {
      plan.total_bytes += blob.size_bytes;
      bool const is_copied = plan.method == MoveMethod::kCopy ||
                             (plan.method == MoveMethod::kLink && blob.in_shared_store);
      if (is_copied && blob.hash() && !has_blob(sides_.to ? &*sides_.to : nullptr, blob))
        plan.copy_bytes += blob.size_bytes;
    }
    if (plan.method != MoveMethod::kRename) plan.left_behind = left_behind();
  }

  [[nodiscard]] std::vector<std::string> left_behind() const {
    std::vector<std::string> out;
    for (BlobFacts const& blob : sides_.from.blobs)
      if (!blob.hash()) out.push_back("blobs/" + blob.name);
    for (Leftover const& left : sides_.from.leftovers)
      out.push_back(left.path.lexically_relative(sides_.from.folder).string());
    for (RevisionFacts const& revision : sides_.from.revisions)
      for (EntryFacts const& entry : revision.entries)
        if (entry.state == EntryFacts::State::kDangling)
          out.push_back("snapshots/" + revision.commit.text() + "/" + entry.path);
    return out;
  }

  Result<MovePlan> check_space(MovePlan plan) const {
    RETURN_IF_ERROR(check_room(request_.to_hub, needed_bytes(plan)));
    return plan;
  }

  [[nodiscard]] std::uint64_t needed_bytes(MovePlan const& plan) const {
    std::uint64_t held = 0;  // an earlier try's beginnings
    if (sides_.to)
      for (Leftover const& left : sides_.to->leftovers) held += left.disk_bytes;
    return plan.copy_bytes - std::min(held, plan.copy_bytes);
  }

  /// All locks of the repository at the source; kAborted when one is held.
  [[nodiscard]] Result<std::vector<os::FileLock>> take_locks() const {
    std::string const& name = request_.repo_folder_name;
    std::error_code differ;
    // The same folder, by a link: the locks of the target are taken blob by blob.
    if (std::filesystem::equivalent(request_.from_hub / ".locks" / name,
                                    request_.to_hub / ".locks" / name, differ))
      return std::vector<os::FileLock>();
    return take_repo_locks(request_.from_hub, name);
  }

  /// False: the two folders are not on one file system after all (bind mounts).
  Result<bool> rename_whole() const {
    RETURN_IF_ERROR(os::make_folders(request_.to_hub / ".locks" / request_.repo_folder_name));
    ASSIGN_OR_RETURN(FolderAt const from, open_folder(request_.from_hub));
    ASSIGN_OR_RETURN(FolderAt const to, open_folder(request_.to_hub));
    std::string const& name = request_.repo_folder_name;
    durable_step("rename repository");
    if (::renameat2(from.fd.get(), name.c_str(), to.fd.get(), name.c_str(), RENAME_NOREPLACE) !=
        0) {
      if (errno == EXDEV || errno == EINVAL || errno == ENOSYS) return false;
      return fail_errno("move to", to.in(name), errno);
    }
    RETURN_IF_ERROR(sync(to));
    RETURN_IF_ERROR(sync(from));
    return true;
  }

  /// Order of effects as in a download: blobs, links, trees, refs.
  Status fill_target() {
    ASSIGN_OR_RETURN(RepoId const id, RepoId::parse(sides_.from.id));
    RepoFolder const source(request_.from_hub, id, sides_.from.type);
    ASSIGN_OR_RETURN(
        RepoWriter const writer,
        RepoWriter::open_repo(request_.to_hub, RepoFolder(request_.to_hub, id, sides_.from.type)));
    for (BlobFacts const& blob : sides_.from.blobs)
      if (blob.hash()) RETURN_IF_ERROR(bring(source, writer, blob));
    RETURN_IF_ERROR(writer.sync_blobs());
    for (RevisionFacts const& revision : sides_.from.revisions)
      RETURN_IF_ERROR(show(source, writer, revision));
    for (RevisionFacts const& revision : sides_.from.revisions) {
      for (std::string const& ref : revision.refs) {
        ASSIGN_OR_RETURN(Revision const name, Revision::parse(ref));
        RETURN_IF_ERROR(writer.write_ref(name, revision.commit));
      }
    }
    return {};
  }

  Status bring(RepoFolder const& source, RepoWriter const& writer, BlobFacts const& blob) {
    BlobName const name = *blob.hash();
    if (writer.has_blob(name, blob.size_bytes)) return {};
    ASSIGN_OR_RETURN(auto const lock, writer.lock(name, request_.cancelled));
    if (writer.has_blob(name, blob.size_bytes)) return {};
    if (sides_.same_device && !blob.in_shared_store) {
      ASSIGN_OR_RETURN(bool const linked, hard_link(source, writer, name));
      if (linked) return {};
    }
    return copy(source, writer, blob);
  }

  /// False: not possible here.
  static Result<bool> hard_link(RepoFolder const& source, RepoWriter const& writer,
                                BlobName const& name) {
    ASSIGN_OR_RETURN(FolderAt const from, open_folder(source.path() / "blobs"));
    ASSIGN_OR_RETURN(FolderAt const to, open_folder(writer.folder().path() / "blobs"));
    std::string const scratch = fmt::format(".{}.homelab.{}.link", name.text(), random_hex(4));
    durable_step("hard link");
    if (::linkat(from.fd.get(), name.text().c_str(), to.fd.get(), scratch.c_str(), 0) != 0) {
      if (errno == EXDEV || errno == EPERM || errno == EOPNOTSUPP || errno == EMLINK) return false;
      return fail_errno("link", to.in(name.text()), errno);
    }
    RETURN_IF_ERROR(rename_at(to, scratch, to, name.text()));
    return true;
  }

  /// The partial is ours as any download's: kept when we are stopped, hashed again when continued.
  Status copy(RepoFolder const& source, RepoWriter const& writer, BlobFacts const& blob) {
    BlobName const name = *blob.hash();
    Path const path = source.blob_path(name);
    ASSIGN_OR_RETURN(os::UniqueFd const from, os::open_file(path, O_RDONLY | O_NONBLOCK));
    ASSIGN_OR_RETURN(PartialBlob partial, writer.open_partial(name, blob.size_bytes));
    done_ += partial.written_bytes();
    std::vector<std::byte> buffer(kPieceBytes);
    while (partial.written_bytes() < blob.size_bytes) {
      if (request_.cancelled && request_.cancelled())
        return fail(Code::kCancelled, "stopped; run again to continue");
      ssize_t const got = ::pread(from.get(), buffer.data(), buffer.size(),
                                  static_cast<off_t>(partial.written_bytes()));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fail_errno("read", path.string(), errno);
      if (got == 0) return fail(Code::kDataLoss, path.string() + " became shorter");
      auto const bytes = std::span(buffer).first(static_cast<std::size_t>(got));
      RETURN_IF_ERROR(partial.append(bytes));
      done_ += bytes.size();
      report_.copied_bytes += bytes.size();
      if (request_.on_progress) request_.on_progress(done_, total_);
    }
    auto committed = writer.commit(std::move(partial), false);
    if (committed) return {};
    return fail(std::move(committed).error().in(
        fmt::format("{} is damaged; the source was left as it is", path.string())));
  }

  /// Links, listing and absences of one revision.
  Status show(RepoFolder const& source, RepoWriter const& writer,
              RevisionFacts const& revision) const {
    std::vector<RepoWriter::Link> links;
    for (EntryFacts const& entry : revision.entries) {
      if (!entry.blob || entry.state != EntryFacts::State::kLink) continue;
      ASSIGN_OR_RETURN(RepoPath path, RepoPath::parse(entry.path));
      links.push_back({std::move(path), *sides_.from.blobs.at(*entry.blob).hash()});
    }
    RETURN_IF_ERROR(writer.link_all(revision.commit, links));
    if (auto const tree = source.read_tree(revision.commit); tree && *tree)
      RETURN_IF_ERROR(writer.write_tree(revision.commit, **tree));
    ASSIGN_OR_RETURN(FolderAt const repo, open_folder(source.path()));
    return walk_below(repo, ".no_exist/" + revision.commit.text(),
                      [&](FolderAt const&, std::string const&, std::string const& path) -> Status {
                        auto const known = RepoPath::parse(path);
                        return known ? writer.mark_absent(revision.commit, *known) : Status();
                      });
  }

  MoveRequest const& request_;
  Sides sides_;
  MoveReport report_;
  std::uint64_t done_ = 0;
  std::uint64_t total_ = 0;
};

}  // namespace

std::string_view to_string(MoveMethod method) {
  switch (method) {
    case MoveMethod::kNothing:
      return "nothing";
    case MoveMethod::kRename:
      return "rename";
    case MoveMethod::kLink:
      return "link";
    case MoveMethod::kCopy:
      return "copy";
  }
  return "nothing";
}

Result<MovePlan> plan_move(MoveRequest const& request) { return Mover(request).plan(); }

Result<MoveReport> move_repo(MoveRequest const& request) {
  Mover mover(request);
  ASSIGN_OR_RETURN(MoveReport report, mover.run());
  durable_step("say where it is now");
  auto const told = request.at_target ? request.at_target() : Status();
  bool const both = report.method == MoveMethod::kLink || report.method == MoveMethod::kCopy;
  if (told && both) {
    ASSIGN_OR_RETURN(report, mover.remove_source(report));
  }
  for (auto const& hub : {request.from_hub, request.to_hub})
    RETURN_IF_ERROR(keep_hub_bridged(hub, request.repo_folder_name));
  RETURN_IF_ERROR(told);
  return report;
}

}  // namespace homelab::cache
