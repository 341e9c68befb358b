#include "cache/bridge.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>

#include "../store/store_folder.h"
#include "durable_step.h"
#include "folder_entries.h"
#include "repo_merge.h"
#include "walk_at.h"

namespace homelab::cache {
namespace {

using Action = BridgedRepo::Action;

constexpr char const* kHub = "hub";

std::string text_to(std::string const& name) { return std::string(kHub) + "/" + name; }

/// "models--org--name" and its like.
bool is_repo_name(std::string_view name) {
  static constexpr std::array<std::string_view, 4> kPrefixes{"models--", "datasets--", "spaces--",
                                                             "kernels--"};
  return std::ranges::any_of(kPrefixes, [&](std::string_view prefix) {
    return name.starts_with(prefix) && name.size() > prefix.size();
  });
}

bool is_folder(std::optional<struct stat> const& found) { return found && S_ISDIR(found->st_mode); }
bool is_link(std::optional<struct stat> const& found) { return found && S_ISLNK(found->st_mode); }

class Bridge {
 public:
  Bridge(Path root, BridgeOptions const& options, FolderAt at)
      : options_(options), root_path_(std::move(root)), root_(std::move(at)) {}

  Result<BridgeReport> run() {
    RETURN_IF_ERROR(open_hub());
    BridgeReport report{root_path_, hub_path_, {}, {}};
    if (hub_ && scratch_) RETURN_IF_ERROR(clear_scratch());
    for (auto const& [what, step] :
         {std::pair{".locks", &Bridge::link_locks}, std::pair{"blobs", &Bridge::link_store}}) {
      auto const done = (this->*step)();
      if (!done && done.error().code == Code::kCancelled) return fail(done.error());
      if (!done) report.problems.push_back(root_.in(what) + ": " + done.error().message);
    }
    ASSIGN_OR_RETURN(auto const names, repo_names());
    for (auto const& name : names) {
      if (options_.stop()) return fail(Code::kCancelled, "stopped; run again to continue");
      BridgedRepo repo;
      repo.folder = name;
      auto const done = bridge(repo);
      if (!done && done.error().code == Code::kCancelled) return fail(done.error());
      if (!done) {
        repo.action = Action::kLeft;
        repo.remarks.push_back(done.error().message);
      }
      report.repos.push_back(std::move(repo));
    }
    if (!options_.dry_run) {
      RETURN_IF_ERROR(sync(root_));
      RETURN_IF_ERROR(sync(*hub_));
    }
    return report;
  }

 private:
  Status open_hub() {
    hub_path_ = root_path_ / kHub;
    std::error_code error;
    if (std::filesystem::equivalent(root_path_, hub_path_, error))
      return fail(Code::kFailedPrecondition,
                  hub_path_.string() + " is the root itself; there is nothing to bridge");
    if (!options_.dry_run) {
      durable_step("make hub folder");
      RETURN_IF_ERROR(os::make_folders(hub_path_));
    }
    // hub may be a link to another drive: then nothing can be renamed or named twice.
    auto opened = open_folder(hub_path_);
    if (!opened && !(options_.dry_run && opened.error().code == Code::kNotFound))
      return fail(opened.error());
    if (!opened) return {};
    struct stat mine{};
    struct stat theirs{};
    if (::fstat(root_.fd.get(), &mine) != 0 || ::fstat(opened->fd.get(), &theirs) != 0)
      return fail_errno("look at", hub_path_.string(), errno);
    if (mine.st_dev != theirs.st_dev)
      return fail(Code::kFailedPrecondition,
                  fmt::format("{} and {} are on two file systems; move the models first: "
                              "homelab-llm cache mv",
                              root_path_.string(), hub_path_.string()));
    hub_ = std::move(*opened);
    if (options_.dry_run) return {};
    ASSIGN_OR_RETURN(FolderAt const locks, make_sub(*hub_, ".locks"));
    ASSIGN_OR_RETURN(FolderAt const own, make_sub(locks, ".homelab-llm"));
    ASSIGN_OR_RETURN(FolderAt made, make_sub(own, "bridge"));
    scratch_ = std::move(made);
    return {};
  }

  /// What a run that was killed left: folders that had been exchanged for their link. Their content
  /// is in hub/ already; what came in between is brought along now.
  Status clear_scratch() {
    ASSIGN_OR_RETURN(auto const names, names_in(*scratch_));
    for (auto const& name : names)
      if (!options_.dry_run) RETURN_IF_ERROR(remove_exchanged(name));
    return {};
  }

  Status remove_exchanged(std::string const& name) {
    if (is_repo_name(name) && is_folder(look_at(*scratch_, name))) {
      ASSIGN_OR_RETURN(auto const again,
                       merge_repo({Path(scratch_->shown), hub_path_, name}, control()));
      (void)again;  // saved bytes were counted before the exchange
    }
    if (name == "blobs" && is_folder(look_at(*scratch_, name)))
      RETURN_IF_ERROR(bring_store(Path(scratch_->shown)));
    return remove_below(*scratch_, name);
  }

  [[nodiscard]] MergeControl control() const {
    return {options_.dry_run, false, options_.stop, options_.on_hashed};
  }

  Result<std::set<std::string>> repo_names() const {
    std::set<std::string> names;
    for (auto const* folder : {&root_, hub_ ? &*hub_ : nullptr}) {
      if (folder == nullptr) continue;
      ASSIGN_OR_RETURN(auto const all, names_in(*folder));
      std::ranges::copy_if(all, std::inserter(names, names.end()), is_repo_name);
    }
    return names;
  }

  Status bridge(BridgedRepo& repo) {
    std::string const& name = repo.folder;
    auto const mine = look_at(root_, name);
    auto theirs = hub_ ? look_at(*hub_, name) : std::nullopt;
    // A run that was killed between the two steps of a move.
    if (is_link(theirs) && link_text(*hub_, name) == text_to(name)) {
      if (!options_.dry_run) RETURN_IF_ERROR(remove_entry(*hub_, name));
      theirs.reset();
    }
    if (is_link(mine)) return judge_link(repo, theirs.has_value());
    if (!mine) {
      if (!is_folder(look_behind(*hub_, name))) return leave(repo, "is no folder in hub/");
      repo.action = Action::kLinked;
      return options_.dry_run ? Status() : make_link(root_, name, text_to(name));
    }
    if (!S_ISDIR(mine->st_mode)) return leave(repo, "is no folder");
    if (!theirs) return move(repo);
    if (is_link(theirs)) {
      auto const behind = look_behind(*hub_, name);
      if (behind && is_same_file(*behind, *mine)) return {};  // linked the other way round
      return leave(repo, "is a link in hub/");
    }
    return merge(repo);
  }

  static Status leave(BridgedRepo& repo, std::string_view why) {
    repo.action = Action::kLeft;
    repo.remarks.push_back(repo.folder + " " + std::string(why));
    return {};
  }

  Status judge_link(BridgedRepo& repo, bool in_hub) {
    auto const text = link_text(root_, repo.folder);
    if (text != text_to(repo.folder))
      return leave(repo, fmt::format("is a link to {}", text.value_or("?")));
    if (in_hub) return {};
    // The repository was deleted from hub/: a link to nothing would keep scripts from making it.
    repo.action = Action::kUnlinked;
    return options_.dry_run ? Status() : remove_entry(root_, repo.folder);
  }

  Status move(BridgedRepo& repo) {
    repo.action = Action::kMoved;
    RETURN_IF_ERROR(nobody_downloads(root_path_, repo.folder));
    ASSIGN_OR_RETURN(auto const uses, store_uses(root_path_, repo.folder));
    ASSIGN_OR_RETURN(RepoFolderSize const size, size_of(root_, repo.folder));
    repo.brought_bytes = size.bytes;
    if (options_.dry_run) return {};
    for (auto const& use : uses) {
      if (os::stat_target(payload_path(hub_path_, use.hash))) {
        RETURN_IF_ERROR(note_reference(hub_path_, use.hash, use.blob));
      } else if (os::stat_target(payload_path(root_path_, use.hash))) {
        return fail(Code::kFailedPrecondition,
                    fmt::format("{} needs {}, which hub/ does not have", use.blob,
                                payload_path(root_path_, use.hash).string()));
      }
    }
    RETURN_IF_ERROR(make_link(*hub_, repo.folder, text_to(repo.folder)));
    auto exchanged = exchange(root_, repo.folder, *hub_, repo.folder);
    if (exchanged) return sync_both();
    RETURN_IF_ERROR(remove_entry(*hub_, repo.folder));
    if (exchanged.error().code != Code::kUnimplemented) return exchanged;
    RETURN_IF_ERROR(rename_at(root_, repo.folder, *hub_, repo.folder));
    RETURN_IF_ERROR(make_link(root_, repo.folder, text_to(repo.folder)));
    return sync_both();
  }

  struct RepoFolderSize {
    std::uint64_t bytes = 0;
  };
  /// Regular files in blobs/ and below snapshots/ would be too much to ask here: blobs suffice.
  static Result<RepoFolderSize> size_of(FolderAt const& parent, std::string const& name) {
    RepoFolderSize size;
    ASSIGN_OR_RETURN(FolderAt const repo, open_sub(parent, name));
    auto const blobs = open_sub(repo, "blobs");
    if (!blobs) return size;
    ASSIGN_OR_RETURN(auto const names, names_in(*blobs));
    for (auto const& blob : names) {
      auto const found = look_at(*blobs, blob);
      if (found && S_ISREG(found->st_mode))
        size.bytes += static_cast<std::uint64_t>(found->st_size);
    }
    return size;
  }

  Status merge(BridgedRepo& repo) {
    repo.action = Action::kMerged;
    ASSIGN_OR_RETURN(auto const report,
                     merge_repo({root_path_, hub_path_, repo.folder}, control()));
    repo.brought_bytes = report.brought_bytes;
    repo.saved_bytes = report.saved_bytes;
    repo.remarks = report.remarks;
    if (options_.dry_run) return {};
    RETURN_IF_ERROR(swap_for_link(repo.folder));
    return remove_exchanged(repo.folder);
  }

  /// <root>/name becomes the link, what stood there goes to the scratch folder.
  Status swap_for_link(std::string const& name) {
    RETURN_IF_ERROR(remove_below(*scratch_, name));
    RETURN_IF_ERROR(make_link(*scratch_, name, text_to(name)));
    auto exchanged = exchange(root_, name, *scratch_, name);
    if (!exchanged) {
      RETURN_IF_ERROR(remove_entry(*scratch_, name));
      if (exchanged.error().code != Code::kUnimplemented) return exchanged;
      RETURN_IF_ERROR(rename_at(root_, name, *scratch_, name));
      RETURN_IF_ERROR(make_link(root_, name, text_to(name)));
    }
    RETURN_IF_ERROR(sync(root_));
    return sync(*scratch_);
  }

  Status sync_both() {
    RETURN_IF_ERROR(sync(*hub_));
    return sync(root_);
  }

  /// For .locks and blobs: true when the link is there, or nothing but a link has to be made.
  Result<bool> is_linked(std::string const& name) {
    auto const mine = look_at(root_, name);
    if (is_link(mine) && link_text(root_, name) == text_to(name)) return true;
    if (is_link(mine)) return fail(Code::kFailedPrecondition, "it is a link to another place");
    if (mine && !S_ISDIR(mine->st_mode))
      return fail(Code::kFailedPrecondition, "it is no folder; remove it");
    if (mine) return false;
    if (!options_.dry_run) RETURN_IF_ERROR(make_link(root_, name, text_to(name)));
    return true;
  }

  Status link_locks() {
    ASSIGN_OR_RETURN(bool const linked, is_linked(".locks"));
    if (linked) return {};
    ASSIGN_OR_RETURN(FolderAt const locks, open_sub(root_, ".locks"));
    ASSIGN_OR_RETURN(auto const names, names_in(locks));
    for (auto const& name : names)
      if (name != ".homelab-llm") RETURN_IF_ERROR(nobody_downloads(root_path_, name));
    if (options_.dry_run) return {};
    if (auto const own = open_sub(locks, ".homelab-llm")) RETURN_IF_ERROR(carry_own(*own));
    RETURN_IF_ERROR(swap_for_link(".locks"));
    return remove_below(*scratch_, ".locks");
  }

  /// When the root itself was used as a hub folder: its trash and records belong to hub/ now.
  Status carry_own(FolderAt const& own) {
    ASSIGN_OR_RETURN(FolderAt const locks, open_sub(*hub_, ".locks"));
    ASSIGN_OR_RETURN(FolderAt const theirs, open_sub(locks, ".homelab-llm"));
    for (std::string const kind : {"trash", "quarantine", "verified"}) {
      auto const from = open_sub(own, kind);
      if (!from) continue;
      ASSIGN_OR_RETURN(FolderAt const to, make_sub(theirs, kind));
      ASSIGN_OR_RETURN(auto const names, names_in(*from));
      for (auto const& name : names) {
        if (!look_at(to, name)) {
          RETURN_IF_ERROR(rename_at(*from, name, to, name));
        } else if (kind != "verified") {
          return fail(Code::kFailedPrecondition,
                      fmt::format("{} and {} both exist", from->in(name), to.in(name)));
        }
      }
    }
    return {};
  }

  Status link_store() {
    // Foreign content is no store for Python either, so that it does no harm.
    if (store_state(root_path_) == StoreState::kForeign && is_folder(look_at(root_, "blobs")))
      return {};
    ASSIGN_OR_RETURN(bool const linked, is_linked("blobs"));
    if (linked || options_.dry_run) return {};
    if (store_state(root_path_) == StoreState::kMarked) RETURN_IF_ERROR(bring_store(root_path_));
    RETURN_IF_ERROR(swap_for_link("blobs"));
    return remove_exchanged("blobs");
  }

  Status bring_store(Path const& from) {
    if (store_state(from) != StoreState::kMarked) return {};
    ASSIGN_OR_RETURN(auto const all, payloads(from));
    for (auto const& hash : all) {
      if (options_.stop()) return fail(Code::kCancelled, "stopped; run again to continue");
      RETURN_IF_ERROR(bring_payload(from, hub_path_, hash));
    }
    return {};
  }

  BridgeOptions const& options_;
  Path root_path_;
  Path hub_path_;
  FolderAt root_;
  std::optional<FolderAt> hub_;      ///< nullopt: does not exist in a dry run
  std::optional<FolderAt> scratch_;  ///< H/.locks/.homelab-llm/bridge; nullopt in a dry run
};

}  // namespace

std::string_view to_string(Action action) {
  switch (action) {
    case Action::kLinked:
      return "linked";
    case Action::kMoved:
      return "moved";
    case Action::kMerged:
      return "merged";
    case Action::kAlready:
      return "already";
    case Action::kUnlinked:
      return "unlinked";
    case Action::kLeft:
      break;
  }
  return "left";
}

std::uint64_t BridgeReport::saved_bytes() const {
  std::uint64_t sum = 0;
  for (auto const& repo : repos) sum += repo.saved_bytes;
  return sum;
}

bool BridgeReport::complete() const {
  return problems.empty() && std::ranges::none_of(repos, [](BridgedRepo const& repo) {
           return repo.action == Action::kLeft;
         });
}

Result<BridgeReport> bridge_root(Path const& root, BridgeOptions const& options) {
  ASSIGN_OR_RETURN(FolderAt at, open_folder(root));
  return Bridge(root, options, std::move(at)).run();
}

Result<BridgeReport> unbridge_root(Path const& root, BridgeOptions const& options) {
  ASSIGN_OR_RETURN(FolderAt const at, open_folder(root));
  BridgeReport report{root, root / kHub, {}, {}};
  ASSIGN_OR_RETURN(auto const names, names_in(at));
  for (auto const& name : names) {
    bool const ours = is_repo_name(name) || name == ".locks" || name == "blobs";
    if (!ours || link_text(at, name) != text_to(name)) continue;
    if (!options.dry_run) RETURN_IF_ERROR(remove_entry(at, name));
    if (is_repo_name(name)) report.repos.push_back({name, Action::kUnlinked, 0, 0, {}});
  }
  if (!options.dry_run) RETURN_IF_ERROR(sync(at));
  return report;
}

bool is_bridged(Path const& root) {
  auto const at = open_folder(root);
  return at && link_text(*at, ".locks") == text_to(".locks");
}

Status keep_bridged(Path const& root, std::string const& folder) {
  if (!is_repo_name(folder) || !is_bridged(root)) return {};
  ASSIGN_OR_RETURN(FolderAt const at, open_folder(root));
  auto const hub = open_folder(root / kHub);
  bool const wanted = hub && is_folder(look_behind(*hub, folder));
  auto const mine = look_at(at, folder);
  if (wanted && !mine) {
    RETURN_IF_ERROR(make_link(at, folder, text_to(folder)));
    return sync(at);
  }
  if (!wanted && is_link(mine) && link_text(at, folder) == text_to(folder))
    return remove_entry(at, folder);
  return {};
}

Status keep_hub_bridged(Path const& hub_folder, std::string const& folder) {
  if (hub_folder.filename() != kHub) return {};
  return keep_bridged(hub_folder.parent_path(), folder);
}

}  // namespace homelab::cache
