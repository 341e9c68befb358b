#pragma once
// Model files that stand somewhere else on this machine become part of the cache without a second
// copy: loose files and folders, other caches, the stores of Ollama and LM Studio.
//
// Loose files get the layout that a download would give them (hf-cache rules, §2): blobs named by
// their hash, a snapshot under a commit that is a stable hash of the listing, its tree, the ref
// "adopted", and "main" while no downloaded revision has it.
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cache/hub_folder.h"

namespace homelab::cache {

/// How content came into the cache.
enum class AdoptWay {
  kPresent,   ///< was there already
  kReflink,   ///< a copy that shares the blocks, where the file system can
  kHardLink,  ///< a second name of the same file: who changes the one changes the other
  kMove,      ///< a second name first, the old one removed when the snapshot is there
  kCopy,      ///< second copy; only across file systems, and only when asked for
};
[[nodiscard]] std::string_view to_string(AdoptWay way);

struct AdoptOptions {
  bool move = false;
  bool copy = false;
  bool dry_run = false;  ///< nothing is changed, nothing hashed
  std::function<bool()> stop = [] { return false; };
  std::function<void(std::uint64_t bytes)> on_read = [](std::uint64_t) {};
};

/// A file and the path that it gets in the repository.
struct AdoptFile {
  Path source;
  RepoPath path;
};
struct AdoptModel {
  RepoId repo;
  std::vector<AdoptFile> files;
  bool may_move = true;  ///< false: its own program needs it where it is
};

/// What a folder or file is, by what is in it.
struct AdoptSource {
  enum class Kind { kLoose, kHub, kOllama, kLmStudio };
  Kind kind = Kind::kLoose;
  std::vector<AdoptModel> models;    ///< all but kHub
  Path hub_folder;                   ///< kHub: the folder that holds models--*
  std::vector<std::string> repos;    ///< kHub: names of repository folders
  std::vector<std::string> remarks;  ///< what was passed over, and why
};
[[nodiscard]] std::string_view to_string(AdoptSource::Kind kind);

/// Recognises a source. `as`: what a loose .gguf file, or a folder with .gguf or .safetensors
/// files, is called; needed for nothing else. kNotFound: no such file; kInvalidArgument: nothing
/// that could be adopted, or a name is needed. Links that lead out of a folder, hidden files,
/// partial downloads and pickles are passed over.
[[nodiscard]] Result<AdoptSource> recognise_source(Path const& source,
                                                   std::optional<RepoId> const& as);

/// Ollama's manifest (its layers) as files of one model; kDataLoss when it is malformed.
struct OllamaLayer {
  std::string sha256;
  bool projector = false;
};
[[nodiscard]] Result<std::vector<OllamaLayer>> parse_ollama_manifest(std::string_view text);

struct AdoptedFile {
  RepoPath path;
  Path source;
  std::uint64_t size_bytes = 0;
  std::optional<BlobName> blob;  ///< nullopt in a dry run
  AdoptWay way = AdoptWay::kHardLink;
};
struct AdoptReport {
  std::string repo;
  std::optional<CommitHash> commit;  ///< nullopt in a dry run, and for repositories taken whole
  Path folder;
  std::vector<AdoptedFile> files;
  std::uint64_t adopted_bytes = 0;  ///< new in the cache
  std::uint64_t copied_bytes = 0;   ///< of those: stored a second time
  std::vector<std::string> remarks;
};

/// kFailedPrecondition: on another file system and no copy is wanted; kDataLoss: a file is not what
/// its ending says, or changed while it was read. Blobs that were taken before an error stay; the
/// next run goes on from there.
[[nodiscard]] Result<AdoptReport> adopt_model(Path const& hub_folder, AdoptModel const& model,
                                              AdoptOptions const& options);

/// A repository folder of another cache, taken with its refs and snapshots (repo_merge.h).
[[nodiscard]] Result<AdoptReport> adopt_repo(Path const& hub_folder, Path const& source_hub,
                                             std::string const& folder,
                                             AdoptOptions const& options);

}  // namespace homelab::cache
