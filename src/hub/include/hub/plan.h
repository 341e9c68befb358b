#pragma once
// Which files of a commit a model needs. Pure (design §6).
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cache/hub_folder.h"
#include "cache/names.h"

namespace homelab::hub {

enum class ModelFormat { kGguf, kSafetensors };

struct Plan {
  ModelFormat format = ModelFormat::kSafetensors;
  std::vector<cache::TreeFile> files;   ///< to be present locally, sorted by path
  std::optional<cache::RepoPath> gguf;  ///< the file to open (first shard), for kGguf
  std::string variant;                  ///< "Q4_1" when it could be told from the name
  [[nodiscard]] std::uint64_t total_bytes() const;
  [[nodiscard]] bool contains(std::string_view path) const;
};

/// Safetensors repository: configuration, tokenizer, chat template, safetensors and index (what
/// from_pretrained would take, so that Python finds it complete). GGUF repository: the chosen
/// variant with all its shards. `variant`: a quantisation (any case), a file name, or empty =
/// Q4_K_M, else the closest to it, else the only one. Never pickle. kNotFound lists what there is.
/// Small texts in the root (README, licence, .gitattributes) are taken as well, so that Python's
/// snapshot_download finds a plain repository complete.
[[nodiscard]] Result<Plan> plan_files(cache::Tree const& tree, std::string const& variant);

/// All files of the commit except pickles. `format`, `gguf` and `variant` are those of plan_files()
/// where that finds a model, else kSafetensors without one.
[[nodiscard]] Plan plan_everything(cache::Tree const& tree, std::string const& variant);

/// A model is usable without this file: README, licence and the like.
[[nodiscard]] bool is_courtesy_file(cache::RepoPath const& path);
/// True for formats that run code when they are opened (pickle and what is built on it), judged by
/// the name.
[[nodiscard]] bool is_pickle(cache::RepoPath const& path);

}  // namespace homelab::hub
