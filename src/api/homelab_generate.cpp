// Generation of a prompt (contract §2.6) and of a conversation (ours).
#include "dialects.h"
#include "generation_fields.h"
#include "generation_reply.h"
#include "replies.h"
#include "request_book.h"
#include "run_label.h"
#include "validation.h"

namespace homelab::api {
namespace {

using http::Reply;
using http::Request;

constexpr std::size_t kBodyLimitBytes = 16U << 20U;

using Read = WantedGeneration (*)(BodyReader&);

WantedGeneration read_prompt(BodyReader& body) { return {.request = read_generation(body)}; }

WantedGeneration read_conversation(BodyReader& body) {
  WantedGeneration out;
  out.messages = read_messages(body);
  out.request = read_sampling(body);
  out.template_options = read_template_options(body);
  return out;
}

Reply generate(SharedServices const& services, Request const& request, Read read, bool events) {
  BodyReader body(request);
  auto wanted = read(body);
  wanted.events = events;
  if (auto rejection = body.rejection()) return *std::move(rejection);
  if (auto refusal = refuse_request_id(*services->requests, request)) return *std::move(refusal);
  if (!wanted.request.model.empty()) {
    auto const model = services->registry.find(wanted.request.model);
    if (!model) return error_reply(model.error());
    wanted.request.model = model->model_name;
  }
  wanted.request.label = run_label(request, body.fields());
  wanted.request.label.streamed = events;
  return generation_reply(services, request, std::move(wanted));
}

}  // namespace

void add_generation_routes(http::Router& router, SharedServices const& services) {
  auto const add = [&](std::string const& path, Read read, bool events) {
    router.add(
        "POST", path,
        [services, read, events](Request const& request) {
          return generate(services, request, read, events);
        },
        kBodyLimitBytes);
  };
  add("/api/generate", read_prompt, false);
  add("/api/generate/stream", read_prompt, true);
  add("/api/chat", read_conversation, false);
  add("/api/chat/stream", read_conversation, true);
}

}  // namespace homelab::api
