#pragma once
// What looking after the cache needs of its surroundings, and how it answers: the same for a
// command and for a job of the server.
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "cache/locations.h"
#include "cache/removal.h"
#include "hub/downloader.h"

namespace homelab::http {
class Client;
}

namespace homelab::care {

/// How far it is. Totals are 0 while nobody knows them.
struct Progress {
  std::string what;  ///< "Checking", "Moving org/name"
  std::uint64_t done_bytes = 0;
  std::uint64_t total_bytes = 0;
  std::uint64_t moved_bytes = 0;  ///< read or downloaded now, for a speed
  std::size_t done_files = 0;
  std::size_t total_files = 0;
};

/// A row of the registry.
struct RegisteredModel {
  std::string name;
  std::string hf_path;
  std::string location;
  std::optional<std::string> cache_path;
  std::string current_commit;  ///< empty: never loaded
  bool loaded = false;
};

/// Where the files of registered models stand now.
struct Relocation {
  std::vector<std::string> names;
  std::string location;
  std::string root;  ///< of that location; of primary and secondary the registry's owner knows it
};

/// What the Hub said about the revision of a registered model.
struct UpdateCheck {
  std::string name;
  bool available = false;                   ///< something newer than what is here
  std::optional<std::string> local_commit;  ///< where its ref stands here
};

/// The way to the Hub, for what is downloaded again.
struct HubAccess {
  http::Client& client;
  hub::HubOptions options;
  hub::Downloader& downloader;
};

/// `stopped` and `on_progress` are called on several threads, the others on that of the work.
struct Work {
  cache::Locations locations;
  std::chrono::hours trash_time{0};  ///< 0: what is removed is gone at once
  /// Asked once by work that must know what is needed; its error ends the work.
  std::function<Result<std::vector<RegisteredModel>>()> models = {};
  /// Writes it into the registry, all rows or none. kFailedPrecondition when one of the models is
  /// loaded or being loaded, unless forced.
  std::function<Status(Relocation const&, bool force)> relocate = {};
  /// Writes answers of the Hub into the registry; absent: they are not kept.
  std::function<Status(std::vector<UpdateCheck> const&)> record_checks = {};
  /// Writes that the files of these models are at another commit now, for those that are not in
  /// use; absent: nobody is told.
  std::function<Status(std::vector<std::string> const& names, std::string const& commit)>
      record_update = {};
  HubAccess const* hub = nullptr;  ///< null: what needs the Hub is refused
  std::function<bool()> stopped = [] { return false; };
  std::function<void(Progress const&)> on_progress = [](Progress const&) {};
  std::function<void(std::string const&)> remark = [](std::string const&) {};
};

/// What a command prints with --json, and what its exit code says.
struct Answer {
  json::value value;
  bool complete = true;  ///< false: exit code 1; something is bad, was skipped or is not done
};

/// Where to work: a location, or the root of a custom one. Both empty: all of the settings.
struct Place {
  std::string location;
  std::string path;
};

/// The location that a name and a root mean. Custom without a root is the one that the settings
/// name; kInvalidArgument when they name none or several, and for a root without custom.
struct ChosenLocation {
  cache::LocationKind kind;
  cache::Locations::Resolved resolved;
};
[[nodiscard]] Result<ChosenLocation> choose_location(cache::Locations const& locations,
                                                     std::string const& location,
                                                     std::optional<std::string> const& path);
/// One location: the primary one when `place` is empty.
[[nodiscard]] Result<ChosenLocation> choose_one(cache::Locations const& locations,
                                                Place const& place);

/// Existing hub folders of the place, with the other layouts of its root, each once.
[[nodiscard]] Result<std::vector<cache::Path>> chosen_hub_folders(cache::Locations const& locations,
                                                                  Place const& place);

/// Repository folders below `hub_folders`, sorted, each once whatever links lead to it. `words`:
/// "ORG/NAME" (every type of that name), "datasets/ORG/NAME", a folder's name; empty = all.
/// kNotFound names the word that means nothing.
[[nodiscard]] Result<std::vector<cache::Path>> chosen_repo_folders(
    std::vector<cache::Path> const& hub_folders, std::vector<std::string> const& words);

/// A registered model needs what its ref says. Who needs, beside that, the commit that it was last
/// loaded from?
enum class NeededCommits {
  kOfAll,     ///< every registered model: what it was loaded from, it is to be loaded from again
  kOfLoaded,  ///< the loaded one only: the others are loaded from where their ref is by then
};
/// What models need of the cache, in every folder that they may be read from.
[[nodiscard]] std::vector<cache::Need> needs_of(cache::Locations const& locations,
                                                std::vector<RegisteredModel> const& models,
                                                NeededCommits commits);
/// The same of all that Work::models knows, with the commits of all.
[[nodiscard]] Result<std::vector<cache::Need>> needs_of_models(Work const& work);

/// kNotFound: "no model is named 'x'; registered are: a, b", at most ten of `registered`.
[[nodiscard]] Error no_model_named(std::string_view name,
                                   std::vector<std::string> const& registered);

/// True for "./x", "../x", "/x", "~/x": a path, never a repository.
[[nodiscard]] bool is_local_path(std::string_view word);
/// `text` as an absolute path; `~` is the user's home.
[[nodiscard]] std::string absolute_path(std::string const& text);

}  // namespace homelab::care
