#pragma once
// The trail from a model to its files: setting -> location -> root -> hub folder -> repository ->
// commit -> files. Looked up on disk; needs no server.
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "cache/locations.h"
#include "config/python_cache.h"

namespace homelab::cli {

struct TrailStep {
  std::string what;  ///< "root", "hub folder", ...
  std::string value;
  std::string because;  ///< where it comes from or why it is this one
};
struct TrailFile {
  std::string path;
  std::uint64_t size_bytes = 0;
  std::string blob;  ///< empty: a regular file, not a link
  std::string kind;  ///< "link to a blob", "link through the shared store", "a file of its own"
};
struct ModelTrail {
  std::vector<TrailStep> steps;
  std::vector<TrailFile> files;
  std::vector<std::string> dangling;  ///< links whose content is missing
  bool complete = false;              ///< can be loaded without the network
  bool elsewhere = false;             ///< another server has the files
};

/// What is being explained: a registered model's row, or a reference alone (`registered_as` empty).
struct TrailStart {
  std::string registered_as;
  std::string hf_path;
  cache::LocationKind location = cache::LocationKind::kPrimary;
  std::optional<std::string> stored_root;
  std::string engine = {};      ///< of the engines file; empty: ours, or the one of `engine_url`
  std::string engine_url = {};  ///< a server that runs already
};
/// kInvalidArgument when `hf_path` is neither a local path nor a valid reference.
/// `python` is what a Python script would use in this environment; it becomes the last step.
[[nodiscard]] Result<ModelTrail> follow_trail(cache::Locations const& locations,
                                              config::PythonCache const& python,
                                              TrailStart const& start);

[[nodiscard]] std::string trail_text(ModelTrail const& trail);
[[nodiscard]] json::object to_json(ModelTrail const& trail);

}  // namespace homelab::cli
