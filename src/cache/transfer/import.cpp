// Reading an archive into a hub folder.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/hash.h"
#include "cache/archive.h"
#include "cache/blob_writer.h"
#include "cache/bridge.h"
#include "cache/revision_switch.h"
#include "cache/room.h"
#include "expected_members.h"
#include "open_blob.h"
#include "partial_state.h"
#include "tar_reader.h"

namespace homelab::cache {
namespace {

/// Smaller blobs are collected and written together: one journal commit for all of them.
constexpr std::uint64_t kSmallBlobBytes = 256UL * 1024;
constexpr std::uint64_t kBatchBytes = 16UL * 1024 * 1024;
constexpr std::size_t kBatchBlobs = 128;
/// Folder members say nothing; so many of them are somebody's joke.
constexpr std::size_t kMaxFolders = 2 * kMaxArchiveMembers;

/// One repository of the archive, on its way into the hub folder.
struct Incoming {
  ArchiveRepo const& facts;
  RepoFolder folder;
  ImportedRepo report;
  std::optional<RepoWriter> writer;
  std::map<CommitHash, Tree> listings;
  std::vector<RepoWriter::SmallBlob> batch;
  std::uint64_t batch_bytes = 0;
};

tl::unexpected<Error> in_member(Error error, TarMember const& member) {
  return fail(std::move(error).in("member " + shown_member(member.name)));
}

class Importer {
 public:
  Importer(ImportRequest const& request, TransferControl const& control, TarReader reader)
      : request_(request), control_(control), reader_(std::move(reader)) {}

  Result<ImportReport> run() {
    RETURN_IF_ERROR(read_manifest());
    total_ = manifest_.content_bytes();
    for (ArchiveRepo const& repo : manifest_.repos) RETURN_IF_ERROR(add_repo(repo));
    RETURN_IF_ERROR(check_refs());
    RETURN_IF_ERROR(find_room());
    if (request_.dry_run) return report();
    RETURN_IF_ERROR(read_members());
    for (Incoming& repo : repos_) RETURN_IF_ERROR(publish(repo));
    return report();
  }

 private:
  // --- before the first byte ---

  Status read_manifest() {
    ASSIGN_OR_RETURN(auto const first, reader_.next());
    if (!first) return fail(Code::kDataLoss, "the archive is empty");
    if (first->name != kArchiveManifestPath || first->kind != TarMember::Kind::kFile)
      return fail(Code::kDataLoss,
                  fmt::format("this is no cache archive: its first member is {}, not {}",
                              shown_member(first->name), kArchiveManifestPath));
    ASSIGN_OR_RETURN(std::string const text, read_text(*first, kMaxArchiveManifestBytes));
    ASSIGN_OR_RETURN(manifest_, parse_archive_json(text));
    return {};
  }

  Result<std::string> read_text(TarMember const& member, std::uint64_t limit_bytes) {
    if (member.size_bytes > limit_bytes)
      return fail(Code::kDataLoss, fmt::format("member {} is longer than {} bytes",
                                               shown_member(member.name), limit_bytes));
    std::string text;
    text.reserve(member.size_bytes);
    while (true) {
      ASSIGN_OR_RETURN(auto const bytes, reader_.read());
      if (bytes.empty()) return text;
      if (bytes.size() > member.size_bytes - text.size())
        return fail(Code::kDataLoss,
                    fmt::format("member {} is longer than it says", shown_member(member.name)));
      text.append(reinterpret_cast<char const*>(bytes.data()), bytes.size());
    }
  }

  Status add_repo(ArchiveRepo const& facts) {
    Incoming repo{facts,
                  RepoFolder(request_.hub_folder, facts.id, facts.type),
                  {facts.type, facts.id, {}, {}, 0, 0, 0, 0, 0},
                  {},
                  {},
                  {},
                  0};
    for (ArchiveRevision const& revision : facts.revisions) {
      repo.report.commits.push_back(revision.commit);
      repo.report.files += revision.files.size();
    }
    for (ArchiveRef const& ref : facts.refs) {
      ImportedRef imported{ref.name, ref.commit, {}};
      // A ref that holds no commit is as good as none: it is set.
      if (auto const now = repo.folder.read_ref(ref.name); now && *now != ref.commit)
        imported.before = *now;
      repo.report.refs.push_back(std::move(imported));
    }
    auto const blobs = open_folder(repo.folder.path() / "blobs");
    for (ArchiveBlob const& blob : facts.blobs) {
      repo.report.content_bytes += blob.size_bytes;
      if (is_present(blobs, blob))
        repo.report.present_bytes += blob.size_bytes;
      else
        need(repo, blob);
    }
    repos_.push_back(std::move(repo));
    return {};
  }

  [[nodiscard]] bool is_present(Result<FolderAt> const& blobs, ArchiveBlob const& blob) const {
    if (!blobs) return false;
    auto const there = open_blob(*blobs, blob.name, request_.hub_folder);
    return there && there->size_bytes == blob.size_bytes;
  }

  void need(Incoming& repo, ArchiveBlob const& blob) {
    auto const part = os::stat_link(repo.folder.path() / "blobs" / part_name_of(blob.name));
    std::uint64_t const held = part ? static_cast<std::uint64_t>(part->st_blocks) * 512 : 0;
    std::uint64_t length = part ? static_cast<std::uint64_t>(part->st_size) : 0;
    if (length > blob.size_bytes) length = 0;
    needed_bytes_ += blob.size_bytes - std::min(held, blob.size_bytes);
    repo.report.resumed_bytes += length;
    repo.report.written_bytes += blob.size_bytes - length;
  }

  [[nodiscard]] Status check_refs() const {
    if (request_.move_refs) return {};
    std::string moved;
    for (Incoming const& repo : repos_)
      for (ImportedRef const& ref : repo.report.refs)
        if (ref.before)
          moved += fmt::format("{}{} of {} is {} here and {} in the archive",
                               moved.empty() ? "" : "; ", ref.name.text(), repo.facts.id.text(),
                               ref.before->text(), ref.commit.text());
    if (moved.empty()) return {};
    return fail(Code::kFailedPrecondition,
                moved + "; nothing was written (--force moves it to the archive's commit)");
  }

  [[nodiscard]] Status find_room() const {
    RETURN_IF_ERROR(request_.may_write(needed_bytes_));
    return request_.dry_run ? check_room(request_.hub_folder, needed_bytes_)
                            : make_room(request_.hub_folder, needed_bytes_);
  }

  // --- the archive's content ---

  Status read_members() {
    ExpectedMembers expected(manifest_);
    for (Incoming& repo : repos_) {
      ASSIGN_OR_RETURN(repo.writer, RepoWriter::open_repo(request_.hub_folder, repo.folder));
      repo.report.present_bytes = repo.report.resumed_bytes = repo.report.written_bytes = 0;
    }
    std::size_t folders = 0;
    while (true) {
      ASSIGN_OR_RETURN(auto const member, reader_.next());
      if (!member) break;
      ASSIGN_OR_RETURN(ExpectedMember const what, expected.take(*member));
      if (what.kind == ExpectedMember::Kind::kFolder && ++folders > kMaxFolders)
        return fail(Code::kDataLoss, "the archive holds too many folders");
      if (auto taken = take(what, *member); !taken)
        return in_member(std::move(taken).error(), *member);
    }
    RETURN_IF_ERROR(expected.all_came());
    for (Incoming& repo : repos_) RETURN_IF_ERROR(flush(repo));
    return {};
  }

  Status take(ExpectedMember const& what, TarMember const& member) {
    Incoming& repo = repos_[what.repo];
    switch (what.kind) {
      case ExpectedMember::Kind::kBlob:
        return take_blob(repo, repo.facts.blobs[what.item], member);
      case ExpectedMember::Kind::kListing:
        return take_listing(repo, repo.facts.revisions[what.revision], member);
      case ExpectedMember::Kind::kRef:
        return take_ref(repo.facts.refs[what.item], member);
      case ExpectedMember::Kind::kFolder:
      case ExpectedMember::Kind::kLink:
      case ExpectedMember::Kind::kAbsent:
        break;
    }
    return {};
  }

  Status take_ref(ArchiveRef const& ref, TarMember const& member) {
    ASSIGN_OR_RETURN(std::string const text, read_text(member, member.size_bytes));
    if (text == ref.commit.text()) return {};
    return fail(Code::kDataLoss, "does not hold the commit that the manifest announces");
  }

  Status take_listing(Incoming& repo, ArchiveRevision const& revision, TarMember const& member) {
    ASSIGN_OR_RETURN(std::string const text, read_text(member, kMaxArchiveListingBytes));
    if (sha256_hex(text) != revision.listing->sha256)
      return fail(Code::kDataLoss, "has another SHA-256 than the manifest announces");
    ASSIGN_OR_RETURN(auto tree, parse_tree_json(text));
    if (!tree) return fail(Code::kDataLoss, "is a listing of an unknown format_version");
    repo.listings.emplace(revision.commit, *std::move(tree));
    return {};
  }

  Status take_blob(Incoming& repo, ArchiveBlob const& blob, TarMember const& member) {
    std::uint64_t const before = done_;
    auto const taken = [&]() -> Status {
      if (repo.writer->has_blob(blob.name, blob.size_bytes)) {
        repo.report.present_bytes += blob.size_bytes;
        return {};
      }
      bool const has_part = repo.writer->partial_disk_bytes(blob.name) > 0;
      if (blob.size_bytes <= kSmallBlobBytes && !has_part) return take_small(repo, blob, member);
      return take_large(repo, blob);
    }();
    done_ = before + blob.size_bytes;
    control_.on_progress(done_, total_);
    return taken;
  }

  Status take_small(Incoming& repo, ArchiveBlob const& blob, TarMember const& member) {
    ASSIGN_OR_RETURN(std::string content, read_text(member, kSmallBlobBytes));
    Hasher own = hasher_for(blob.name, content.size());
    own.update(content);
    RETURN_IF_ERROR(check_hashes(blob, own.finish(), sha256_hex(content)));
    repo.batch_bytes += content.size();
    repo.batch.push_back({blob.name, std::move(content)});
    if (repo.batch.size() < kBatchBlobs && repo.batch_bytes < kBatchBytes) return {};
    return flush(repo);
  }

  static Status flush(Incoming& repo) {
    RETURN_IF_ERROR(repo.writer->put_blobs(repo.batch));
    repo.report.written_bytes += std::exchange(repo.batch_bytes, 0);
    repo.batch.clear();
    return {};
  }

  static Status check_hashes(ArchiveBlob const& blob, std::string const& own,
                             std::string const& sha256) {
    if (own == blob.name.text() && sha256 == blob.sha256) return {};
    return fail(Code::kDataLoss,
                "is damaged: its content has another hash than the manifest "
                "announces; nothing of it was kept");
  }

  /// What an interrupted run had written is passed over, not written again.
  Status take_large(Incoming& repo, ArchiveBlob const& blob) {
    ASSIGN_OR_RETURN(auto const lock, repo.writer->lock(blob.name, control_.cancelled));
    if (repo.writer->has_blob(blob.name, blob.size_bytes)) {
      repo.report.present_bytes += blob.size_bytes;
      return {};
    }
    ASSIGN_OR_RETURN(PartialBlob partial, repo.writer->open_partial(blob.name, blob.size_bytes));
    std::uint64_t const resumed = partial.written_bytes();
    repo.report.resumed_bytes += resumed;
    Hasher sha256 = Hasher::sha256();
    std::uint64_t at = 0;
    while (true) {
      ASSIGN_OR_RETURN(auto bytes, reader_.read());
      if (bytes.empty()) break;
      // The other hash is the blob's own name, and checked by commit().
      if (!blob.name.is_sha256()) sha256.update(bytes);
      std::uint64_t const known = partial.written_bytes() - at;
      at += bytes.size();
      bytes = bytes.subspan(std::min<std::uint64_t>(known, bytes.size()));
      if (!bytes.empty()) RETURN_IF_ERROR(partial.append(bytes));
      control_.on_progress(done_ + at, total_);
    }
    if (!blob.name.is_sha256() && sha256.finish() != blob.sha256) {
      RETURN_IF_ERROR(partial.restart());
      return check_hashes(blob, blob.name.text(), "");
    }
    if (auto committed = repo.writer->commit(std::move(partial), false); !committed) {
      Error error = std::move(committed).error();
      if (resumed > 0 && error.code == Code::kDataLoss)
        error.message += "; an interrupted run had written its beginning: run it again";
      return fail(std::move(error));
    }
    repo.report.written_bytes += blob.size_bytes - resumed;
    return {};
  }

  // --- visible ---

  /// Order of effects as in a download: blobs are there; links, listings, absences, refs.
  Status publish(Incoming const& repo) const {
    RepoWriter const& writer = *repo.writer;
    RETURN_IF_ERROR(writer.sync_blobs());
    for (ArchiveRevision const& revision : repo.facts.revisions) {
      std::vector<RepoWriter::Link> links;
      links.reserve(revision.files.size());
      for (ArchiveFile const& file : revision.files) links.push_back({file.path, file.blob});
      RETURN_IF_ERROR(writer.link_all(revision.commit, links));
      if (auto const listing = repo.listings.find(revision.commit); listing != repo.listings.end())
        RETURN_IF_ERROR(writer.write_tree(revision.commit, listing->second));
      for (RepoPath const& path : revision.absent)
        RETURN_IF_ERROR(writer.mark_absent(revision.commit, path));
    }
    for (ArchiveRef const& ref : repo.facts.refs) RETURN_IF_ERROR(set_ref(repo, ref));
    return keep_hub_bridged(request_.hub_folder, repo.folder.name());
  }

  /// Somebody may have moved the ref since the beginning.
  [[nodiscard]] Status set_ref(Incoming const& repo, ArchiveRef const& ref) const {
    auto const now = repo.folder.read_ref(ref.name);
    if (now && *now != ref.commit && !request_.move_refs)
      return fail(Code::kAborted, fmt::format("{} of {} was moved meanwhile; everything else is "
                                              "there, run it again",
                                              ref.name.text(), repo.facts.id.text()));
    return switch_revision(*repo.writer, ref.name, ref.commit);
  }

  ImportReport report() {
    ImportReport out;
    for (Incoming& repo : repos_) out.repos.push_back(std::move(repo.report));
    return out;
  }

  ImportRequest const& request_;
  TransferControl const& control_;
  TarReader reader_;
  ArchiveManifest manifest_;
  std::vector<Incoming> repos_;
  std::uint64_t needed_bytes_ = 0;
  std::uint64_t total_ = 0;
  std::uint64_t done_ = 0;
};

}  // namespace

Result<ImportReport> import_archive(ImportRequest const& request, TransferControl const& control) {
  auto reader = TarReader::open(request.archive, control.cancelled);
  auto report = reader ? Importer(request, control, std::move(*reader)).run()
                       : Result<ImportReport>(fail(std::move(reader).error()));
  if (!report) return fail(std::move(report).error().in(request.shown));
  return report;
}

}  // namespace homelab::cache
