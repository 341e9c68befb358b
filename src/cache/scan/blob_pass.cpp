#include "blob_pass.h"

#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "../index/watch.h"
#include "leftovers.h"

namespace homelab::cache::scan {
namespace {

constexpr std::string_view kEmptySha256 =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr std::string_view kEmptyGit = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";

/// <hub>/blobs/<two hex>/<64 hex> as "<two hex>/<64 hex>", when the text of a link in `blobs` means
/// that. `is_usual`: it is written as the Python client writes it.
std::optional<std::string> payload_of(std::string_view text, Path const& blobs, Path const& hub,
                                      bool& is_usual) {
  is_usual = true;
  constexpr std::string_view kUsual = "../../blobs/";
  if (text.starts_with(kUsual)) {
    std::string_view const rest = text.substr(kUsual.size());
    if (rest.size() == 2 + 1 + 64 && rest[2] == '/' &&
        rest.substr(3).starts_with(rest.substr(0, 2)) && BlobName::parse(rest.substr(3)))
      return std::string(rest);
  }
  is_usual = false;
  Path const target(text);
  Path const whole = (target.is_absolute() ? target : blobs / target).lexically_normal();
  std::string payload = whole.filename().string();
  std::string const prefix = whole.parent_path().filename().string();
  bool const is_payload = payload.size() == 64 && BlobName::parse(payload) && prefix.size() == 2 &&
                          payload.starts_with(prefix) &&
                          whole.parent_path().parent_path() == (hub / "blobs").lexically_normal();
  if (!is_payload) return std::nullopt;
  return prefix + "/" + payload;
}

}  // namespace

BlobFacts blob_facts(std::string name, struct stat const& content) {
  BlobFacts facts;
  facts.name = std::move(name);
  facts.size_bytes = size_bytes(content);
  facts.disk_bytes = disk_bytes(content);
  facts.modified_ns = to_ns(content.st_mtim);
  facts.accessed_ns = to_ns(content.st_atim);
  facts.identity = {content.st_dev, content.st_ino};
  facts.names = content.st_nlink;
  return facts;
}

void BlobPass::read(OpenFolder const& repo) {
  folder_ = findings_.enter(repo, "blobs", 1);
  if (!folder_.fd) return;
  findings_.scan.blobs.reserve(folder_.names.size());
  if (findings_.hub.depth != ScanDepth::kSizes) by_name_.reserve(folder_.names.size());
  for (std::size_t i = 0; i < folder_.names.size(); ++i) look(folder_.names[i]);
}

void BlobPass::look(FolderList::Node const& node) {
  struct stat found{};
  if (!look_at(folder_.fd.get(), node.name, found)) return;
  Found const nothing{EntryFacts::State::kDangling, 0};
  if (S_ISDIR(found.st_mode)) {
    remember(node.name, nothing);
    findings_.problem(folder_.shown / node.name, "is a folder where a blob belongs");
    findings_.count_tree(folder_, node.name, 2);
  } else if (leftover_in_blobs(node.name)) {
    add_leftover(node.name, found);
  } else if (S_ISLNK(found.st_mode)) {
    findings_.scan.other_disk_bytes += disk_bytes(found);
    add_stored(node.name);
  } else if (S_ISREG(found.st_mode)) {
    if (findings_.watch != nullptr)
      findings_.watch->file(folder_.watched, node.name, index::WatchKind::kBlob, found);
    add(node.name, found, false);
  } else {
    remember(node.name, nothing);
    findings_.count_other(folder_, node.name, found);
    findings_.problem(folder_.shown / node.name, "is no regular file (a pipe, socket or device)");
  }
}

void BlobPass::remember(std::string_view name, Found found) {
  // Names are asked for by links only.
  if (findings_.hub.depth != ScanDepth::kSizes) by_name_.emplace(name, found);
}

void BlobPass::add(std::string_view name, struct stat const& content, bool in_store) {
  auto& blobs = findings_.scan.blobs;
  BlobFacts facts = blob_facts(std::string(name), content);
  facts.in_shared_store = in_store;
  if (facts.hash() && facts.size_bytes == 0 && name != kEmptySha256 && name != kEmptyGit)
    findings_.problem(folder_.shown / name, "is empty, but its name is the hash of some content");
  if (!in_store && facts.names > 1) {
    // Noted here only; RepoScan counts the blocks of blobs.
    static_cast<void>(findings_.is_first_name(content, true));
    by_identity_.emplace(facts.identity, blobs.size());
  }
  remember(name, Found{EntryFacts::State::kLink, blobs.size()});
  blobs.push_back(std::move(facts));
}

void BlobPass::add_leftover(char const* name, struct stat const& found) {
  auto const what = leftover_in_blobs(name);
  bool const live = S_ISREG(found.st_mode) && is_live(findings_, folder_.fd.get(), name, *what);
  std::uint64_t const disk =
      !S_ISREG(found.st_mode) || findings_.is_first_name(found, false) ? disk_bytes(found) : 0;
  findings_.scan.leftovers.push_back(
      {what->kind, folder_.shown / name, disk, to_ns(found.st_mtim), live});
  remember(name, Found{EntryFacts::State::kDangling, 0});
}

void BlobPass::add_stored(char const* name) {
  std::array<char, PATH_MAX> text{};
  ssize_t const length = ::readlinkat(folder_.fd.get(), name, text.data(), text.size());
  if (length < 0) return;
  bool is_usual = true;
  auto const payload = payload_of({text.data(), static_cast<std::size_t>(length)}, folder_.shown,
                                  findings_.hub.path, is_usual);
  // Where an absolute link leads depends on where the hub folder lies.
  if (!is_usual && findings_.watch != nullptr) findings_.watch->spoil();
  struct stat content{};
  if (!payload) {
    remember(name, Found{EntryFacts::State::kOutside, 0});
    findings_.problem(folder_.shown / name,
                      "is a link that leads out of the cache; it is not followed");
  } else if (!is_store_folder(payload->substr(0, 2)) ||
             !look_at(findings_.hub.store.get(), payload->c_str(), content)) {
    remember(name, Found{EntryFacts::State::kDangling, 0});
    findings_.problem(folder_.shown / name, "leads to a payload that the shared store lacks");
  } else if (!S_ISREG(content.st_mode)) {
    remember(name, Found{EntryFacts::State::kOutside, 0});
    findings_.problem(folder_.shown / name, "leads to something that is no regular file");
  } else {
    if (findings_.watch != nullptr)
      findings_.watch->file(folder_.watched, name, index::WatchKind::kStored, content,
                            payload->substr(3));
    add(name, content, true);
  }
}

bool BlobPass::is_store_folder(std::string const& prefix) {
  if (!findings_.hub.store) return false;
  auto const [at, is_new] = store_folders_.emplace(prefix, false);
  if (is_new) {
    struct stat found{};
    at->second =
        look_at(findings_.hub.store.get(), prefix.c_str(), found) && S_ISDIR(found.st_mode);
  }
  return at->second;
}

BlobPass::Found BlobPass::find(std::string_view name) {
  auto const known = by_name_.find(name);
  if (known != by_name_.end()) return known->second;
  Found const nothing{EntryFacts::State::kDangling, 0};
  bool const is_name = !name.empty() && name != "." && name != ".." &&
                       name.find('/') == std::string_view::npos && name.size() <= NAME_MAX;
  if (!is_name || !folder_.fd) return nothing;
  std::string const text(name);
  look({text.c_str(), NodeKind::kUnknown});
  auto const now = by_name_.find(name);
  return now != by_name_.end() ? now->second : nothing;
}

std::optional<std::size_t> BlobPass::find(struct stat const& file) const {
  if (file.st_nlink <= 1) return std::nullopt;
  auto const known = by_identity_.find({file.st_dev, file.st_ino});
  if (known == by_identity_.end()) return std::nullopt;
  return known->second;
}

Path const& BlobPass::real_folder() {
  if (!real_folder_) {
    std::array<char, PATH_MAX> text{};
    std::string const link = "/proc/self/fd/" + std::to_string(folder_.fd.get());
    ssize_t const length = ::readlink(link.c_str(), text.data(), text.size());
    real_folder_ =
        length > 0 ? Path(std::string(text.data(), static_cast<std::size_t>(length))) : Path();
  }
  return *real_folder_;
}

std::vector<std::size_t> BlobPass::sort() {
  auto& blobs = findings_.scan.blobs;
  if (std::ranges::is_sorted(blobs, {}, &BlobFacts::name)) return {};
  if (findings_.hub.depth != ScanDepth::kEverything) {
    std::ranges::sort(blobs, {}, &BlobFacts::name);
    return {};
  }
  std::vector<std::size_t> order(blobs.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {},
                    [&](std::size_t at) -> std::string const& { return blobs[at].name; });
  std::vector<std::size_t> new_place(blobs.size());
  std::vector<BlobFacts> sorted;
  sorted.reserve(blobs.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    new_place[order[i]] = i;
    sorted.push_back(std::move(blobs[order[i]]));
  }
  blobs = std::move(sorted);
  return new_place;
}

}  // namespace homelab::cache::scan
