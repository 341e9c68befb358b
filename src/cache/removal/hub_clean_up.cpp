#include "hub_clean_up.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "../store/shared_store.h"
#include "../store/store_folder.h"
#include "base/os/file_lock.h"
#include "base/strings.h"
#include "cache/hub_clean_up.h"
#include "durable_step.h"
#include "walk_at.h"

namespace homelab::cache {
namespace {

constexpr std::int64_t kNsPerS = 1'000'000'000;
constexpr std::string_view kQuarantine = ".locks/.homelab-llm/quarantine";
constexpr std::string_view kTrial = ".homelab-llm-trial-";
constexpr std::size_t kTrialDigits = 8;

bool consists_of(std::string_view text, std::string_view letters) {
  return text.find_first_not_of(letters) == std::string_view::npos;
}

bool is_own_trial(std::string_view name) {
  return name.size() == kTrial.size() + kTrialDigits && name.starts_with(kTrial) &&
         consists_of(name.substr(kTrial.size()), "0123456789abcdef");
}

/// The folder in which the Python client tries whether links can be made; nothing else may be in
/// it.
bool is_python_trial(FolderAt const& parent, std::string const& name) {
  constexpr std::size_t kLength = 11;
  constexpr std::array<std::string_view, 2> kFiles{"dummy_file_dst", "dummy_file_src"};
  if (name.size() != kLength || !name.starts_with("tmp") ||
      !consists_of(name, "abcdefghijklmnopqrstuvwxyz0123456789_"))
    return false;
  auto const folder = open_sub(parent, name);
  auto const names = folder ? names_in(*folder) : fail(folder.error());
  return names && std::ranges::all_of(*names, [&](std::string const& one) {
           auto const found = look_at(*folder, one);
           bool const plain = found && (S_ISLNK(found->st_mode) ||
                                        (S_ISREG(found->st_mode) && found->st_size == 0));
           return plain && std::ranges::find(kFiles, one) != kFiles.end();
         });
}

bool is_temporary(FolderAt const& parent, std::string const& name) {
  return is_own_trial(name) || is_python_trial(parent, name);
}

/// "blobs/<hh>/<hash>" when `path` is "blobs/<hh>/<hash>.refs".
std::optional<std::string> payload_of_list(std::string const& path) {
  constexpr std::string_view kEnding = ".refs";
  if (!path.ends_with(kEnding)) return std::nullopt;
  std::string payload = path.substr(0, path.size() - kEnding.size());
  auto const parts = split(payload, '/');
  bool const is_one = parts.size() == 3 && parts[2].size() == 64 && BlobName::parse(parts[2]) &&
                      parts[1] == parts[2].substr(0, 2);
  return is_one ? std::optional(payload) : std::nullopt;
}

/// Every place in the store that a blob of some repository leads to, whoever made the link.
Result<std::set<std::string>> linked_payloads(FolderAt const& hub) {
  std::set<std::string> out;
  ASSIGN_OR_RETURN(auto const names, names_in(hub));
  for (std::string const& name : names) {
    if (name == "blobs") continue;
    auto const blobs = open_below(hub, name + "/blobs");
    // No repository, or one of another hub folder; what cannot be read may lead anywhere.
    if (!blobs &&
        (blobs.error().code == Code::kNotFound || blobs.error().code == Code::kFailedPrecondition))
      continue;
    if (!blobs) return fail(blobs.error());
    ASSIGN_OR_RETURN(auto const inside, names_in(*blobs));
    for (std::string const& blob : inside)
      if (auto payload = payload_of(hub, fmt::format("{}/blobs/{}", name, blob)))
        out.insert(*std::move(payload));
  }
  return out;
}

class Planner {
 public:
  Planner(Path const& hub_folder, HubCleanUpRules const& rules, FolderAt hub)
      : rules_(rules), hub_(std::move(hub)), facts_(look_up(hub_folder, "")) {
    plan_.hub_folder = hub_folder;
    plan_.id = "hub folder";
  }

  Result<RemovalPlan> run() {
    if (store_state(plan_.hub_folder) == StoreState::kMarked) {
      RETURN_IF_ERROR(payloads_nobody_uses());
      RETURN_IF_ERROR(lists_without_payload());
    }
    RETURN_IF_ERROR(temporaries(hub_, ""));
    // A link: the locks of another hub folder, which has its own plan (a bridged root).
    if (auto const locks = open_sub(hub_, ".locks")) {
      RETURN_IF_ERROR(temporaries(*locks, ".locks/"));
      RETURN_IF_ERROR(quarantined());
    }
    return std::move(plan_);
  }

 private:
  void add(RemovalKind kind, std::string path, std::string why, std::uint64_t size_bytes) {
    RemovalItem item;
    item.kind = kind;
    item.why = std::move(why);
    item.size_bytes = size_bytes;
    item.use = facts_.use(path);
    item.path = std::move(path);
    RemovalItem const* const one = &item;
    item.frees_bytes = freed_bytes(std::span(&one, 1));
    plan_.items.push_back(std::move(item));
  }

  [[nodiscard]] bool is_young(struct timespec const& time, std::int64_t age_ns) const {
    return std::int64_t{time.tv_sec} * kNsPerS + time.tv_nsec > rules_.now_ns - age_ns;
  }

  Status payloads_nobody_uses() {
    ASSIGN_OR_RETURN(auto const linked, linked_payloads(hub_));
    ASSIGN_OR_RETURN(auto const hashes, payloads(plan_.hub_folder));
    for (std::string const& hash : hashes) {
      std::string const path = fmt::format("blobs/{}/{}", hash.substr(0, 2), hash);
      auto const shelf = open_below(hub_, split_name(path).folder);
      auto const found = shelf ? look_at(*shelf, hash) : std::nullopt;
      if (!found || !S_ISREG(found->st_mode) || linked.contains(path) ||
          is_young(found->st_mtim, rules_.older_than_ns))
        continue;
      auto const references = references_of(hub_, path);
      if (!references)
        plan_.kept.push_back({path, "its list of users is missing or cannot be read"});
      else if (references->empty())
        add(RemovalKind::kPayload, path, "no repository uses it",
            static_cast<std::uint64_t>(found->st_size));
    }
    return {};
  }

  /// What a program left that was killed between removing a payload and its list.
  Status lists_without_payload() {
    return walk_below(
        hub_, "blobs",
        [&](FolderAt const& folder, std::string const& name, std::string const& path) -> Status {
          auto const payload = payload_of_list("blobs/" + path);
          auto const found = look_at(folder, name);
          if (!payload || !found || !S_ISREG(found->st_mode) ||
              is_young(found->st_mtim, rules_.older_than_ns) ||
              stands_at(folder, split_name(*payload).name))
            return {};
          add(RemovalKind::kLeftover, "blobs/" + path, "its payload is gone", 0);
          return {};
        });
  }

  Status temporaries(FolderAt const& folder, std::string const& prefix) {
    ASSIGN_OR_RETURN(auto const names, names_in(folder));
    for (std::string const& name : names) {
      auto const found = look_at(folder, name);
      if (!found || is_young(found->st_mtim, rules_.older_than_ns) || !is_temporary(folder, name))
        continue;
      add(RemovalKind::kLeftover, prefix + name, "a killed program left it", 0);
    }
    return {};
  }

  /// Renaming changed the status time: that is when it was put away.
  Status quarantined() {
    std::int64_t const age = std::chrono::nanoseconds(rules_.quarantine_age).count();
    return walk_below(
        hub_, std::string(kQuarantine),
        [&](FolderAt const& folder, std::string const& name, std::string const& path) -> Status {
          auto const found = look_at(folder, name);
          if (!found || !S_ISREG(found->st_mode) || is_young(found->st_ctim, age)) return {};
          add(RemovalKind::kLeftover, fmt::format("{}/{}", kQuarantine, path),
              "damaged content, put away long ago", static_cast<std::uint64_t>(found->st_size));
          return {};
        });
  }

  HubCleanUpRules const& rules_;
  FolderAt hub_;
  DiskFacts facts_;
  RemovalPlan plan_;
};

class CleanUp {
 public:
  CleanUp(RemovalPlan const& plan, RemovalOptions const& options, FolderAt hub)
      : plan_(plan), options_(options), hub_(std::move(hub)) {}

  Result<RemovalReport> run() {
    // Once more: a link that came since the plan keeps its payload, whoever made it.
    ASSIGN_OR_RETURN(linked_, linked_payloads(hub_));
    for (RemovalItem const& item : plan_.items) {
      report_.cancelled = options_.cancelled && options_.cancelled();
      if (report_.cancelled) break;
      auto const removed = remove(item);
      if (!removed) {
        report_.skipped.push_back({item.path, removed.error().message});
      } else if (*removed) {
        report_.removed.push_back(item.path);
        done_.push_back(&item);
      }
    }
    report_.freed_bytes = freed_bytes(done_);
    return std::move(report_);
  }

 private:
  /// False: it was gone already.
  Result<bool> remove(RemovalItem const& item) {
    if (item.kind == RemovalKind::kPayload) return remove_payload(item);
    if (item.path.starts_with(kQuarantine)) return remove_quarantined(item);
    if (auto const payload = payload_of_list(item.path)) return remove_list(item, *payload);
    auto const [folder, name] = split_name(item.path);
    ASSIGN_OR_RETURN(FolderAt const parent, open_below(hub_, folder));
    if (!look_at(parent, name)) return false;
    if (!is_temporary(parent, name)) return changed();
    RETURN_IF_ERROR(remove_below(parent, name));
    RETURN_IF_ERROR(sync(parent));
    return true;
  }

  static tl::unexpected<Error> changed() {
    return fail(Code::kAborted, "it changed since the plan was made");
  }

  Result<bool> remove_payload(RemovalItem const& item) {
    if (linked_.contains(item.path)) return fail(Code::kAborted, "a repository uses it now");
    ASSIGN_OR_RETURN(
        Swept const swept,
        sweep_payload(hub_, item.path, [](FolderAt const& folder, std::string const& name) {
          return remove_entry(folder, name);
        }));
    switch (swept) {
      case Swept::kRemoved:
        return true;
      case Swept::kGone:
        return false;
      case Swept::kBusy:
        return fail(Code::kAborted, "another program works on it right now");
      case Swept::kStillUsed:
        return fail(Code::kAborted, "a repository uses it now");
      case Swept::kUnknownUsers:
        break;
    }
    return fail(Code::kAborted, "its list of users cannot be read any more");
  }

  Result<bool> remove_list(RemovalItem const& item, std::string const& payload) {
    auto const [folder, name] = split_name(item.path);
    ASSIGN_OR_RETURN(FolderAt const shelf, open_below(hub_, folder));
    std::string const hash = split_name(payload).name;
    ASSIGN_OR_RETURN(auto const lock, os::FileLock::try_take(Path(shelf.in(hash + ".lock"))));
    if (!lock) return fail(Code::kAborted, "another program works on it right now");
    if (stands_at(shelf, hash)) return changed();
    if (!look_at(shelf, name)) return false;
    RETURN_IF_ERROR(remove_entry(shelf, name));
    RETURN_IF_ERROR(sync(shelf));
    return true;
  }

  /// ".../quarantine/<repo folder>/<blob>.<hex>", under the blob's lock: `verify --repair` works
  /// there, too.
  Result<bool> remove_quarantined(RemovalItem const& item) {
    auto const [folder, name] = split_name(item.path);
    auto const cell = open_below(hub_, folder);
    if (!cell && cell.error().code == Code::kNotFound) return false;
    if (!cell) return fail(cell.error());
    auto const found = look_at(*cell, name);
    if (!found) return false;
    if (!S_ISREG(found->st_mode)) return changed();
    std::optional<os::FileLock> lock;
    if (auto const blob = BlobName::parse(name.substr(0, name.find('.')))) {
      Path const locks = plan_.hub_folder / ".locks" / split_name(folder).name;
      RETURN_IF_ERROR(os::make_folders(locks));
      ASSIGN_OR_RETURN(lock, os::FileLock::try_take(locks / (blob->text() + ".lock")));
      if (!lock) return fail(Code::kAborted, "another program works on this blob right now");
    }
    RETURN_IF_ERROR(remove_entry(*cell, name));
    RETURN_IF_ERROR(sync(*cell));
    return true;
  }

  RemovalPlan const& plan_;
  RemovalOptions const& options_;
  FolderAt hub_;
  std::set<std::string> linked_;
  RemovalReport report_;
  std::vector<RemovalItem const*> done_;
};

}  // namespace

Result<RemovalPlan> plan_hub_clean_up(Path const& hub_folder, HubCleanUpRules const& rules) {
  ASSIGN_OR_RETURN(FolderAt hub, open_folder(hub_folder));
  return Planner(hub_folder, rules, std::move(hub)).run();
}

Result<RemovalReport> execute_hub_clean_up(RemovalPlan const& plan, RemovalOptions const& options) {
  ASSIGN_OR_RETURN(FolderAt hub, open_folder(plan.hub_folder));
  return CleanUp(plan, options, std::move(hub)).run();
}

}  // namespace homelab::cache
