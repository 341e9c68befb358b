// doctor, container: is this one, and is each location on a mount that outlives it.
#include <fmt/format.h>

#include "checks.h"

namespace homelab::cli::doctor {
namespace {

Finding verdict_finding(cache::Container const& container) {
  using Verdict = cache::ContainerVerdict;
  if (container.verdict == Verdict::kYes)
    return {Severity::kOk, "this is the container image of the server"};
  if (container.verdict == Verdict::kProbably)
    return {Severity::kInfo, "this is probably a container: " + container.because};
  return {Severity::kOk,
          "this is no container" +
              (container.because.empty() ? std::string() : " (" + container.because + ")")};
}

std::string compose_lines(std::string const& root) {
  return fmt::format("add to the service in docker-compose.yml:\n    volumes:\n      - {0}:{0}",
                     root);
}

/// Which file system a container's own layer is on says nothing: it is the mount that counts.
std::optional<Finding> mount_finding(Place const& place, std::span<cache::Mount const> mounts,
                                     bool in_container) {
  auto const* const mount = cache::mount_of(mounts, cache::existing_part(place.hub.path));
  if (mount == nullptr) return std::nullopt;
  auto const severity =
      place.by_default && place.name != "primary" ? Severity::kInfo : Severity::kError;
  auto const text = [&](std::string_view what) {
    return fmt::format("{}: {} {}", place.name, place.hub.path.string(), what);
  };
  switch (cache::place_kind(*mount, in_container)) {
    case cache::PlaceKind::kOwnLayer:
      return Finding{severity,
                     text("is on the container's own layer: models are lost when it is made again"),
                     compose_lines(place.root)};
    case cache::PlaceKind::kMemory:
      return Finding{severity == Severity::kInfo ? severity : Severity::kWarning,
                     text("is in memory (" + mount->file_system + ") and is lost at a restart"),
                     in_container ? compose_lines(place.root) : "choose a folder on a disk"};
    case cache::PlaceKind::kDeleted:
      return Finding{Severity::kError,
                     text("was deleted outside while it is mounted here: nothing can be stored"),
                     "docker compose up -d --force-recreate"};
    case cache::PlaceKind::kVolume:
      return Finding{Severity::kInfo,
                     text("is in a volume of the container engine; scripts on the host do not "
                          "share it unless the host's folder is mounted"),
                     compose_lines(place.root)};
    case cache::PlaceKind::kForeign:
      return Finding{Severity::kInfo, text("comes from another system (" + mount->file_system +
                                           "): locks between machines may not hold")};
    case cache::PlaceKind::kMounted:
      break;
  }
  if (!in_container) return std::nullopt;
  return Finding{Severity::kOk, text("is on the mount " + mount->point)};
}

}  // namespace

Findings check_container(Machine const& machine) {
  auto const container = cache::judge_container(machine.container, machine.mounts);
  bool const inside = container.verdict != cache::ContainerVerdict::kNo;
  Findings out{verdict_finding(container)};
  for (auto const& place : machine.places)
    if (auto finding = mount_finding(place, machine.mounts, inside))
      out.push_back(*std::move(finding));
  return out;
}

}  // namespace homelab::cli::doctor
