// Drives the cache module from Python tests. Built twice: `cache_probe` with the normal library,
// `cache_crash_writer` with crash points (HOMELAB_LLM_CRASH_AT_STEP).
//
//   write HUB REPO COMMIT REVISION SOURCE   publishes every file below SOURCE as that commit
//   show HUB REPO REVISION                  JSON: what the reader sees, every blob checked
//   remove HUB TARGET TRASH                 cache rm; TRASH "trash" or "now"
//   undo HUB                                restores the newest record of the trash, if any
//   move HUB TARGET_HUB REPO                cache mv
//   bridge ROOT                             cache bridge
//   adopt HUB REPO SOURCE link|move         cache adopt, of loose files
//   export HUB REPO FILE                    cache export
//   import HUB FILE                         cache import
//   gc HUB                                  cache gc, of what lies beside the repositories
//   dedup HUB                               shares equal blobs of several repositories
//   lock HUB REPO BLOB                      takes the etag lock, prints "locked", holds it
//                                           until stdin ends
//   try-lock HUB REPO BLOB                  prints "free" or "busy"
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/json.h"
#include "base/os/file.h"
#include "cache/adopt.h"
#include "cache/archive.h"
#include "cache/blob_writer.h"
#include "cache/bridge.h"
#include "cache/dedup.h"
#include "cache/hub_clean_up.h"
#include "cache/hub_folder.h"
#include "cache/move.h"
#include "cache/removal.h"
#include "cache/trash.h"

namespace homelab::cache {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLimitBytes = 1 << 30;
/// Larger files take the way of big downloads: LFS name, partial, appended in pieces.
constexpr std::size_t kLargeBytes = 1000;
constexpr std::size_t kPieceBytes = 1000;

BlobName hash_of(std::string_view content, bool lfs) {
  Hasher hasher = lfs ? Hasher::sha256() : Hasher::git_blob(content.size());
  hasher.update(content);
  return BlobName::parse(hasher.finish()).value();
}

struct Source {
  RepoPath path;
  std::string content;
  BlobName blob;
};

Result<std::vector<Source>> read_sources(Path const& folder) {
  std::vector<Source> out;
  for (auto const& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    ASSIGN_OR_RETURN(RepoPath path,
                     RepoPath::parse(entry.path().lexically_relative(folder).string()));
    ASSIGN_OR_RETURN(std::string content, os::read_file(entry.path(), kLimitBytes));
    BlobName blob = hash_of(content, content.size() >= kLargeBytes);
    out.push_back({std::move(path), std::move(content), std::move(blob)});
  }
  std::ranges::sort(out, {}, &Source::path);
  return out;
}

Status put_large(RepoWriter const& writer, Source const& source) {
  if (writer.has_blob(source.blob, source.content.size())) return {};
  ASSIGN_OR_RETURN(auto const lock, writer.lock(source.blob, nullptr));
  ASSIGN_OR_RETURN(PartialBlob partial, writer.open_partial(source.blob, source.content.size()));
  fmt::print("resumed {} {}\n", source.path.text(), partial.written_bytes());
  while (partial.written_bytes() < partial.expected_bytes()) {
    auto const rest = std::string_view(source.content).substr(partial.written_bytes(), kPieceBytes);
    RETURN_IF_ERROR(partial.append(std::as_bytes(std::span(rest))));
  }
  return writer.commit(std::move(partial), false);
}

Tree tree_of(std::vector<Source> const& sources) {
  Tree tree;
  for (auto const& source : sources) {
    TreeFile file{
        source.path, source.content.size(), hash_of(source.content, false).text(), {}, {}};
    if (source.blob.is_sha256()) file.lfs_sha256 = source.blob.text();
    tree.files.push_back(std::move(file));
  }
  return tree;
}

Status write(std::span<std::string const> args) {
  ASSIGN_OR_RETURN(RepoId repo, RepoId::parse(args[1]));
  ASSIGN_OR_RETURN(CommitHash const commit, CommitHash::parse(args[2]));
  ASSIGN_OR_RETURN(Revision const revision, Revision::parse(args[3]));
  ASSIGN_OR_RETURN(auto const sources, read_sources(args[4]));
  ASSIGN_OR_RETURN(RepoWriter const writer, RepoWriter::open(args[0], std::move(repo)));
  std::vector<RepoWriter::SmallBlob> small;
  std::vector<RepoWriter::Link> links;
  for (auto const& source : sources) {
    links.push_back({source.path, source.blob});
    if (source.blob.is_sha256()) {
      RETURN_IF_ERROR(put_large(writer, source));
    } else {
      small.push_back({source.blob, source.content});
    }
  }
  RETURN_IF_ERROR(writer.put_blobs(small));
  RETURN_IF_ERROR(writer.link_all(commit, links));
  RETURN_IF_ERROR(writer.write_tree(commit, tree_of(sources)));
  return writer.write_ref(revision, commit);
}

Status remove(std::span<std::string const> args) {
  ASSIGN_OR_RETURN(auto const target, RemovalTarget::parse(args[1]));
  Path const hub = args[0];
  ASSIGN_OR_RETURN(auto const plans,
                   plan_targets(std::span(&hub, 1), std::span(&target, 1), {}, false));
  for (auto const& plan : plans) {
    ASSIGN_OR_RETURN(auto const report, execute_removal(plan, {args[2] == "trash", "probe", {}}));
    for (auto const& skipped : report.skipped)
      return fail(Code::kAborted, skipped.path + ": " + skipped.why);
  }
  return {};
}

Status undo(std::span<std::string const> args) {
  ASSIGN_OR_RETURN(auto const records, list_trash(args[0]));
  for (auto at = records.rbegin(); at != records.rend(); ++at) {
    if (!at->restorable) continue;
    ASSIGN_OR_RETURN(auto const restored, restore_trash(args[0], at->id));
    fmt::print("restored {}\n", restored.paths.size());
    return {};
  }
  return {};
}

Status move(std::span<std::string const> args) {
  MoveRequest request;
  request.from_hub = args[0];
  request.to_hub = args[1];
  request.repo_folder_name = args[2];
  return move_repo(request).transform([](MoveReport const&) {});
}

Result<bool> has_right_hash(Path const& file, BlobName const& name) {
  ASSIGN_OR_RETURN(std::string const content, os::read_file(file, kLimitBytes));
  return hash_of(content, name.is_sha256()) == name;
}

Status show(std::span<std::string const> args) {
  ASSIGN_OR_RETURN(RepoId repo, RepoId::parse(args[1]));
  ASSIGN_OR_RETURN(Revision const revision, Revision::parse(args[2]));
  RepoFolder const folder(args[0], std::move(repo));
  json::object out = {{"commit", nullptr}, {"bad_blobs", json::array()}, {"files", json::object()}};
  if (fs::exists(folder.path() / "blobs")) {
    for (auto const& entry : fs::directory_iterator(folder.path() / "blobs")) {
      auto const name = BlobName::parse(entry.path().filename().string());
      if (!name) continue;
      ASSIGN_OR_RETURN(bool const good, has_right_hash(entry.path(), *name));
      if (!good) out["bad_blobs"].as_array().push_back(json::string(name->text()));
    }
  }
  if (auto const commit = folder.read_ref(revision)) {
    out["commit"] = commit->text();
    ASSIGN_OR_RETURN(auto const view, folder.snapshot(*commit));
    for (auto const& file : view.files)
      out["files"].as_object()[file.path.text()] = file.size_bytes;
    out["dangling"] = view.dangling.size();
    ASSIGN_OR_RETURN(auto const tree, folder.read_tree(*commit));
    out["listed"] = tree ? tree->files.size() : 0;
    ASSIGN_OR_RETURN(out["size_bytes"], repo_size_bytes(folder));
  }
  fmt::print("{}\n", to_ascii_json(out));
  return {};
}

Status lock(std::span<std::string const> args, bool wait) {
  ASSIGN_OR_RETURN(RepoId repo, RepoId::parse(args[1]));
  ASSIGN_OR_RETURN(BlobName const blob, BlobName::parse(args[2]));
  ASSIGN_OR_RETURN(RepoWriter const writer, RepoWriter::open(args[0], std::move(repo)));
  auto const taken = writer.lock(blob, wait ? std::function<bool()>() : [] { return true; });
  if (!taken && taken.error().code != Code::kCancelled) return fail(taken.error());
  std::cout << (wait ? "locked" : taken ? "free" : "busy") << std::endl;
  std::string ignored;
  while (wait && std::getline(std::cin, ignored)) {
  }
  return {};
}

Status share(std::span<std::string const> args) {
  ASSIGN_OR_RETURN(DedupReport const report, dedup({args[0]}, {}));
  fmt::print("{}\n", to_ascii_json(json::object{{"shared", report.shared.size()},
                                                {"skipped", report.skipped.size()}}));
  return {};
}

Status bridge(std::span<std::string const> args) {
  ASSIGN_OR_RETURN(auto const report, bridge_root(args[0], {}));
  for (auto const& repo : report.repos)
    fmt::print("{} {} {}\n", repo.folder, to_string(repo.action), fmt::join(repo.remarks, "; "));
  for (auto const& problem : report.problems) fmt::print("{}\n", problem);
  if (report.complete()) return {};
  return fail(Code::kInternal, "not everything could be bridged");
}

Status adopt(std::span<std::string const> args) {
  ASSIGN_OR_RETURN(RepoId const repo, RepoId::parse(args[1]));
  ASSIGN_OR_RETURN(auto const source, recognise_source(args[2], repo));
  AdoptOptions options;
  options.move = args[3] == "move";
  for (auto const& model : source.models)
    RETURN_IF_ERROR(adopt_model(args[0], model, options).map([](AdoptReport const&) {}));
  return {};
}

Status pack(std::span<std::string const> args) {
  ASSIGN_OR_RETURN(RepoId const repo, RepoId::parse(args[1]));
  ExportItem const item{args[0], RepoType::kModel, repo, {}};
  ASSIGN_OR_RETURN(auto const plan, plan_export(std::span(&item, 1)));
  return export_to_file(plan, args[2]);
}

Status unpack(std::span<std::string const> args) {
  ASSIGN_OR_RETURN(os::UniqueFd const archive, os::open_file(args[1], O_RDONLY));
  ImportRequest request;
  request.hub_folder = args[0];
  request.archive = archive.get();
  request.shown = args[1];
  ASSIGN_OR_RETURN(ImportReport const report, import_archive(request));
  for (auto const& done : report.repos)
    fmt::print("{}\n", to_ascii_json(json::object{{"content", done.content_bytes},
                                                  {"present", done.present_bytes},
                                                  {"resumed", done.resumed_bytes},
                                                  {"written", done.written_bytes}}));
  return {};
}

Status clean_up(std::span<std::string const> args) {
  constexpr std::int64_t kLater = std::int64_t{1} << 62;
  ASSIGN_OR_RETURN(auto const plan, plan_hub_clean_up(args[0], {kLater, 0, {}}));
  ASSIGN_OR_RETURN(auto const report, execute_removal(plan, {}));
  fmt::print("{}\n", report.removed.size());
  return report.skipped.empty() ? Status() : fail(Code::kAborted, report.skipped.front().why);
}

struct Word {
  std::string_view name;
  std::size_t arguments;
  Status (*work)(std::span<std::string const>);
};
constexpr std::array<Word, 13> kWords{{
    {"write", 5, write},
    {"show", 3, show},
    {"lock", 3, [](std::span<std::string const> args) { return lock(args, true); }},
    {"try-lock", 3, [](std::span<std::string const> args) { return lock(args, false); }},
    {"remove", 3, remove},
    {"undo", 1, undo},
    {"move", 3, move},
    {"dedup", 1, share},
    {"bridge", 1, bridge},
    {"adopt", 4, adopt},
    {"export", 3, pack},
    {"import", 2, unpack},
    {"gc", 1, clean_up},
}};

int run(std::vector<std::string> const& args) {
  auto const rest = std::span(args).subspan(1);
  Status done = fail(Code::kInvalidArgument, "unknown command or wrong number of arguments");
  for (Word const& word : kWords)
    if (args[0] == word.name && rest.size() == word.arguments) done = word.work(rest);
  if (done) return 0;
  std::cerr << done.error().message << "\n";
  return 1;
}

}  // namespace
}  // namespace homelab::cache

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  return homelab::cache::run(std::vector<std::string>(argv + 1, argv + argc));
}
