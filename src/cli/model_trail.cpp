#include "model_trail.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/strings.h"
#include "cache/hub_folder.h"
#include "hub/downloader.h"
#include "model_choice.h"
#include "table.h"

namespace homelab::cli {
namespace {

bool is_folder(cache::Path const& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored);
}

std::string presence(cache::Path const& path) {
  return is_folder(path) ? "exists" : "does not exist yet";
}

std::string root_origin(cache::Locations const& locations, TrailStart const& start) {
  switch (start.location) {
    case cache::LocationKind::kPrimary:
      return locations.primary().origin;
    case cache::LocationKind::kSecondary:
      return locations.secondary().origin;
    case cache::LocationKind::kCustom:
      break;
  }
  return "stored with the model";
}

ModelTrail local_trail(TrailStart const& start) {
  ModelTrail trail;
  std::error_code ignored;
  bool const there = std::filesystem::exists(start.hf_path, ignored);
  trail.steps.push_back({"local path", start.hf_path,
                         there ? "used as it is; nothing is downloaded or copied"
                               : "there is no such file or folder"});
  trail.complete = there;
  return trail;
}

/// The hub folder in which the model stands complete, else the one it would be downloaded into.
struct FoundPlace {
  cache::Path hub_folder;
  std::string why;
  std::optional<hub::ReadySnapshot> ready;
};

Result<FoundPlace> find_place(cache::Locations const& locations,
                              cache::Locations::Resolved const& resolved,
                              cache::ModelReference const& model) {
  FoundPlace place{resolved.hub.path, resolved.hub.why, {}};
  ASSIGN_OR_RETURN(place.ready, hub::find_local(place.hub_folder, model));
  if (place.ready) return place;
  for (auto const& other : locations.readable_hub_folders(resolved)) {
    ASSIGN_OR_RETURN(auto ready, hub::find_local(other, model));
    if (!ready) continue;
    return FoundPlace{other, "complete here already, in another hub folder of the same root",
                      std::move(ready)};
  }
  return place;
}

std::string kind_of(cache::RepoFolder const& repo, cache::SnapshotFile const& file) {
  if (!file.blob) return file.is_link ? "link out of blobs/" : "a file of its own, no link";
  std::error_code ignored;
  bool const shared = std::filesystem::is_symlink(repo.blob_path(*file.blob), ignored);
  return shared ? "link to a blob, that to the shared store" : "link to a blob";
}

/// What from_pretrained() would open in this environment.
void add_python(ModelTrail& trail, config::PythonCache const& python,
                cache::Locations::Resolved const& resolved, FoundPlace const& place,
                cache::ModelReference const& model) {
  std::error_code ignored;
  bool const same = std::filesystem::weakly_canonical(python.hub_folder, ignored) ==
                    std::filesystem::weakly_canonical(place.hub_folder, ignored);
  if (same) {
    trail.steps.push_back({"Python uses", python.hub_folder.string(),
                           python.why + ": the same files, nothing is downloaded again"});
    return;
  }
  std::string const repo = cache::RepoFolder(python.hub_folder, model.repo).path().string();
  bool const copy = is_folder(repo);
  trail.steps.push_back(
      {"Python uses", python.hub_folder.string(),
       python.why + (copy ? ": another cache, with files of this model of its own"
                          : ": another cache, it would download this model again")});
  bool const is_root = resolved.root == place.hub_folder;
  trail.steps.push_back(
      {"to share, set",
       fmt::format("{}={}", is_root ? "HF_HUB_CACHE" : "HF_HOME", resolved.root.string()),
       "before the Python script"});
}

Status add_files(ModelTrail& trail, cache::RepoFolder const& repo,
                 cache::CommitHash const& commit) {
  auto const snapshot = repo.snapshot(commit);
  if (!snapshot && snapshot.error().code == Code::kNotFound) {
    trail.steps.push_back({"snapshot", repo.snapshot_path(commit).string(), "does not exist yet"});
    return {};
  }
  if (!snapshot) return fail(snapshot.error());
  trail.steps.push_back(
      {"snapshot", snapshot->folder.string(), counted(snapshot->files.size(), "file")});
  for (auto const& file : snapshot->files)
    trail.files.push_back({file.path.text(), file.size_bytes,
                           file.blob ? file.blob->text() : std::string(), kind_of(repo, file)});
  for (auto const& path : snapshot->dangling) trail.dangling.push_back(path.text());
  return {};
}

Status add_repository(ModelTrail& trail, FoundPlace const& place,
                      cache::ModelReference const& model) {
  cache::RepoFolder const repo(place.hub_folder, model.repo);
  trail.steps.push_back({"repository", repo.path().string(), presence(repo.path())});
  auto commit = repo.read_ref(model.revision);
  std::string because =
      model.revision.is_commit() ? "named as a commit" : "refs/" + model.revision.text();
  if (!commit && commit.error().code == Code::kNotFound && place.ready) {
    commit = place.ready->commit;
    because = "the only complete snapshot (no refs/" + model.revision.text() + ")";
  }
  if (!commit && commit.error().code == Code::kNotFound) {
    trail.steps.push_back({"commit", "none", "not downloaded: no refs/" + model.revision.text()});
    return {};
  }
  if (!commit) return fail(commit.error());
  trail.steps.push_back({"commit", commit->text(), std::move(because)});
  return add_files(trail, repo, *commit);
}

}  // namespace

Result<ModelTrail> follow_trail(cache::Locations const& locations,
                                config::PythonCache const& python, TrailStart const& start) {
  ModelTrail trail;
  if (!start.registered_as.empty())
    trail.steps.push_back({"model", start.registered_as, "registered for " + start.hf_path});
  if (!start.engine.empty()) trail.steps.push_back({"engine", start.engine, "of the engines file"});
  if (!start.engine_url.empty()) {
    trail.steps.push_back({"engine", start.engine_url, "a server that has the model itself"});
    trail.elsewhere = true;
    return trail;
  }
  if (is_local_path(start.hf_path)) {
    auto local = local_trail(start);
    local.steps.insert(local.steps.begin(), trail.steps.begin(), trail.steps.end());
    return local;
  }
  ASSIGN_OR_RETURN(auto const model, cache::ModelReference::parse(start.hf_path));
  auto const resolved = locations.resolve(start.location, start.stored_root);
  trail.steps.push_back({"location", std::string(to_string(start.location)),
                         start.registered_as.empty() ? "not registered: the default location"
                                                     : "chosen at registration"});
  trail.steps.push_back({"setting", root_origin(locations, start), "names the root"});
  trail.steps.push_back({"root", resolved.root.string(), resolved.why});
  ASSIGN_OR_RETURN(auto const place, find_place(locations, resolved, model));
  trail.steps.push_back({"hub folder", place.hub_folder.string(), place.why});
  RETURN_IF_ERROR(add_repository(trail, place, model));
  trail.complete = place.ready.has_value();
  if (place.ready)
    trail.steps.push_back({"opened by the engine", place.ready->model_path.string(),
                           place.ready->variant.empty() ? "complete" : place.ready->variant});
  add_python(trail, python, resolved, place, model);
  return trail;
}

std::string trail_text(ModelTrail const& trail) {
  std::vector<std::pair<std::string, std::string>> fields;
  fields.reserve(trail.steps.size());
  for (auto const& step : trail.steps)
    fields.emplace_back(step.what, step.because.empty()
                                       ? step.value
                                       : fmt::format("{}  ({})", step.value, step.because));
  std::string text = render_fields(fields);
  if (!trail.files.empty()) {
    Table table({{"FILE"}, {"SIZE", Align::kRight}, {"IS"}, {"BLOB"}});
    for (auto const& file : trail.files)
      table.add({file.path, human_bytes(file.size_bytes), file.kind, file.blob});
    text += "\n" + table.render();
  }
  for (auto const& path : trail.dangling)
    text += fmt::format("missing content: {} (its link points to nothing)\n", printable(path));
  if (trail.elsewhere) return text + "\nNothing of it is in a cache here.\n";
  text += trail.complete ? "\nComplete: loading it needs no network.\n"
                         : "\nNot complete: loading it downloads what is missing.\n";
  return text;
}

json::object to_json(ModelTrail const& trail) {
  json::array steps;
  for (auto const& step : trail.steps)
    steps.push_back(
        json::object{{"what", step.what}, {"value", step.value}, {"because", step.because}});
  json::array files;
  for (auto const& file : trail.files) {
    json::object entry{{"path", file.path},
                       {"size_bytes", file.size_bytes},
                       {"blob", nullptr},
                       {"kind", file.kind}};
    if (!file.blob.empty()) entry["blob"] = file.blob;
    files.push_back(std::move(entry));
  }
  json::array dangling;
  for (auto const& path : trail.dangling) dangling.emplace_back(path);
  return {{"complete", trail.complete},
          {"steps", std::move(steps)},
          {"files", std::move(files)},
          {"missing", std::move(dangling)}};
}

}  // namespace homelab::cli
