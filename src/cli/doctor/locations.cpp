// doctor, locations: are the cache folders there, can they be used, are they two.
#include <fmt/format.h>
#include <sys/stat.h>

#include <filesystem>

#include "cache/disk_facts.h"
#include "checks.h"

namespace homelab::cli::doctor {
namespace {

std::string setting_of(Place const& place) {
  switch (place.location.kind) {
    case cache::LocationKind::kPrimary:
      return "PRIMARY_CACHE_PATH";
    case cache::LocationKind::kSecondary:
      return "SECONDARY_CACHE_PATH";
    case cache::LocationKind::kCustom:
      return "CUSTOM_CACHE_PATHS";
  }
  return "PRIMARY_CACHE_PATH";
}

Finding state_finding(Place const& place) {
  auto const state = cache::look_at_folder(place.hub.path);
  std::string const shown = place.hub.path.string();
  using State = cache::FolderState::State;
  if (state.state == State::kReady)
    return {Severity::kOk, fmt::format("{}: {} takes files", place.name, shown)};
  auto const drive = cache::missing_drive(place.hub.path);
  if (state.state == State::kAbsent && drive && !place.by_default)
    return {Severity::kWarning,
            fmt::format("{}: {} does not exist; if that is a drive which is not connected, models "
                        "would be stored on the system's disk",
                        place.name, drive->string()),
            fmt::format("connect the drive, or mkdir -p {}", shell_word(place.root))};
  if (state.state == State::kAbsent && place.by_default && place.name != "primary")
    return {Severity::kOk, fmt::format("{}: nobody asked for one", place.name)};
  if (state.state == State::kAbsent)
    return {Severity::kOk,
            fmt::format("{}: {} will be made when something is stored", place.name, shown)};
  std::string const text =
      fmt::format("{}: {} cannot be {}: {}", place.name, shown,
                  state.readable ? "written (what is in it is still used)" : "used", state.reason);
  if (place.by_default && place.name != "primary")
    return {Severity::kInfo, text + "; nobody asked for this location"};
  Severity const severity = place.name == "primary" ? Severity::kError : Severity::kWarning;
  if (state.reason.find("may not") != std::string::npos)
    return {severity, text,
            fmt::format("sudo chown -R \"$(id -u):$(id -g)\" {}",
                        shell_word(cache::existing_part(place.root).string()))};
  return {severity, text,
          fmt::format("connect the drive, or set another folder: {}=/a/folder/you/own",
                      setting_of(place))};
}

/// A root that is a hub folder itself: Python's HF_HOME=<root> would make a second one inside it.
void find_doubled_root(Place const& place, Findings& out) {
  if (place.hub.why.find("settings") != std::string::npos) return;
  cache::Path const root(place.root);
  if (place.hub.path == root) {
    out.push_back(
        {Severity::kWarning,
         fmt::format("{}: {} is itself a hub folder (models--* and no hub/); Python with "
                     "HF_HOME={} would store everything again in hub/",
                     place.name, place.root, place.root),
         root.filename() == "hub"
             ? fmt::format("{}={}", setting_of(place), shell_word(root.parent_path().string()))
             : fmt::format("homelab-llm cache bridge --path {}", shell_word(place.root))});
  } else if (root.filename() == "hub") {
    out.push_back(
        {Severity::kWarning,
         fmt::format("{}: the root {} ends in hub, so files land in {}", place.name, place.root,
                     place.hub.path.string()),
         fmt::format("{}={}", setting_of(place), shell_word(root.parent_path().string()))});
  }
}

bool is_same_folder(cache::Path const& one, cache::Path const& other) {
  struct stat a{};
  struct stat b{};
  if (::stat(one.c_str(), &a) != 0 || ::stat(other.c_str(), &b) != 0)
    return one.lexically_normal() == other.lexically_normal();
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

}  // namespace

Findings check_locations(Machine const& machine) {
  Findings out;
  for (auto const& place : machine.places) {
    out.push_back(state_finding(place));
    find_doubled_root(place, out);
  }
  for (std::size_t i = 1; i < machine.places.size(); ++i) {
    if (!is_same_folder(machine.places[0].hub.path, machine.places[i].hub.path)) continue;
    out.push_back({Severity::kWarning,
                   fmt::format("{} and {} are the same folder {}: moving between them would do "
                               "nothing, and their limits count the same bytes",
                               machine.places[0].name, machine.places[i].name,
                               machine.places[0].hub.path.string()),
                   setting_of(machine.places[i]) + "=/another/drive/llm-models-cache"});
  }
  return out;
}

}  // namespace homelab::cli::doctor
