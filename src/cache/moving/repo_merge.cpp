#include "repo_merge.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include "../store/store_folder.h"
#include "base/hash.h"
#include "base/strings.h"
#include "durable_step.h"
#include "folder_entries.h"
#include "link_placer.h"
#include "partial_state.h"

namespace homelab::cache {
namespace {

constexpr std::size_t kReadBytes = std::size_t{4} << 20;
constexpr std::size_t kMaxRefBytes = 4096;
constexpr int kMaxDepth = 64;

std::uint64_t disk_bytes(struct stat const& file) {
  return static_cast<std::uint64_t>(file.st_blocks) * 512;
}

/// A download that can go on where it stopped, under a name that does not change.
bool is_resumable(std::string const& name) {
  if (name.ends_with(".homelab.part") || name.ends_with(".downloadInProgress")) return true;
  auto const dot = name.find('.');
  return dot != std::string::npos && name.substr(dot) == ".incomplete";
}
bool is_temporary(std::string const& name) {
  return name.starts_with('.') || name.starts_with("tmp") || name.ends_with(".incomplete") ||
         name.ends_with(".part");
}

tl::unexpected<Error> no_part(std::string const& shown) {
  return fail(Code::kFailedPrecondition,
              shown + " is no part of a repository folder; move it away first");
}

class RepoMerge {
 public:
  RepoMerge(MergeSides const& sides, MergeControl const& control, FolderAt source,
            std::optional<FolderAt> target)
      : sides_(sides), control_(control), source_(std::move(source)), target_(std::move(target)) {}

  Result<MergeReport> run() {
    RETURN_IF_ERROR(check_names());
    RETURN_IF_ERROR(merge_blobs());
    for (std::string const folder : {"snapshots", "trees", ".no_exist"}) {
      ASSIGN_OR_RETURN(auto const from, sub_of(source_, folder));
      if (!from) continue;
      ASSIGN_OR_RETURN(auto const to, target_sub(target_, folder));
      RETURN_IF_ERROR(carry_folder(*from, to, 0, folder == "snapshots"));
    }
    RETURN_IF_ERROR(merge_refs());
    if (target_ && !control_.dry_run) RETURN_IF_ERROR(sync(*target_));
    return std::move(report_);
  }

 private:
  using Target = std::optional<FolderAt>;  ///< nullopt: would be made, were this no dry run

  Status check_names() {
    ASSIGN_OR_RETURN(auto const names, names_in(source_));
    for (auto const& name : names) {
      static constexpr std::array<std::string_view, 5> kKnown{"blobs", "refs", "snapshots", "trees",
                                                              ".no_exist"};
      if (std::ranges::find(kKnown, name) == kKnown.end() && !is_temporary(name))
        return no_part(source_.in(name));
    }
    return {};
  }

  static Result<std::optional<FolderAt>> sub_of(FolderAt const& parent, std::string const& name) {
    auto opened = open_sub(parent, name);
    if (opened) return std::optional(std::move(*opened));
    if (opened.error().code == Code::kNotFound) return std::optional<FolderAt>();
    return fail(opened.error());
  }

  Result<Target> target_sub(Target const& parent, std::string const& name) {
    if (!parent) return Target();
    if (control_.dry_run) return sub_of(*parent, name);
    ASSIGN_OR_RETURN(FolderAt made, make_sub(*parent, name));
    return Target(std::move(made));
  }

  Status stopped() const {
    if (control_.stop()) return fail(Code::kCancelled, "stopped; run again to continue");
    return {};
  }

  // Blobs.

  Status merge_blobs() {
    ASSIGN_OR_RETURN(source_blobs_, sub_of(source_, "blobs"));
    ASSIGN_OR_RETURN(target_blobs_, target_sub(target_, "blobs"));
    if (!source_blobs_) return {};
    ASSIGN_OR_RETURN(auto const names, names_in(*source_blobs_));
    for (auto const& name : names) {
      RETURN_IF_ERROR(stopped());
      RETURN_IF_ERROR(merge_blob(name).map_error(
          [&](Error error) { return std::move(error).in(source_blobs_->in(name)); }));
    }
    if (target_blobs_ && !control_.dry_run) RETURN_IF_ERROR(sync(*target_blobs_));
    return {};
  }

  Status merge_blob(std::string const& name) {
    auto const mine = look_at(*source_blobs_, name);
    if (!mine) return {};
    if (is_temporary(name) || is_resumable(name)) return carry_partial(name, *mine);
    ASSIGN_OR_RETURN(auto const locks, lock(name));
    if (S_ISLNK(mine->st_mode)) return merge_store_link(name);
    if (!S_ISREG(mine->st_mode)) return no_part(source_blobs_->in(name));
    auto const size = static_cast<std::uint64_t>(mine->st_size);
    auto const theirs = target_blobs_ ? look_at(*target_blobs_, name) : std::nullopt;
    if (!theirs) {
      report_.brought_bytes += size;
      return second_name(name);
    }
    if (is_same_file(*mine, *theirs)) return {};
    auto const behind = look_behind(*target_blobs_, name);
    if (!behind) {
      report_.brought_bytes += size;
      return control_.dry_run ? Status() : put_over(*source_blobs_, *target_blobs_, name);
    }
    if (!S_ISREG(behind->st_mode)) return no_part(target_blobs_->in(name));
    return choose(name, *mine, *behind);
  }

  /// The etag locks of both sides, or of the one that both share.
  Result<std::vector<os::FileLock>> lock(std::string const& blob) {
    std::vector<os::FileLock> held;
    if (control_.dry_run || !BlobName::parse(blob)) return held;
    Path const theirs = sides_.target_hub / ".locks" / sides_.name;
    Path const mine = sides_.source_hub / ".locks" / sides_.name;
    RETURN_IF_ERROR(os::make_folders(theirs));
    std::vector<Path> folders{theirs};
    std::error_code error;
    if (std::filesystem::is_directory(mine, error) &&
        !std::filesystem::equivalent(mine, theirs, error))
      folders.push_back(mine);
    for (auto const& folder : folders) {
      ASSIGN_OR_RETURN(auto taken, os::FileLock::try_take(folder / (blob + ".lock")));
      if (!taken) return fail(Code::kAborted, "it is being downloaded right now");
      held.push_back(*std::move(taken));
    }
    return held;
  }

  Status second_name(std::string const& name) {
    if (control_.dry_run) return {};
    durable_step("second name of a blob");
    if (::linkat(source_blobs_->fd.get(), name.c_str(), target_blobs_->fd.get(), name.c_str(), 0) !=
        0)
      return fail_errno("link to", target_blobs_->in(name), errno);
    return {};
  }

  /// The file `name` of `from` takes the place of what `to` has under that name, in one step.
  Status put_over(FolderAt const& from, FolderAt const& to, std::string const& name) {
    std::string const scratch = fmt::format(".{}.homelab.{}.link", name, random_hex(4));
    durable_step("second name of a blob");
    if (::linkat(from.fd.get(), name.c_str(), to.fd.get(), scratch.c_str(), 0) != 0)
      return fail_errno("link to", to.in(name), errno);
    auto moved = rename_at(to, scratch, to, name);
    if (!moved) ::unlinkat(to.fd.get(), scratch.c_str(), 0);
    return moved;
  }

  /// Two files under one name: the target's stays when it is right, else the source's.
  Status choose(std::string const& name, struct stat const& mine, struct stat const& theirs) {
    if (control_.dry_run) {
      if (!control_.keep_source) report_.saved_bytes += disk_bytes(mine);
      return {};
    }
    bool const theirs_is_link = look_at(*target_blobs_, name)->st_ino != theirs.st_ino;
    ASSIGN_OR_RETURN(bool const theirs_right, is_right(*target_blobs_, name, theirs, mine));
    if (theirs_right) {
      if (control_.keep_source) return {};
      if (mine.st_nlink == 1) report_.saved_bytes += disk_bytes(mine);
      // A link into the store keeps its payload; the source's copy goes with the source.
      return theirs_is_link ? Status() : put_over(*target_blobs_, *source_blobs_, name);
    }
    ASSIGN_OR_RETURN(bool const mine_right, is_right(*source_blobs_, name, mine, theirs));
    if (!mine_right || !BlobName::parse(name))
      return fail(Code::kDataLoss, "neither copy has the content that its name says");
    report_.remarks.push_back(target_blobs_->in(name) + " was damaged and is replaced");
    if (!theirs_is_link && theirs.st_nlink == 1) report_.saved_bytes += disk_bytes(theirs);
    return put_over(*source_blobs_, *target_blobs_, name);
  }

  /// Has the file the content of its name? Names that are no hashes: is it as long as the other and
  /// are both the same?
  Result<bool> is_right(FolderAt const& folder, std::string const& name, struct stat const& file,
                        struct stat const& other) {
    auto const hash = BlobName::parse(name);
    if (!hash) {
      if (file.st_size != other.st_size) return false;
      return same_content(*source_blobs_, *target_blobs_, name);
    }
    Hasher hasher = hasher_for(*hash, static_cast<std::uint64_t>(file.st_size));
    ASSIGN_OR_RETURN(os::UniqueFd const opened,
                     os::open_at(folder.fd.get(), name, O_RDONLY | O_NONBLOCK));
    std::vector<std::byte> buffer(kReadBytes);
    for (off_t at = 0;;) {
      RETURN_IF_ERROR(stopped());
      ASSIGN_OR_RETURN(auto const bytes, read_some(opened.get(), buffer, at));
      if (bytes.empty()) break;
      hasher.update(bytes);
      control_.on_hashed(bytes.size());
      at += static_cast<off_t>(bytes.size());
    }
    return hasher.finish() == hash->text();
  }

  static Result<std::span<std::byte const>> read_some(int file, std::span<std::byte> buffer,
                                                      off_t at) {
    ssize_t got = 0;
    do {
      got = ::pread(file, buffer.data(), buffer.size(), at);
    } while (got < 0 && errno == EINTR);
    if (got < 0) return fail_errno("read", "blob", errno);
    return std::span<std::byte const>(buffer.first(static_cast<std::size_t>(got)));
  }

  Result<bool> same_content(FolderAt const& one, FolderAt const& other, std::string const& name) {
    ASSIGN_OR_RETURN(os::UniqueFd const a, os::open_at(one.fd.get(), name, O_RDONLY | O_NONBLOCK));
    ASSIGN_OR_RETURN(os::UniqueFd const b,
                     os::open_at(other.fd.get(), name, O_RDONLY | O_NONBLOCK));
    std::vector<std::byte> left(kReadBytes);
    std::vector<std::byte> right(kReadBytes);
    for (off_t at = 0;;) {
      RETURN_IF_ERROR(stopped());
      ASSIGN_OR_RETURN(auto const x, read_some(a.get(), left, at));
      ASSIGN_OR_RETURN(auto const y, read_some(b.get(), right, at));
      if (!std::ranges::equal(x, y)) return false;
      if (x.empty()) return true;
      at += static_cast<off_t>(x.size());
    }
  }

  Status merge_store_link(std::string const& name) {
    auto const text = link_text(*source_blobs_, name);
    auto const hash = text ? payload_of_link(*text, sides_.source_hub) : std::nullopt;
    if (!hash) return fail(Code::kFailedPrecondition, "it is a link that leads out of the cache");
    auto const payload = os::stat_target(payload_path(sides_.source_hub, *hash));
    if (!payload) {
      report_.remarks.push_back(source_blobs_->in(name) + " leads to nothing and is left behind");
      return {};
    }
    bool const there = target_blobs_ && look_behind(*target_blobs_, name);
    if (there) return {};
    report_.brought_bytes += static_cast<std::uint64_t>(payload->st_size);
    if (control_.dry_run) return {};
    RETURN_IF_ERROR(bring_payload(sides_.source_hub, sides_.target_hub, *hash));
    RETURN_IF_ERROR(note_reference(sides_.target_hub, *hash, sides_.name + "/blobs/" + name));
    if (look_at(*target_blobs_, name)) RETURN_IF_ERROR(remove_entry(*target_blobs_, name));
    return make_link(*target_blobs_, name, payload_link(*hash));
  }

  /// A download that can be continued goes along when the target has nothing better.
  Status carry_partial(std::string const& name, struct stat const& mine) {
    if (!is_resumable(name) || !S_ISREG(mine.st_mode) || control_.dry_run) return {};
    std::string const blob = name.substr(0, name.find('.'));
    if (look_at(*target_blobs_, blob) || look_at(*target_blobs_, name)) return {};
    return second_name(name);
  }

  // Snapshots, listings, marks.

  Status carry_folder(FolderAt const& from, Target const& to, int depth, bool snapshot) {
    if (depth > kMaxDepth)
      return fail(Code::kResourceExhausted, from.shown + " is nested too deeply");
    ASSIGN_OR_RETURN(auto const names, names_in(from));
    for (auto const& name : names) {
      RETURN_IF_ERROR(stopped());
      auto const mine = look_at(from, name);
      if (!mine) continue;
      if (S_ISDIR(mine->st_mode)) {
        ASSIGN_OR_RETURN(FolderAt const below, open_sub(from, name));
        ASSIGN_OR_RETURN(auto const there, target_sub(to, name));
        RETURN_IF_ERROR(carry_folder(below, there, depth + 1, snapshot));
      } else if (S_ISLNK(mine->st_mode) && snapshot && depth > 0) {
        RETURN_IF_ERROR(carry_link(from, to, name, depth - 1));
      } else if (S_ISREG(mine->st_mode) && !(snapshot && depth == 0)) {
        RETURN_IF_ERROR(carry_file(from, to, name, *mine));
      } else {
        return no_part(from.in(name));
      }
    }
    return to && !control_.dry_run ? sync(*to) : Status();
  }

  /// `depth`: folders between snapshots/<commit> and the entry.
  Status carry_link(FolderAt const& from, Target const& to, std::string const& name, int depth) {
    auto const text = link_text(from, name);
    Path const blobs = (Path(source_.shown) / "blobs").lexically_normal();
    Path target(text.value_or(""));
    if (target.is_relative()) target = Path(from.shown) / target;
    target = target.lexically_normal();
    if (target.parent_path() != blobs)
      return fail(Code::kFailedPrecondition,
                  from.in(name) + " is a link that leads out of the repository");
    if (!to || control_.dry_run) return {};
    std::string const blob = target.filename().string();
    auto const there = look_behind(*to, name);
    if (there && S_ISREG(there->st_mode)) return {};
    if (!target_blobs_ || !look_behind(*target_blobs_, blob)) {
      report_.remarks.push_back(from.in(name) + " leads to nothing and is left behind");
      return {};
    }
    return place_link({*target_blobs_, *to, name, blob, depth, false});
  }

  /// Regular files: content of caches without links, listings, marks of absent files.
  Status carry_file(FolderAt const& from, Target const& to, std::string const& name,
                    struct stat const& mine) {
    auto const size = static_cast<std::uint64_t>(mine.st_size);
    auto const theirs = to ? look_at(*to, name) : std::nullopt;
    if (!theirs) {
      report_.brought_bytes += size;
      if (control_.dry_run) return {};
      durable_step("second name of a file");
      if (::linkat(from.fd.get(), name.c_str(), to->fd.get(), name.c_str(), 0) != 0)
        return fail_errno("link to", to->in(name), errno);
      return {};
    }
    if (is_same_file(mine, *theirs) || control_.dry_run) return {};
    auto const behind = look_behind(*to, name);
    // What cannot be read there is no copy; the source would be the last one.
    if (!behind || !S_ISREG(behind->st_mode))
      return fail(Code::kFailedPrecondition, to->in(name) + " leads to nothing; remove it first");
    bool const listing = from.shown.ends_with("/trees");
    if (listing) return {};
    ASSIGN_OR_RETURN(bool const same, same_content(from, *to, name));
    if (!same)
      return fail(Code::kFailedPrecondition, fmt::format("{} and {} differ; remove the wrong one",
                                                         from.in(name), to->in(name)));
    if (mine.st_nlink == 1 && !control_.keep_source) report_.saved_bytes += disk_bytes(mine);
    return {};
  }

  // Refs.

  Status merge_refs() {
    ASSIGN_OR_RETURN(auto const from, sub_of(source_, "refs"));
    if (!from) return {};
    ASSIGN_OR_RETURN(auto const to, target_sub(target_, "refs"));
    return carry_refs(*from, to, "", 0);
  }

  Status carry_refs(FolderAt const& from, Target const& to, std::string const& prefix, int depth) {
    if (depth > kMaxDepth) return no_part(from.shown);
    ASSIGN_OR_RETURN(auto const names, names_in(from));
    for (auto const& name : names) {
      auto const mine = look_at(from, name);
      if (mine && S_ISDIR(mine->st_mode)) {
        ASSIGN_OR_RETURN(FolderAt const below, open_sub(from, name));
        ASSIGN_OR_RETURN(auto const there, target_sub(to, name));
        RETURN_IF_ERROR(carry_refs(below, there, prefix + name + "/", depth + 1));
      } else if (mine && S_ISREG(mine->st_mode) && Revision::parse(prefix + name)) {
        RETURN_IF_ERROR(carry_ref(from, to, prefix, name));
      }
    }
    return {};
  }

  static std::optional<CommitHash> commit_in(FolderAt const& folder, std::string const& name) {
    auto const found = look_at(folder, name);
    if (!found || !S_ISREG(found->st_mode)) return std::nullopt;
    auto const text = read_regular_file(Path(folder.shown) / name, kMaxRefBytes);
    if (!text) return std::nullopt;
    auto commit = CommitHash::parse(trim(*text));
    return commit ? std::optional(std::move(*commit)) : std::nullopt;
  }

  [[nodiscard]] bool has_snapshot(CommitHash const& commit) const {
    auto const snapshots = open_sub(*target_, "snapshots");
    auto const found = snapshots ? look_at(*snapshots, commit.text()) : std::nullopt;
    return found && S_ISDIR(found->st_mode);
  }

  Status carry_ref(FolderAt const& from, Target const& to, std::string const& prefix,
                   std::string const& name) {
    auto const mine = commit_in(from, name);
    if (!mine || !to || control_.dry_run) return {};
    auto const theirs = commit_in(*to, name);
    if (theirs && has_snapshot(*theirs)) {
      if (*theirs != *mine)
        report_.remarks.push_back(fmt::format("{}{} stays at {}; the other folder had {}", prefix,
                                              name, theirs->text(), mine->text()));
      return {};
    }
    if (!has_snapshot(*mine)) return {};
    RETURN_IF_ERROR(replace_file({*target_, ".homelab-ref.part", *to, name}, mine->text()));
    return sync(*to);
  }

  MergeSides const& sides_;
  MergeControl const& control_;
  FolderAt source_;
  Target target_;
  std::optional<FolderAt> source_blobs_;
  Target target_blobs_;
  MergeReport report_;
};

}  // namespace

Status nobody_downloads(Path const& hub_folder, std::string const& name) {
  auto const folder = open_folder(hub_folder / ".locks" / name);
  if (!folder) return {};
  ASSIGN_OR_RETURN(auto const files, names_in(*folder));
  for (auto const& file : files) {
    auto const found = look_at(*folder, file);
    if (!found || !S_ISREG(found->st_mode)) continue;
    ASSIGN_OR_RETURN(auto const taken, os::FileLock::try_take(Path(folder->shown) / file));
    if (!taken)
      return fail(Code::kAborted, name + " is being downloaded right now; try again then");
  }
  return {};
}

Result<std::vector<StoreUse>> store_uses(Path const& hub_folder, std::string const& name) {
  std::vector<StoreUse> uses;
  auto const blobs = open_folder(hub_folder / name / "blobs");
  if (!blobs && blobs.error().code == Code::kNotFound) return uses;
  if (!blobs) return fail(blobs.error());
  ASSIGN_OR_RETURN(auto const names, names_in(*blobs));
  for (auto const& blob : names) {
    auto const text = link_text(*blobs, blob);
    if (!text || is_temporary(blob)) continue;
    auto hash = payload_of_link(*text, hub_folder);
    if (!hash)
      return fail(Code::kFailedPrecondition,
                  blobs->in(blob) + " is a link that leads out of the cache");
    uses.push_back({*std::move(hash), fmt::format("{}/blobs/{}", name, blob)});
  }
  return uses;
}

Result<MergeReport> merge_repo(MergeSides const& sides, MergeControl const& control) {
  ASSIGN_OR_RETURN(FolderAt const source_hub, open_folder(sides.source_hub));
  ASSIGN_OR_RETURN(FolderAt source, open_sub(source_hub, sides.name));
  RETURN_IF_ERROR(nobody_downloads(sides.source_hub, sides.name));
  std::optional<FolderAt> target;
  auto const target_hub = open_folder(sides.target_hub);
  if (!target_hub && !control.dry_run) return fail(target_hub.error());
  if (target_hub && control.dry_run) {
    auto opened = open_sub(*target_hub, sides.name);
    if (opened) target = std::move(*opened);
  } else if (target_hub) {
    ASSIGN_OR_RETURN(FolderAt made, make_sub(*target_hub, sides.name));
    RETURN_IF_ERROR(sync(*target_hub));
    target = std::move(made);
  }
  return RepoMerge(sides, control, std::move(source), std::move(target)).run();
}

}  // namespace homelab::cache
