#include "cache/adopt.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>

#include "base/hash.h"
#include "base/strings.h"
#include "cache/blob_writer.h"
#include "durable_step.h"
#include "folder_entries.h"
#include "repo_merge.h"
#include "walk_at.h"

namespace homelab::cache {
namespace {

constexpr std::size_t kReadBytes = std::size_t{4} << 20;
/// The Hub takes no larger file without LFS.
constexpr std::uint64_t kLfsBytes = 10'000'000;
constexpr char const* kRef = "adopted";

bool is_lfs(RepoPath const& path, std::uint64_t size_bytes) {
  static constexpr std::array<std::string_view, 4> kWeights{"gguf", "safetensors", "onnx", "npz"};
  return size_bytes > kLfsBytes || std::ranges::find(kWeights, path.extension()) != kWeights.end();
}

/// Id of the small text that git has in the place of an LFS file.
std::string pointer_oid(std::string const& sha256, std::uint64_t size_bytes) {
  std::string const text = fmt::format(
      "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n", sha256, size_bytes);
  Hasher hasher = Hasher::git_blob(text.size());
  hasher.update(text);
  return hasher.finish();
}

bool is_unchanged(struct stat const& before, struct stat const& now) {
  return is_same_file(before, now) && before.st_size == now.st_size &&
         before.st_mtim.tv_sec == now.st_mtim.tv_sec &&
         before.st_mtim.tv_nsec == now.st_mtim.tv_nsec;
}

/// First bytes of weights: a pointer file or a web page under the right name must not become a
/// model.
bool has_right_head(RepoPath const& path, std::string_view head, std::uint64_t size_bytes) {
  if (path.extension() == "gguf") return head.starts_with("GGUF");
  if (path.extension() != "safetensors") return true;
  std::uint64_t header = 0;
  constexpr std::size_t kLengthBytes = 8;
  if (head.size() <= kLengthBytes) return false;
  for (std::size_t i = kLengthBytes; i-- > 0;)
    header = (header << 8U) | static_cast<unsigned char>(head[i]);
  return head[kLengthBytes] == '{' && header <= size_bytes - kLengthBytes;
}

/// A source file, open and known.
struct Opened {
  os::UniqueFd file;
  struct stat found{};
  [[nodiscard]] std::uint64_t size() const { return static_cast<std::uint64_t>(found.st_size); }
};

Result<Opened> open_source(AdoptFile const& wanted, bool look_inside) {
  Opened opened;
  ASSIGN_OR_RETURN(opened.file, os::open_file(wanted.source, O_RDONLY | O_NONBLOCK));
  std::string const shown = wanted.source.string();
  if (::fstat(opened.file.get(), &opened.found) != 0) return fail_errno("look at", shown, errno);
  if (!S_ISREG(opened.found.st_mode))
    return fail(Code::kFailedPrecondition, shown + " is not a regular file");
  if (!look_inside) return opened;
  std::array<char, 16> head{};
  ssize_t const got = ::pread(opened.file.get(), head.data(), head.size(), 0);
  if (got < 0) return fail_errno("read", shown, errno);
  if (!has_right_head(wanted.path, {head.data(), static_cast<std::size_t>(got)}, opened.size()))
    return fail(Code::kDataLoss, fmt::format("{} is no {} file, whatever its name says", shown,
                                             wanted.path.extension()));
  return opened;
}

class Adoption {
 public:
  Adoption(RepoWriter const& writer, AdoptModel const& model, AdoptOptions const& options)
      : writer_(writer), model_(model), options_(options) {}

  Result<AdoptReport> run() {
    report_.repo = model_.repo.text();
    report_.folder = writer_.folder().path();
    ASSIGN_OR_RETURN(FolderAt const repo, open_folder(writer_.folder().path()));
    ASSIGN_OR_RETURN(FolderAt const blobs, open_sub(repo, "blobs"));
    for (auto const& file : model_.files) {
      RETURN_IF_ERROR(take(blobs, file).map_error([&](Error error) {
        return std::move(error).in("adopt " + file.source.string());
      }));
    }
    RETURN_IF_ERROR(sync(blobs));
    RETURN_IF_ERROR(publish());
    if (options_.move) RETURN_IF_ERROR(remove_sources(blobs));
    return std::move(report_);
  }

 private:
  Status stopped() const {
    if (options_.stop()) return fail(Code::kCancelled, "stopped; run again to continue");
    return {};
  }

  /// Weights last: as long as one is there, a second run knows the folder as a model's and goes on.
  Status remove_sources(FolderAt const& blobs) {
    for (bool const weights : {false, true}) {
      for (auto& file : report_.files) {
        auto const extension = file.path.extension();
        if ((extension == "gguf" || extension == "safetensors") == weights)
          RETURN_IF_ERROR(remove_source(blobs, file));
      }
    }
    return {};
  }

  /// Only a name of the very file that is the blob now: then no content can be lost.
  Status remove_source(FolderAt const& blobs, AdoptedFile& file) {
    auto const source = os::stat_link(file.source);
    auto const blob = look_at(blobs, file.blob->text());
    if (!source || !blob || !is_same_file(*source, *blob)) {
      report_.remarks.push_back(file.source.string() + " is a copy and was left where it is");
      return {};
    }
    durable_step("remove source");
    RETURN_IF_ERROR(os::remove_file(file.source));
    file.way = AdoptWay::kMove;
    return os::sync_folder(file.source.parent_path());
  }

  Result<std::string> hash(Opened const& source, Hasher hasher) const {
    std::vector<std::byte> buffer(kReadBytes);
    for (off_t at = 0;;) {
      RETURN_IF_ERROR(stopped());
      ssize_t const got = ::pread(source.file.get(), buffer.data(), buffer.size(), at);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fail_errno("read", "file", errno);
      if (got == 0) break;
      hasher.update(std::span(buffer).first(static_cast<std::size_t>(got)));
      options_.on_read(static_cast<std::uint64_t>(got));
      at += got;
    }
    return hasher.finish();
  }

  Status take(FolderAt const& blobs, AdoptFile const& wanted) {
    ASSIGN_OR_RETURN(Opened const source, open_source(wanted, true));
    bool const lfs = is_lfs(wanted.path, source.size());
    ASSIGN_OR_RETURN(auto const text,
                     hash(source, lfs ? Hasher::sha256() : Hasher::git_blob(source.size())));
    ASSIGN_OR_RETURN(auto const name, BlobName::parse(text));
    AdoptedFile adopted{wanted.path, wanted.source, source.size(), name, AdoptWay::kPresent};
    TreeFile listed{wanted.path, source.size(), text, {}, {}};
    if (lfs) {
      listed.lfs_sha256 = text;
      listed.git_oid = pointer_oid(text, source.size());
    }
    if (!writer_.has_blob(name, source.size())) {
      ASSIGN_OR_RETURN(auto const lock, writer_.lock(name, options_.stop));
      if (!writer_.has_blob(name, source.size())) {
        ASSIGN_OR_RETURN(adopted.way, place(blobs, wanted, source, name));
        report_.adopted_bytes += source.size();
        if (adopted.way == AdoptWay::kCopy) report_.copied_bytes += source.size();
      }
    }
    listing_.insert_or_assign(wanted.path, std::move(listed));
    report_.files.push_back(std::move(adopted));
    return {};
  }

  Result<AdoptWay> place(FolderAt const& blobs, AdoptFile const& wanted, Opened const& source,
                         BlobName const& name) {
    std::string const scratch = fmt::format(".{}.homelab.{}.link", name.text(), random_hex(4));
    ASSIGN_OR_RETURN(AdoptWay const way, bring(blobs, wanted, source, scratch));
    if (auto done = finish(blobs, source, scratch, name); !done) {
      ::unlinkat(blobs.fd.get(), scratch.c_str(), 0);
      return fail(std::move(done).error());
    }
    if (way == AdoptWay::kHardLink && (source.found.st_mode & (S_IRGRP | S_IROTH)) == 0)
      report_.remarks.push_back(
          fmt::format("{} can be read by its owner only: chmod a+r it", wanted.path.text()));
    return way;
  }

  static Status check_unchanged(Opened const& source) {
    struct stat now{};
    if (::fstat(source.file.get(), &now) == 0 && is_unchanged(source.found, now)) return {};
    return fail(Code::kDataLoss, "the file changed while it was read; try again");
  }

  static tl::unexpected<Error> no_sharing(FolderAt const& blobs, int error) {
    return fail(
        Code::kFailedPrecondition,
        fmt::format(
            "it cannot share its content with {} ({}); a second copy is made only with --copy",
            blobs.shown, std::error_code(error, std::generic_category()).message()));
  }

  /// What stands under the private name is what was hashed: it is synced and gets its own name.
  static Status finish(FolderAt const& blobs, Opened const& source, std::string const& scratch,
                       BlobName const& name) {
    RETURN_IF_ERROR(check_unchanged(source));
    ASSIGN_OR_RETURN(os::UniqueFd const file, os::open_at(blobs.fd.get(), scratch, O_RDONLY));
    durable_step("sync blob");
    RETURN_IF_ERROR(os::sync_data(file.get()));
    return rename_at(blobs, scratch, blobs, name.text());
  }

  /// Without moving: shared blocks, else a second name, else (when asked for) a copy.
  Result<AdoptWay> bring(FolderAt const& blobs, AdoptFile const& wanted, Opened const& source,
                         std::string const& scratch) const {
    // To move is to have two names for a while: the source goes when the snapshot is there.
    if (!options_.move && reflink(blobs, source, scratch)) return AdoptWay::kReflink;
    durable_step("link");
    // The open file, not its name: what was hashed is what gets the second name.
    std::string const open_name = fmt::format("/proc/self/fd/{}", source.file.get());
    if (::linkat(AT_FDCWD, open_name.c_str(), blobs.fd.get(), scratch.c_str(), AT_SYMLINK_FOLLOW) ==
        0)
      return AdoptWay::kHardLink;
    int const error = errno;
    if (!options_.copy) return no_sharing(blobs, error);
    RETURN_IF_ERROR(copy(blobs, source, scratch).map_error([&](Error failure) {
      return std::move(failure).in("copy " + wanted.source.string());
    }));
    return AdoptWay::kCopy;
  }

  static bool reflink(FolderAt const& blobs, Opened const& source, std::string const& scratch) {
    durable_step("reflink");
    auto const file =
        os::open_at(blobs.fd.get(), scratch, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW);
    if (!file) return false;
    if (::ioctl(file->get(), FICLONE, source.file.get()) == 0) return true;
    ::unlinkat(blobs.fd.get(), scratch.c_str(), 0);
    return false;
  }

  Status copy(FolderAt const& blobs, Opened const& source, std::string const& scratch) const {
    durable_step("copy");
    ASSIGN_OR_RETURN(
        os::UniqueFd const file,
        os::open_at(blobs.fd.get(), scratch, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW));
    std::vector<std::byte> buffer(kReadBytes);
    auto const work = [&]() -> Status {
      for (off_t at = 0;;) {
        RETURN_IF_ERROR(stopped());
        ssize_t const got = ::pread(source.file.get(), buffer.data(), buffer.size(), at);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno("read", "file", errno);
        if (got == 0) return {};
        auto const bytes = std::span(buffer).first(static_cast<std::size_t>(got));
        RETURN_IF_ERROR(os::write_all_at(file.get(), bytes, static_cast<std::uint64_t>(at)));
        at += got;
      }
    };
    auto done = work();
    if (!done) ::unlinkat(blobs.fd.get(), scratch.c_str(), 0);
    return done;
  }

  // The snapshot.

  /// The downloaded revision that lists all these files under these names, if there is one: then
  /// they complete it.
  std::optional<CommitHash> revision_that_lists_all() const {
    auto const main = writer_.folder().read_ref(Revision::main());
    if (!main) return std::nullopt;
    auto const tree = writer_.folder().read_tree(*main);
    if (!tree || !*tree) return std::nullopt;
    for (auto const& [path, file] : listing_) {
      auto const* const listed = (*tree)->find(path.text());
      auto const name = listed != nullptr ? listed->blob_name() : file.blob_name();
      if (listed == nullptr || !name || *name != file.blob_name()) return std::nullopt;
    }
    return *main;
  }

  /// What was adopted before under this repository's name stays part of it.
  Status add_earlier(std::optional<CommitHash> const& earlier) {
    if (!earlier) return {};
    ASSIGN_OR_RETURN(auto const tree, writer_.folder().read_tree(*earlier));
    if (!tree) return {};
    for (auto const& file : tree->files) {
      auto const name = file.blob_name();
      if (name && writer_.has_blob(*name, file.size_bytes)) listing_.try_emplace(file.path, file);
    }
    return {};
  }

  CommitHash commit_of_listing() const {
    std::string text = "homelab-llm adopted files, layout 1\n";
    for (auto const& [path, file] : listing_)
      text += fmt::format("{} {} {}\n", file.lfs_sha256.value_or(file.git_oid), file.size_bytes,
                          path.text());
    return CommitHash::parse(sha256_hex(text).substr(0, 40)).value();
  }

  Status link(CommitHash const& commit) const {
    std::vector<RepoWriter::Link> links;
    for (auto const& [path, file] : listing_) {
      ASSIGN_OR_RETURN(auto name, file.blob_name());
      links.push_back({path, std::move(name)});
    }
    return writer_.link_all(commit, links);
  }

  Status publish() {
    if (auto const known = revision_that_lists_all()) {
      report_.commit = known;
      return link(*known);
    }
    ASSIGN_OR_RETURN(auto const ref, Revision::parse(kRef));
    auto const before = writer_.folder().read_ref(ref);
    std::optional<CommitHash> const earlier = before ? std::optional(*before) : std::nullopt;
    RETURN_IF_ERROR(add_earlier(earlier));
    CommitHash const commit = commit_of_listing();
    report_.commit = commit;
    RETURN_IF_ERROR(link(commit));
    Tree tree;
    for (auto const& [path, file] : listing_) tree.files.push_back(file);
    RETURN_IF_ERROR(writer_.write_tree(commit, tree));
    auto const main = writer_.folder().read_ref(Revision::main());
    bool const ours = !main || (earlier && *main == *earlier) || *main == commit;
    if (ours) RETURN_IF_ERROR(writer_.write_ref(Revision::main(), commit));
    if (!ours)
      report_.remarks.push_back(
          fmt::format("main stays at the downloaded revision {}; these files are revision {}",
                      main->text(), kRef));
    return writer_.write_ref(ref, commit);
  }

  RepoWriter const& writer_;
  AdoptModel const& model_;
  AdoptOptions const& options_;
  AdoptReport report_;
  std::map<RepoPath, TreeFile> listing_;
};

/// What would be done, judged by where the files are.
Result<AdoptReport> plan(Path const& hub_folder, AdoptModel const& model,
                         AdoptOptions const& options) {
  AdoptReport report;
  report.repo = model.repo.text();
  report.folder = RepoFolder(hub_folder, model.repo).path();
  struct stat there{};
  Path place = hub_folder;
  while (::stat(place.c_str(), &there) != 0 && place.has_relative_path())
    place = place.parent_path();
  for (auto const& file : model.files) {
    ASSIGN_OR_RETURN(Opened const source, open_source(file, true));
    AdoptedFile planned{file.path, file.source, source.size(), std::nullopt, AdoptWay::kHardLink};
    if (source.found.st_dev != there.st_dev) {
      if (!options.copy)
        return fail(Code::kFailedPrecondition,
                    fmt::format("{} is on another file system than {}; a second copy is made only "
                                "with --copy",
                                file.source.string(), hub_folder.string()));
      planned.way = AdoptWay::kCopy;
      report.copied_bytes += source.size();
    } else if (options.move) {
      planned.way = AdoptWay::kMove;
    }
    report.adopted_bytes += source.size();
    report.files.push_back(std::move(planned));
  }
  return report;
}

}  // namespace

std::string_view to_string(AdoptWay way) {
  switch (way) {
    case AdoptWay::kPresent:
      return "present";
    case AdoptWay::kReflink:
      return "reflink";
    case AdoptWay::kHardLink:
      return "hardlink";
    case AdoptWay::kMove:
      return "move";
    case AdoptWay::kCopy:
      break;
  }
  return "copy";
}

Result<AdoptReport> adopt_model(Path const& hub_folder, AdoptModel const& model,
                                AdoptOptions const& options) {
  if (options.move && !model.may_move)
    return fail(Code::kFailedPrecondition,
                model.repo.text() +
                    ": its own program needs the files where they are; adopt "
                    "without --move");
  if (options.dry_run) return plan(hub_folder, model, options);
  ASSIGN_OR_RETURN(RepoWriter const writer, RepoWriter::open(hub_folder, model.repo));
  return Adoption(writer, model, options).run();
}

Result<AdoptReport> adopt_repo(Path const& hub_folder, Path const& source_hub,
                               std::string const& folder, AdoptOptions const& options) {
  AdoptReport report;
  report.repo = folder;
  report.folder = hub_folder / folder;
  std::error_code error;
  if (std::filesystem::equivalent(hub_folder, source_hub, error))
    return fail(Code::kFailedPrecondition, source_hub.string() + " is the cache itself");
  MergeControl const control{options.dry_run, !options.move, options.stop, options.on_read};
  if (!options.dry_run) RETURN_IF_ERROR(os::make_folders(hub_folder));
  auto merged = merge_repo({source_hub, hub_folder, folder}, control);
  if (!merged) return fail(std::move(merged).error().in("adopt " + (source_hub / folder).string()));
  report.adopted_bytes = merged->brought_bytes;
  report.remarks = std::move(merged->remarks);
  if (options.move && !options.dry_run) {
    ASSIGN_OR_RETURN(FolderAt const from, open_folder(source_hub));
    RETURN_IF_ERROR(remove_below(from, folder));
    RETURN_IF_ERROR(sync(from));
  }
  return report;
}

}  // namespace homelab::cache
