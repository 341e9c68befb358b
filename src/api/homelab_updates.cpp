// Is there a newer revision of a model? (contract §2.3, §5.6)
#include <fmt/format.h>

#include <semaphore>

#include "base/strings.h"
#include "dialects.h"
#include "hub/hub_api.h"
#include "json_text.h"
#include "model_json.h"
#include "replies.h"
#include "repo_removal.h"
#include "update_check.h"
#include "validation.h"

namespace homelab::api {
namespace {

using http::Reply;
using http::Request;

/// Each question holds a handler thread while a slow Hub answers; the others must stay free.
constexpr int kQuestionsAtOnce = 2;
using Turns = std::counting_semaphore<kQuestionsAtOnce>;

struct TurnGuard {
  explicit TurnGuard(Turns& turns) : turns_(turns), taken_(turns.try_acquire()) {}
  ~TurnGuard() {
    if (taken_) turns_.release();
  }
  TurnGuard(TurnGuard const&) = delete;
  TurnGuard& operator=(TurnGuard const&) = delete;
  [[nodiscard]] bool taken() const { return taken_; }

 private:
  Turns& turns_;
  bool taken_;
};

/// Where the model's ref stands in the first of its folders that has it.
std::optional<cache::CommitHash> local_commit(Services const& services,
                                              registry::Model const& model,
                                              cache::ModelReference const& reference) {
  for (auto const& hub : hub_folders_of(services.locations, model))
    if (auto commit = cache::RepoFolder(hub, reference.repo).read_ref(reference.revision))
      return *std::move(commit);
  return std::nullopt;
}

json::object answer_json(registry::Model const& model,
                         std::optional<cache::CommitHash> const& local,
                         cache::ModelReference const& reference,
                         hub::RemoteRevision const& remote) {
  return {{"model_name", model.model_name},
          {"update_available", model.update_available},
          {"local_commit", local ? json::value(local->text()) : json::value()},
          {"remote_commit", remote.commit.text()},
          {"remote_version", reference.revision.text()},
          {"last_modified", value_or_null(remote.last_modified)},
          {"checked_at", to_local_iso(model.last_update_check.value_or(utc_now()))}};
}

Reply look_for_update(Services const& services, Turns& turns, Request const& request) {
  auto const model = services.registry.find(trim(request.path_value("name")));
  if (!model) return error_reply(model.error());
  if (!model->cache_path)
    return detail_reply(
        400, fmt::format("Model '{}' has no cache path; register it again", model->model_name));
  auto const reference = cache::ModelReference::parse(model->hf_path);
  if (!reference)
    return detail_reply(500, fmt::format("{} is no repository of the Hub: local files have no "
                                         "revisions",
                                         model->hf_path));
  TurnGuard const turn(turns);
  if (!turn.taken()) {
    auto busy = detail_reply(503, "Other update checks are waiting for the Hub; try again");
    busy.headers.set("retry-after", "5");
    return busy;
  }
  auto const remote = hub::HubApi(services.hub.client, services.hub.options)
                          .remote_revision(reference->repo, reference->revision, {});
  if (!remote) return detail_reply(500, remote.error().message);
  auto const local = local_commit(services, *model, *reference);
  auto const stored = services.registry.record_update_check(
      model->id, local != remote->commit, local ? std::optional(local->text()) : std::nullopt);
  if (!stored) return error_reply(stored.error());
  return json_reply(200, answer_json(*stored, local, *reference, *remote));
}

/// `homelab-llm update --check` asked the Hub itself.
Reply keep_answer(Services const& services, Request const& request) {
  BodyReader body(request);
  bool const available = body.boolean("update_available");
  auto const commit = body.optional_text("local_commit");
  if (commit && !cache::CommitHash::parse(*commit))
    body.refuse_value("local_commit", "a commit has 40 hexadecimal digits");
  body.forbid_others();
  if (auto rejection = body.rejection()) return *std::move(rejection);
  auto const stored =
      record_check(services.registry, std::string(request.path_value("name")), available, commit);
  if (!stored) return error_reply(stored.error());
  return json_reply(200, model_json(*stored));
}

}  // namespace

Result<registry::Model> record_check(registry::Registry& registry, std::string const& name,
                                     bool available,
                                     std::optional<std::string> const& local_commit) {
  ASSIGN_OR_RETURN(auto const model, registry.find(trim(name)));
  return registry.record_update_check(model.id, available, local_commit);
}

void add_update_routes(http::Router& router, SharedServices const& services) {
  auto const turns = std::make_shared<Turns>(kQuestionsAtOnce);
  router.add("GET", "/api/models/{name}/updates", [services, turns](Request const& request) {
    return look_for_update(*services, *turns, request);
  });
  router.add("POST", "/api/models/{name}/updates",
             [services](Request const& request) { return keep_answer(*services, request); });
}

}  // namespace homelab::api
