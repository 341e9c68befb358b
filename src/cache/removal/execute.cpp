#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "../store/shared_store.h"
#include "base/os/file_lock.h"
#include "base/strings.h"
#include "cache/bridge.h"
#include "cache/removal.h"
#include "cache/trash.h"
#include "durable_step.h"
#include "hub_clean_up.h"
#include "trash_record.h"
#include "walk_at.h"

namespace homelab::cache {
namespace {

/// Blobs that are locked at the same time: bounds descriptors; each batch costs two walks over the
/// snapshots.
constexpr std::size_t kBatch = 128;
constexpr std::size_t kMaxRefBytes = 4096;
constexpr std::uint64_t kRoomForRecord = 1024UL * 1024;

/// The blob that a name in blobs/ belongs to: "<etag>.homelab.part", ".<etag>.1234abcd.shared".
std::optional<BlobName> blob_of(std::string_view name) {
  if (name.starts_with('.')) name.remove_prefix(1);
  auto parsed = BlobName::parse(name.substr(0, name.find('.')));
  if (!parsed) return std::nullopt;
  return *std::move(parsed);
}

/// Last part of every link below snapshots/: names of blobs that some revision needs. Where the
/// links lead does not matter, one too many only keeps a file.
Result<std::set<std::string>> linked_names(FolderAt const& repo) {
  std::set<std::string> names;
  RETURN_IF_ERROR(walk_below(
      repo, "snapshots",
      [&](FolderAt const& folder, std::string const& name, std::string const&) -> Status {
        if (auto const text = link_text(folder, name)) names.insert(split_name(*text).name);
        return {};
      }));
  return names;
}

std::optional<std::string> ref_content(FolderAt const& folder, std::string const& name) {
  auto const file = os::open_at(folder.fd.get(), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  struct stat found{};
  if (!file || ::fstat(file->get(), &found) != 0 || !S_ISREG(found.st_mode)) return std::nullopt;
  std::string text(kMaxRefBytes, '\0');
  ssize_t const got = ::pread(file->get(), text.data(), text.size(), 0);
  if (got < 0) return std::nullopt;
  text.resize(static_cast<std::size_t>(got));
  return std::string(trim(text));
}

/// Commits that refs name now.
Result<std::set<std::string>> named_commits(FolderAt const& repo) {
  std::set<std::string> commits;
  RETURN_IF_ERROR(walk_below(
      repo, "refs",
      [&](FolderAt const& folder, std::string const& name, std::string const&) -> Status {
        if (auto content = ref_content(folder, name)) commits.insert(*std::move(content));
        return {};
      }));
  return commits;
}

class Execution {
 public:
  Execution(RemovalPlan const& plan, RemovalOptions const& options, FolderAt hub, FolderAt repo,
            OpenRecord record)
      : plan_(plan),
        options_(options),
        hub_(std::move(hub)),
        repo_(std::move(repo)),
        record_(std::move(record)) {}

  Result<RemovalReport> run() && {
    refs();
    snapshots();
    simple(RemovalKind::kEntry);
    sync_touched();
    blobs();
    sync_touched();
    payloads();
    listings();
    leftovers();
    sync_touched();
    folder();
    return finish();
  }

 private:
  using Item = RemovalItem;

  bool stopped() {
    if (!report_.cancelled && options_.cancelled && options_.cancelled()) report_.cancelled = true;
    return report_.cancelled;
  }

  /// Calls `work(item, index)` for each item of a kind.
  template <class Work>
  void each(RemovalKind kind, Work const& work) {
    for (std::size_t i = 0; i < plan_.items.size(); ++i)
      if (plan_.items[i].kind == kind && !stopped()) work(plan_.items[i], i);
  }

  void skip(Item const& item, std::string why) {
    report_.skipped.push_back({item.path, std::move(why)});
  }

  void done(Item const& item) {
    report_.removed.push_back(item.path);
    done_.push_back(&item);
  }

  /// Moves the thing into the record. What is gone already is no error.
  bool take(Item const& item, std::size_t index) {
    auto const [folder, name] = split_name(item.path);
    auto const parent = open_below(hub_, folder);
    if (!parent) {
      if (parent.error().code != Code::kNotFound) skip(item, parent.error().message);
      return false;
    }
    auto const taken = record_.take(*parent, name, index);
    if (!taken) {
      skip(item, taken.error().message);
      return false;
    }
    if (!*taken) return false;
    touched_.insert(folder);
    return true;
  }

  void put_back(Item const& item, std::size_t index, std::string why) {
    auto const [folder, name] = split_name(item.path);
    auto const parent = open_below(hub_, folder);
    Status moved;
    if (!parent)
      moved = fail(parent.error());
    else
      moved = record_.give_back(index, *parent, name);
    if (parent) static_cast<void>(sync(*parent));
    bool const replaced =
        !moved && moved.error().code == Code::kAlreadyExists && item.kind != RemovalKind::kFolder;
    if (!moved && !replaced) {
      why += "; putting it back failed: " + moved.error().message;
      stranded_ = true;
    }
    skip(item, std::move(why));
  }

  void simple(RemovalKind kind) {
    each(kind, [&](Item const& item, std::size_t index) {
      if (take(item, index)) done(item);
    });
  }

  void refs() {
    each(RemovalKind::kRef, [&](Item const& item, std::size_t index) {
      if (!take(item, index)) return;
      // Nobody locks refs: whether it was the one that was meant is known only now.
      auto const content = ref_content(record_.folder(), std::to_string(index));
      if (item.commit && content != item.commit)
        put_back(item, index, "names another commit now");
      else
        done(item);
    });
  }

  void snapshots() {
    auto const named = named_commits(repo_);
    each(RemovalKind::kSnapshot, [&](Item const& item, std::size_t index) {
      if (!named) return skip(item, named.error().message);
      if (named->contains(split_name(item.path).name)) return skip(item, "a ref names it now");
      if (take(item, index)) done(item);
    });
  }

  void sync_touched() {
    for (std::string const& folder : touched_)
      if (auto const opened = open_below(hub_, folder))
        if (auto const synced = sync(*opened); !synced)
          report_.skipped.push_back({folder, synced.error().message});
    touched_.clear();
    // What was moved in is to be found there after a power cut, too.
    if (auto const synced = sync(record_.folder()); !synced)
      report_.skipped.push_back({record_.folder().shown, synced.error().message});
    tidy_empty_folders();
  }

  /// Folders of nested refs and entries that became empty; failing is no matter.
  void tidy_empty_folders() {
    for (Item const* item : done_) {
      if (item->kind != RemovalKind::kRef && item->kind != RemovalKind::kEntry) continue;
      std::size_t const keep = item->kind == RemovalKind::kRef ? 2 : 3;
      std::string folder = split_name(item->path).folder;
      while (split(folder, '/').size() > keep) {
        auto const [above, name] = split_name(folder);
        auto const parent = open_below(hub_, above);
        if (!parent || ::unlinkat(parent->fd.get(), name.c_str(), AT_REMOVEDIR) != 0) break;
        folder = above;
      }
    }
  }

  using Locks = std::map<BlobName, os::FileLock>;

  [[nodiscard]] Path lock_folder() const {
    return plan_.hub_folder / ".locks" / plan_.repo_folder_name;
  }

  void blobs() {
    std::vector<std::size_t> all;
    each(RemovalKind::kBlob, [&](Item const&, std::size_t index) { all.push_back(index); });
    for (std::size_t at = 0; at < all.size() && !stopped(); at += kBatch)
      blob_batch(std::span(all).subspan(at, std::min(kBatch, all.size() - at)));
  }

  void blob_batch(std::span<std::size_t const> indices) {
    Locks locks;
    std::vector<std::size_t> ours;
    for (std::size_t const index : indices)
      if (lock_blob(plan_.items[index], locks)) ours.push_back(index);
    auto const before = linked_names(repo_);
    std::vector<std::size_t> taken;
    for (std::size_t const index : ours) {
      Item const& item = plan_.items[index];
      std::string const name = split_name(item.path).name;
      if (!before)
        skip(item, before.error().message);
      else if (before->contains(name))
        skip(item, "a revision uses it now");
      else if (note_payload(item); take(item, index))
        taken.push_back(index);
    }
    confirm(taken);
  }

  /// False: busy, and it was reported. A name that is no etag has no lock that anybody would take.
  bool lock_blob(Item const& item, Locks& locks) {
    auto const name = blob_of(split_name(item.path).name);
    if (!name || locks.contains(*name)) return true;
    auto lock = os::FileLock::try_take(lock_folder() / (name->text() + ".lock"));
    if (!lock) {
      skip(item, lock.error().message);
      return false;
    }
    if (!*lock) {
      skip(item, "some program is downloading it right now");
      return false;
    }
    locks.emplace(*name, **std::move(lock));
    return true;
  }

  /// Not every program links under the lock: who linked while we looked gets the blob back.
  void confirm(std::vector<std::size_t> const& taken) {
    if (taken.empty()) return;
    auto const after = linked_names(repo_);
    for (std::size_t const index : taken) {
      Item const& item = plan_.items[index];
      if (!after || after->contains(split_name(item.path).name))
        put_back(item, index, "a revision uses it now");
      else
        done(item);
    }
  }

  void note_payload(Item const& item) {
    if (auto payload = payload_of(hub_, item.path)) touched_payloads_.insert(*std::move(payload));
  }

  void payloads() {
    each(RemovalKind::kPayload, [&](Item const& item, std::size_t index) {
      touched_payloads_.erase(item.path);
      auto const swept =
          sweep_payload(hub_, item.path, [&](FolderAt const& folder, std::string const& name) {
            auto const moved = record_.take(folder, name, index);
            if (!moved) return Status(fail(moved.error()));
            return sync(record_.folder());
          });
      if (!swept) return skip(item, swept.error().message);
      if (*swept == Swept::kRemoved) return done(item);
      if (*swept == Swept::kBusy) return skip(item, "some program is using it right now");
      if (*swept != Swept::kGone) skip(item, "another repository uses it now");
    });
    // The lists of users of what stays are brought up to date; a stale line in them does no harm.
    for (std::string const& path : touched_payloads_)
      static_cast<void>(
          sweep_payload(hub_, path, [](FolderAt const&, std::string const&) -> Status {
            return fail(Code::kFailedPrecondition, "not part of the plan");
          }));
  }

  void listings() {
    for (RemovalKind const kind : {RemovalKind::kTree, RemovalKind::kAbsences})
      each(kind, [&](Item const& item, std::size_t index) {
        std::string commit = split_name(item.path).name;
        if (kind == RemovalKind::kTree) commit = commit.substr(0, commit.find('.'));
        auto const snapshots = open_below(repo_, "snapshots");
        if (snapshots && stands_at(*snapshots, commit))
          return skip(item, "its revision is still there");
        if (take(item, index)) done(item);
      });
  }

  void leftovers() {
    each(RemovalKind::kLeftover, [&](Item const& item, std::size_t index) {
      auto const [folder, name] = split_name(item.path);
      Locks locks;
      if (!lock_blob(item, locks)) return;
      auto const parent = open_below(hub_, folder);
      if (!parent) return;
      // Who writes a partial of ours holds a lock on the file itself.
      auto const file = os::open_at(parent->fd.get(), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
      if (file && ::flock(file->get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return skip(item, "some program is writing it right now");
      if (take(item, index)) done(item);
    });
  }

  /// The repository folder with whatever unknown things remain in it; for a clean-up (only what is
  /// empty), nothing else may be there.
  void folder() {
    each(RemovalKind::kFolder, [&](Item const& item, std::size_t index) {
      if (!report_.skipped.empty()) return skip(item, "not everything in it could be removed");
      if (!may_take_folder(item)) return;
      if (!take(item, index)) return;
      auto const bare = is_bare(record_.folder(), std::to_string(index));
      bool const needed = item.if_bare && (!bare || !*bare);
      if (needed) return put_back(item, index, "something was written into it meanwhile");
      // Only empty folders: nothing to keep for later.
      if (bare && *bare) static_cast<void>(remove_below(record_.folder(), std::to_string(index)));
      done(item);
    });
    sync_touched();
  }

  bool may_take_folder(Item const& item) {
    if (!item.if_bare) {
      auto const left = linked_names(repo_);
      if (left && left->empty()) return true;
      skip(item, "a revision was written into it meanwhile");
      return false;
    }
    auto const bare = is_bare(repo_, "");
    if (bare && *bare) return true;
    skip(item, "something else is in it");
    return false;
  }

  Result<RemovalReport> finish() {
    report_.freed_bytes = freed_bytes(done_);
    bool const keep = stranded_ || (options_.use_trash && !done_.empty());
    if (keep) {
      report_.trash_id = record_.id();
      return std::move(report_);
    }
    std::string const shown = record_.folder().shown;
    if (auto const destroyed = std::move(record_).destroy(); !destroyed)
      report_.skipped.push_back({shown, destroyed.error().message});
    return std::move(report_);
  }

  RemovalPlan const& plan_;
  RemovalOptions const& options_;
  FolderAt hub_;
  FolderAt repo_;
  OpenRecord record_;
  RemovalReport report_;
  bool stranded_ = false;  ///< something in the record belongs to somebody
  std::vector<RemovalItem const*> done_;
  std::set<std::string> touched_;
  std::set<std::string> touched_payloads_;
};

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

Result<RemovalReport> execute_removal(RemovalPlan const& plan, RemovalOptions const& options) {
  if (plan.items.empty()) return RemovalReport{};
  if (plan.repo_folder_name.empty()) return execute_hub_clean_up(plan, options);
  ASSIGN_OR_RETURN(FolderAt hub, open_folder(plan.hub_folder));
  ASSIGN_OR_RETURN(FolderAt repo, open_sub(hub, plan.repo_folder_name));
  RETURN_IF_ERROR(os::make_folders(plan.hub_folder / ".locks" / plan.repo_folder_name));
  TrashManifest manifest{now_ns(), options.reason, {}};
  for (RemovalItem const& item : plan.items) manifest.items.push_back({item.kind, item.path});
  TrashManifest const* const kept = options.use_trash ? &manifest : nullptr;
  auto record = OpenRecord::create(plan.hub_folder, kept);
  if (!record && record.error().code == Code::kResourceExhausted) {
    // The disk is full to the last block: older removals make room for this one.
    RETURN_IF_ERROR(empty_trash_until(plan.hub_folder, kRoomForRecord));
    record = OpenRecord::create(plan.hub_folder, kept);
  }
  if (!record) return fail(std::move(record).error());
  auto report = Execution(plan, options, std::move(hub), std::move(repo), *std::move(record)).run();
  // A link to a repository that is gone would keep scripts with cache_dir=<root> from making it.
  RETURN_IF_ERROR(keep_hub_bridged(plan.hub_folder, plan.repo_folder_name));
  return report;
}

}  // namespace homelab::cache
