// doctor, disks: what the file systems below the locations can do, and how much room they have.
#include <fmt/format.h>

#include "base/strings.h"
#include "cache/disk_facts.h"
#include "checks.h"

namespace homelab::cli::doctor {
namespace {

/// Below this a download of any size is likely to fail, and so is everything else on the disk.
constexpr std::uint64_t kLittleBytes = 5'000'000'000;
constexpr std::uint64_t kNoBytes = 500'000'000;
constexpr std::uint64_t kFewFiles = 10'000;

std::string of(Place const& place, std::string_view what) {
  return fmt::format("{}: {}", place.name, what);
}

void judge_locks(Place const& place, cache::FolderAbilities const& able, Findings& out) {
  using cache::LockTruth;
  LockTruth const worse = able.locks == LockTruth::kExcludes ? able.locks_across : able.locks;
  if (worse == LockTruth::kExcludes) return;
  out.push_back(
      {Severity::kWarning,
       of(place, fmt::format("file locks {} here: two programs may download the same file "
                             "at once (both copies are checked, so nothing breaks)",
                             to_string(worse))),
       "keep the cache on a local disk, or mount it with locks (NFS: version 4)"});
}

void judge_abilities(Place const& place, cache::FolderAbilities const& able, Findings& out) {
  judge_locks(place, able, out);
  if (!able.symlinks)
    out.push_back({Severity::kWarning,
                   of(place,
                      "the file system has no symbolic links: revisions cannot share files, "
                      "so each one is a whole copy"),
                   "keep the cache on ext4, xfs, btrfs or zfs"});
  if (!able.renames)
    out.push_back({Severity::kError, of(place, "a file cannot be renamed over another here"),
                   "keep the cache on ext4, xfs, btrfs or zfs"});
  if (!able.syncs)
    out.push_back({Severity::kWarning,
                   of(place, "the file system refuses fsync: a power cut may cost finished files"),
                   "keep the cache on a local disk"});
}

std::string summary(cache::FileSystemFacts const& facts, cache::FolderAbilities const& able) {
  std::string text = facts.kind + ":";
  if (able.locks == cache::LockTruth::kExcludes) text += " locks hold,";
  if (able.symlinks) text += " links,";
  if (able.hard_links) text += " hard links,";
  text += able.reflinks ? " reflinks" : " no reflinks";
  return text;
}

void judge_room(Place const& place, cache::FileSystemFacts const& facts, Findings& out) {
  std::string const free = fmt::format("{} of {} are free", human_bytes(facts.free_bytes),
                                       human_bytes(facts.total_bytes));
  std::string const mend = "homelab-llm cache gc";
  if (facts.read_only) return;  // said by the locations
  if (facts.free_bytes < kNoBytes)
    out.push_back({Severity::kError, of(place, "the disk is full: " + free), mend});
  else if (facts.free_bytes < kLittleBytes)
    out.push_back({Severity::kWarning, of(place, "the disk is nearly full: " + free), mend});
  else
    out.push_back({Severity::kOk, of(place, free)});
  if (facts.free_files && *facts.free_files < kFewFiles)
    out.push_back({Severity::kWarning,
                   of(place, fmt::format("only {} can be made on this disk (inodes)",
                                         counted(*facts.free_files, "more file"))),
                   mend});
}

void judge_limit(Machine const& machine, Place const& place, Findings& out) {
  auto const space = machine.locations.check_space(place.location, 0);
  if (space.limit_gb <= 0) return;
  std::string const used =
      fmt::format("{:.1f} of {:.1f} GB of the limit are used", space.cache_size_gb, space.limit_gb);
  auto const wider = [&] {
    double const limit_gb = space.cache_size_gb * 1.5;
    switch (place.location.kind) {
      case cache::LocationKind::kPrimary:
        return fmt::format("PRIMARY_CACHE_LIMIT_GB={:.0f}", limit_gb);
      case cache::LocationKind::kSecondary:
        return fmt::format("SECONDARY_CACHE_LIMIT_GB={:.0f}", limit_gb);
      case cache::LocationKind::kCustom:
        return fmt::format("{}={:.0f} in CUSTOM_CACHE_PATHS", place.root, limit_gb);
    }
    return std::string();
  };
  if (space.cache_size_gb > space.limit_gb)
    out.push_back({Severity::kWarning, of(place, "the limit is exceeded: " + used),
                   "homelab-llm cache gc, or " + wider()});
  else if (space.warning)
    out.push_back(
        {Severity::kWarning, of(place, "the limit is near: " + used), "homelab-llm cache prune"});
  else
    out.push_back({Severity::kOk, of(place, used)});
}

}  // namespace

Findings check_disks(Machine const& machine) {
  Findings out;
  for (auto const& place : machine.places) {
    auto const state = cache::look_at_folder(place.hub.path);
    if (state.state == cache::FolderState::State::kDegraded && !state.readable) continue;
    if (state.state == cache::FolderState::State::kAbsent && place.by_default &&
        place.name != "primary")
      continue;
    auto const facts = cache::file_system_of(place.hub.path);
    if (!facts) {
      out.push_back({Severity::kWarning, of(place, facts.error().message)});
      continue;
    }
    if (facts->network)
      out.push_back({Severity::kInfo,
                     of(place, facts->kind + " belongs to another machine or program: slower, and "
                                             "locks between machines may not hold")});
    if (state.state != cache::FolderState::State::kDegraded) {
      auto const able = cache::try_abilities(cache::existing_part(place.hub.path));
      if (able) {
        out.push_back({Severity::kOk, of(place, summary(*facts, *able))});
        judge_abilities(place, *able, out);
      } else {
        out.push_back({Severity::kWarning, of(place, able.error().message)});
      }
    }
    judge_room(place, *facts, out);
    judge_limit(machine, place, out);
  }
  return out;
}

}  // namespace homelab::cli::doctor
