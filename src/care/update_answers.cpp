#include "update_answers.h"

#include <fmt/format.h>

#include <chrono>

#include "http/client.h"

namespace homelab::care {
namespace {

constexpr std::chrono::seconds kProbeTime{5};
constexpr std::size_t kProbeBytes = 64U << 10U;

bool is_answer(UpdatedRef const& row) {
  return row.state == "available" || row.state == "current" || row.state == "not_downloaded";
}

}  // namespace

void keep_checks(Work const& work, UpdateChoice const& choice,
                 std::vector<UpdatedRef> const& rows) {
  if (!work.record_checks || choice.to || choice.rollback || choice.dry_run) return;
  std::vector<UpdateCheck> checks;
  for (auto const& row : rows) {
    bool const moved = row.state == "updated";
    if (!moved && !is_answer(row)) continue;
    auto const& local = moved ? row.commit : row.before;
    for (auto const& member : row.group.members)
      checks.push_back(
          {member.name, local != row.commit, local ? std::optional(local->text()) : std::nullopt});
  }
  if (checks.empty()) return;
  if (auto const kept = work.record_checks(checks); !kept)
    work.remark(fmt::format("the registry does not have the answer: {}", kept.error().message));
}

bool is_out_of_reach(Work const& work, Error const& error) {
  if (error.code != Code::kUnavailable && error.code != Code::kDeadlineExceeded) return false;
  auto const& hub = *work.hub;
  if (hub.options.offline) return true;
  http::ClientRequest probe;
  probe.url = hub.options.endpoint;
  probe.connect_timeout = kProbeTime;
  probe.total_timeout = kProbeTime;
  auto const answer = hub.client.fetch(std::move(probe), kProbeBytes, work.stopped);
  // An answer that is too long is one, too.
  return !answer && answer.error().code != Code::kResourceExhausted &&
         answer.error().code != Code::kDataLoss;
}

std::string no_hub_text(Work const& work, Error const& error) {
  if (work.hub->options.offline)
    return "the Hub was not asked, because HF_HUB_OFFLINE is set; nobody knows what is newer";
  return fmt::format("the Hub {} cannot be reached, nobody knows what is newer ({})",
                     work.hub->options.endpoint, error.message);
}

UpdatedRef not_asked(UpdateGroup const& group, Error const& error) {
  UpdatedRef row;
  row.group = group;
  row.state = "failed";
  row.error = Error(error.code, "not asked, because the Hub could not be reached before");
  return row;
}

}  // namespace homelab::care
