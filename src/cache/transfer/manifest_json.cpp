#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

#include "base/json.h"
#include "base/strings.h"
#include "cache/archive_manifest.h"

namespace homelab::cache {
namespace {

constexpr std::string_view kFormat = "homelab-llm cache archive";
constexpr std::int64_t kFormatVersion = 1;
/// Far above any disk; sums of that many sizes cannot overflow.
constexpr std::int64_t kMaxBlobBytes = std::int64_t{1} << 44;
constexpr std::size_t kShaDigits = 64;

tl::unexpected<Error> malformed(std::string_view what) {
  return fail(Code::kDataLoss, fmt::format("the archive's manifest is malformed: {}", what));
}

/// Parsed or refused: a bad name in an archive is damage, not wrong usage.
template <class Name>
Result<Name> read_name(json::value const* value) {
  if (value == nullptr || !value->is_string()) return malformed("a name is missing");
  auto name = Name::parse(std::string_view(value->get_string()));
  if (!name) return malformed(name.error().message);
  return name;
}

Result<json::object const*> as_object(json::value const& value) {
  if (!value.is_object()) return malformed("an entry is not an object");
  return &value.get_object();
}

Result<std::uint64_t> read_size(json::object const& object) {
  auto const size = get_int(object, "size_bytes");
  if (!size || *size < 0 || *size > kMaxBlobBytes)
    return malformed("size_bytes is no possible size");
  return static_cast<std::uint64_t>(*size);
}

Result<std::string> read_sha256(json::object const& object) {
  auto text = get_string(object, "sha256");
  if (!text || text->size() != kShaDigits || !BlobName::parse(*text))
    return malformed("sha256 is not 64 hexadecimal digits");
  return *std::move(text);
}

/// Names that will stand in one folder tree: none twice, none a folder of another.
class NameTree {
 public:
  [[nodiscard]] bool add(std::string_view name) {
    if (folders_.contains(name) || !files_.emplace(name).second) return false;
    for (auto at = name.find('/'); at != std::string_view::npos; at = name.find('/', at + 1)) {
      auto const folder = name.substr(0, at);
      if (files_.contains(folder)) return false;
      folders_.emplace(folder);
    }
    return true;
  }

 private:
  std::set<std::string, std::less<>> files_;
  std::set<std::string, std::less<>> folders_;
};

class Parser {
 public:
  Result<ArchiveManifest> manifest(json::object const& root) {
    auto const version = get_int(root, "format_version");
    if (get_string(root, "format") != kFormat || !version)
      return malformed("it is no manifest of a cache archive");
    if (*version != kFormatVersion)
      return fail(Code::kUnimplemented,
                  fmt::format("the archive has format version {}; this program reads version {}",
                              *version, kFormatVersion));
    auto const* repos = get_array(root, "repos");
    if (repos == nullptr || repos->empty()) return malformed("it names no repositories");
    ArchiveManifest out;
    for (auto const& value : *repos) {
      ASSIGN_OR_RETURN(auto const* object, as_object(value));
      ASSIGN_OR_RETURN(ArchiveRepo repo, read_repo(*object));
      out.repos.push_back(std::move(repo));
    }
    std::ranges::sort(out.repos, {}, &ArchiveRepo::folder_name);
    if (std::ranges::adjacent_find(out.repos, {}, &ArchiveRepo::folder_name) != out.repos.end())
      return malformed("a repository is in it twice");
    return out;
  }

 private:
  Status count() {
    if (++members_ <= kMaxArchiveMembers) return {};
    return malformed(fmt::format("it names more than {} things", kMaxArchiveMembers));
  }

  Result<ArchiveRepo> read_repo(json::object const& object) {
    static constexpr std::array kTypes{RepoType::kModel, RepoType::kDataset, RepoType::kSpace,
                                       RepoType::kKernel};
    auto const word = get_string(object, "type");
    auto const type =
        std::ranges::find_if(kTypes, [&](RepoType one) { return word && *word == to_string(one); });
    if (type == kTypes.end()) return malformed("a repository has no known type");
    ASSIGN_OR_RETURN(RepoId id, read_name<RepoId>(object.if_contains("id")));
    ArchiveRepo repo{*type, std::move(id), {}, {}, {}};
    RETURN_IF_ERROR(read_blobs(object, repo));
    RETURN_IF_ERROR(read_revisions(object, repo));
    RETURN_IF_ERROR(read_refs(object, repo));
    return repo;
  }

  Status read_blobs(json::object const& object, ArchiveRepo& repo) {
    auto const* blobs = get_array(object, "blobs");
    if (blobs == nullptr) return malformed("blobs are missing");
    for (auto const& value : *blobs) {
      RETURN_IF_ERROR(count());
      ASSIGN_OR_RETURN(auto const* blob, as_object(value));
      ASSIGN_OR_RETURN(BlobName name, read_name<BlobName>(blob->if_contains("name")));
      ASSIGN_OR_RETURN(auto const size, read_size(*blob));
      ASSIGN_OR_RETURN(std::string sha256, read_sha256(*blob));
      if (name.is_sha256() && name.text() != sha256)
        return malformed(fmt::format("blob {} has another SHA-256", name.text()));
      repo.blobs.push_back({std::move(name), size, std::move(sha256)});
    }
    std::ranges::sort(repo.blobs, {}, &ArchiveBlob::name);
    if (std::ranges::adjacent_find(repo.blobs, {}, &ArchiveBlob::name) != repo.blobs.end())
      return malformed("a blob is in it twice");
    return {};
  }

  Status read_revisions(json::object const& object, ArchiveRepo& repo) {
    auto const* revisions = get_array(object, "revisions");
    if (revisions == nullptr || revisions->empty())
      return malformed("a repository has no revisions");
    std::map<BlobName, bool> used;
    for (auto const& blob : repo.blobs) used[blob.name] = false;
    for (auto const& value : *revisions) {
      ASSIGN_OR_RETURN(auto const* one, as_object(value));
      ASSIGN_OR_RETURN(CommitHash commit, read_name<CommitHash>(one->if_contains("commit")));
      ArchiveRevision revision{std::move(commit), {}, {}, {}};
      RETURN_IF_ERROR(read_files(*one, revision, used));
      RETURN_IF_ERROR(read_absent(*one, revision));
      RETURN_IF_ERROR(read_listing(*one, revision));
      repo.revisions.push_back(std::move(revision));
    }
    std::ranges::sort(repo.revisions, {}, &ArchiveRevision::commit);
    if (std::ranges::adjacent_find(repo.revisions, {}, &ArchiveRevision::commit) !=
        repo.revisions.end())
      return malformed("a revision is in it twice");
    for (auto const& [name, is_used] : used)
      if (!is_used) return malformed(fmt::format("blob {} belongs to no file", name.text()));
    return {};
  }

  Status read_files(json::object const& object, ArchiveRevision& revision,
                    std::map<BlobName, bool>& used) {
    auto const* files = get_array(object, "files");
    if (files == nullptr || files->empty()) return malformed("a revision has no files");
    NameTree names;
    for (auto const& value : *files) {
      RETURN_IF_ERROR(count());
      ASSIGN_OR_RETURN(auto const* file, as_object(value));
      ASSIGN_OR_RETURN(RepoPath path, read_name<RepoPath>(file->if_contains("path")));
      ASSIGN_OR_RETURN(BlobName blob, read_name<BlobName>(file->if_contains("blob")));
      auto const known = used.find(blob);
      if (known == used.end()) return malformed(fmt::format("there is no blob {}", blob.text()));
      known->second = true;
      if (!names.add(path.text()))
        return malformed(fmt::format("path {} is in a revision twice", path.text()));
      revision.files.push_back({std::move(path), std::move(blob)});
    }
    std::ranges::sort(revision.files, {}, &ArchiveFile::path);
    return {};
  }

  Status read_absent(json::object const& object, ArchiveRevision& revision) {
    auto const* absent = get_array(object, "absent");
    if (absent == nullptr) return malformed("absent is missing");
    NameTree names;
    for (auto const& value : *absent) {
      RETURN_IF_ERROR(count());
      ASSIGN_OR_RETURN(RepoPath path, read_name<RepoPath>(&value));
      bool const is_file = std::ranges::binary_search(revision.files, path, {}, &ArchiveFile::path);
      if (is_file || !names.add(path.text()))
        return malformed(fmt::format("path {} is absent twice or not absent", path.text()));
      revision.absent.push_back(std::move(path));
    }
    std::ranges::sort(revision.absent);
    return {};
  }

  Status read_listing(json::object const& object, ArchiveRevision& revision) {
    auto const* value = object.if_contains("listing");
    if (value == nullptr || value->is_null()) return {};
    RETURN_IF_ERROR(count());
    ASSIGN_OR_RETURN(auto const* listing, as_object(*value));
    ASSIGN_OR_RETURN(auto const size, read_size(*listing));
    ASSIGN_OR_RETURN(std::string sha256, read_sha256(*listing));
    listing_bytes_ += size;
    if (size > kMaxArchiveListingBytes || listing_bytes_ > kMaxArchiveListingsBytes)
      return malformed("its listings are too long");
    revision.listing = ArchiveListing{size, std::move(sha256)};
    return {};
  }

  Status read_refs(json::object const& object, ArchiveRepo& repo) {
    auto const* refs = get_array(object, "refs");
    if (refs == nullptr) return malformed("refs are missing");
    NameTree names;
    for (auto const& value : *refs) {
      RETURN_IF_ERROR(count());
      ASSIGN_OR_RETURN(auto const* ref, as_object(value));
      ASSIGN_OR_RETURN(Revision name, read_name<Revision>(ref->if_contains("name")));
      ASSIGN_OR_RETURN(CommitHash commit, read_name<CommitHash>(ref->if_contains("commit")));
      bool const known =
          std::ranges::binary_search(repo.revisions, commit, {}, &ArchiveRevision::commit);
      if (name.is_commit() || !known || !names.add(name.text()))
        return malformed(fmt::format("ref {} names no revision, or is there twice", name.text()));
      repo.refs.push_back({std::move(name), std::move(commit)});
    }
    std::ranges::sort(repo.refs, {}, &ArchiveRef::name);
    return {};
  }

  std::size_t members_ = 0;
  std::uint64_t listing_bytes_ = 0;
};

json::object to_json(ArchiveRevision const& revision) {
  json::array files;
  for (auto const& file : revision.files)
    files.push_back(json::object{{"path", file.path.text()}, {"blob", file.blob.text()}});
  json::array absent;
  for (auto const& path : revision.absent) absent.emplace_back(path.text());
  json::object out{{"commit", revision.commit.text()},
                   {"files", std::move(files)},
                   {"absent", std::move(absent)}};
  if (revision.listing)
    out["listing"] = json::object{{"size_bytes", revision.listing->size_bytes},
                                  {"sha256", revision.listing->sha256}};
  return out;
}

json::object to_json(ArchiveRepo const& repo) {
  json::array blobs;
  for (auto const& blob : repo.blobs)
    blobs.push_back(json::object{
        {"name", blob.name.text()}, {"size_bytes", blob.size_bytes}, {"sha256", blob.sha256}});
  json::array revisions;
  for (auto const& revision : repo.revisions) revisions.push_back(to_json(revision));
  json::array refs;
  for (auto const& ref : repo.refs)
    refs.push_back(json::object{{"name", ref.name.text()}, {"commit", ref.commit.text()}});
  return {{"type", std::string(to_string(repo.type))},
          {"id", repo.id.text()},
          {"blobs", std::move(blobs)},
          {"revisions", std::move(revisions)},
          {"refs", std::move(refs)}};
}

}  // namespace

std::string ArchiveRepo::folder_name() const { return RepoFolder({}, id, type).name(); }

std::uint64_t ArchiveManifest::content_bytes() const {
  std::uint64_t sum = 0;
  for (auto const& repo : repos)
    for (auto const& blob : repo.blobs) sum += blob.size_bytes;
  return sum;
}

std::string to_archive_json(ArchiveManifest const& manifest) {
  json::array repos;
  for (auto const& repo : manifest.repos) repos.push_back(to_json(repo));
  return to_ascii_json(json::object{{"format", std::string(kFormat)},
                                    {"format_version", kFormatVersion},
                                    {"repos", std::move(repos)}});
}

Result<ArchiveManifest> parse_archive_json(std::string_view text) {
  if (text.size() > kMaxArchiveManifestBytes) return malformed("it is too long");
  auto const parsed = parse_json(text, 8);
  if (!parsed) return malformed(parsed.error().message);
  auto const* root = parsed->if_object();
  if (root == nullptr) return malformed("the whole is not an object");
  return Parser().manifest(*root);
}

}  // namespace homelab::cache
