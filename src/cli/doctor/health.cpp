// doctor, health: what one pass over each hub folder says, and copies that stand twice.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/strings.h"
#include "cache/bridge.h"
#include "cache/scan.h"
#include "checks.h"

namespace homelab::cli::doctor {
namespace {

/// So many broken things are named; of the rest only the number is told.
constexpr std::size_t kMaxNamed = 10;

std::string repositories(std::size_t number) {
  return counted(number, "repository", "repositories");
}

struct Tally {
  std::size_t number = 0;
  std::uint64_t bytes = 0;
  void add(std::uint64_t more) {
    ++number;
    bytes += more;
  }
};

struct Health {
  std::size_t repos = 0;
  std::map<std::string, std::size_t> dangling;  ///< repository -> entries without content
  std::vector<cache::Problem> problems;
  Tally own_partials, foreign_partials, temporaries, unneeded;
};

void take(cache::RepoScan const& repo, Health& health) {
  ++health.repos;
  std::set<cache::Path> told;  // the scan says of these, too, that something is missing
  for (auto const& revision : repo.revisions) {
    auto const missing = std::ranges::count(revision.entries, cache::EntryFacts::State::kDangling,
                                            &cache::EntryFacts::state);
    if (missing == 0) continue;
    health.dangling[repo.id] += static_cast<std::size_t>(missing);
    told.insert(repo.folder / "snapshots" / revision.commit.text());
  }
  for (auto const& leftover : repo.leftovers) {
    if (leftover.live) continue;
    switch (leftover.kind) {
      case cache::Leftover::Kind::kOwnPartial:
        health.own_partials.add(leftover.disk_bytes);
        break;
      case cache::Leftover::Kind::kForeignPartial:
        health.foreign_partials.add(leftover.disk_bytes);
        break;
      case cache::Leftover::Kind::kTemporary:
        health.temporaries.add(leftover.disk_bytes);
        break;
    }
  }
  for (auto const& blob : repo.blobs)
    if (repo.complete && blob.entries == 0) health.unneeded.add(blob.disk_bytes);
  for (auto const& problem : repo.problems)
    if (!told.contains(problem.path) && health.problems.size() <= kMaxNamed)
      health.problems.push_back(problem);
}

void judge_contents(Place const& place, Health const& health, Findings& out) {
  for (auto const& [id, missing] : health.dangling)
    out.push_back({Severity::kWarning,
                   fmt::format("{}: {} of {} {} to nothing", place.name, counted(missing, "link"),
                               id, missing == 1 ? "leads" : "lead"),
                   fmt::format("homelab-llm pull {}", shell_word(id))});
  for (std::size_t i = 0; i < std::min(kMaxNamed, health.problems.size()); ++i)
    out.push_back(
        {Severity::kWarning, fmt::format("{}: {} {}", place.name, health.problems[i].path.string(),
                                         health.problems[i].what)});
  if (health.problems.size() > kMaxNamed)
    out.push_back(
        {Severity::kWarning, place.name + ": and more of the kind", "homelab-llm cache ls"});
}

void judge_leftovers(Place const& place, Health const& health, Findings& out) {
  auto const say = [&](Tally const& tally, std::string_view one, std::string_view of_what) {
    if (tally.number == 0) return;
    out.push_back({Severity::kInfo,
                   fmt::format("{}: {} {}, {}", place.name, counted(tally.number, one), of_what,
                               human_bytes(tally.bytes)),
                   "homelab-llm cache gc"});
  };
  say(health.own_partials, "unfinished download", "that can be continued");
  say(health.foreign_partials, "unfinished download", "of other programs");
  say(health.temporaries, "temporary file", "that nobody uses");
  say(health.unneeded, "file", "that no revision needs");
}

bool has_own_model_folders(cache::Path const& root) {
  std::error_code error;
  for (auto it = std::filesystem::directory_iterator(root, error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    std::error_code ignored;
    if (it->path().filename().string().starts_with("models--") && it->is_directory(ignored) &&
        !it->is_symlink(ignored))
      return true;
  }
  return false;
}

struct BridgeState {
  std::size_t twice = 0, apart = 0, unlinked = 0;
};

/// Beside <root>/hub there may be <root>/models--* of scripts with cache_dir=<root>.
void judge_bridge(Machine const& machine, Place const& place, Findings& out) {
  cache::Path const root(place.root);
  if (place.hub.path != root / "hub") return;
  if (!has_own_model_folders(root) && !cache::is_bridged(root)) return;
  cache::BridgeOptions options;
  options.dry_run = true;
  options.stop = machine.stop;
  auto const report = cache::bridge_root(root, options);
  if (!report) {
    out.push_back({Severity::kInfo, place.name + ": " + report.error().message});
    return;
  }
  BridgeState state;
  using Action = cache::BridgedRepo::Action;
  for (auto const& repo : report->repos) {
    state.twice += repo.action == Action::kMerged ? 1 : 0;
    state.apart += repo.action == Action::kMoved || repo.action == Action::kLeft ? 1 : 0;
    state.unlinked += repo.action == Action::kLinked || repo.action == Action::kUnlinked ? 1 : 0;
  }
  std::string const mend =
      fmt::format("homelab-llm cache bridge --path {}", shell_word(place.root));
  if (state.twice > 0)
    out.push_back(
        {Severity::kWarning,
         fmt::format("{}: stored twice, in {} and in its hub/: {} ({} wasted)", place.name,
                     place.root, repositories(state.twice), human_bytes(report->saved_bytes())),
         mend});
  if (state.apart > 0)
    out.push_back({Severity::kWarning,
                   fmt::format("{}: in {} beside hub/, where scripts with HF_HOME do not look: {}",
                               place.name, place.root, repositories(state.apart)),
                   mend});
  if (state.unlinked > 0 && cache::is_bridged(root))
    out.push_back({Severity::kInfo,
                   fmt::format("{}: new in hub/ and not yet seen by scripts with cache_dir={}: {}",
                               place.name, place.root, repositories(state.unlinked)),
                   mend});
}

}  // namespace

Findings check_health(Machine const& machine) {
  Findings out;
  for (auto const& place : machine.places) {
    std::size_t const before = out.size();
    Health health;
    auto const scan = cache::scan_hub(place.hub.path, [&](cache::RepoScan&& repo) -> Status {
      if (machine.stop()) return fail(Code::kCancelled, "stopped");
      take(repo, health);
      return {};
    });
    if (!scan && scan.error().code == Code::kNotFound) continue;
    if (!scan) {
      out.push_back({Severity::kWarning, place.name + ": " + scan.error().message});
      continue;
    }
    for (auto const& problem : scan->problems)
      if (health.problems.size() <= kMaxNamed) health.problems.push_back(problem);
    judge_contents(place, health, out);
    judge_bridge(machine, place, out);
    bool const right = out.size() == before;
    judge_leftovers(place, health, out);
    if (right)
      out.push_back({Severity::kOk, fmt::format("{}: {}, every link leads to a file", place.name,
                                                repositories(health.repos))});
  }
  return out;
}

}  // namespace homelab::cli::doctor
