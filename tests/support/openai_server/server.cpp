#include "server.h"

#include <stdexcept>

#include "base/json.h"
#include "base/strings.h"

namespace homelab::test {
namespace {

using http::Reply;
using http::Request;
using http::Response;

Response json_reply(int status, json::value const& value) {
  Response response{status, {}, json::serialize(value)};
  response.headers.set("content-type", "application/json");
  return response;
}

std::string event(json::object const& object) {
  return "data: " + json::serialize(object) + "\n\n";
}

json::object chunk(std::string const& text, json::value const& finish) {
  return {{"object", "text_completion"},
          {"choices", {{{"index", 0}, {"text", text}, {"finish_reason", finish}}}}};
}

}  // namespace

OpenAiServer::OpenAiServer(Behaviour behaviour, int port)
    : behaviour_(std::move(behaviour)), health_(behaviour_.health) {
  http::ServerOptions options;
  options.port = port;
  auto server = http::Server::start(loops_, options, router());
  if (!server) throw std::runtime_error(server.error().message);
  server_ = std::move(*server);
}

OpenAiServer::~OpenAiServer() {
  break_open_answers();
  server_->stop(std::chrono::milliseconds(100));
}

void OpenAiServer::break_open_answers() {
  std::lock_guard const lock(mutex_);
  for (auto const& channel : open_) channel->close(false);
  open_.clear();
}

std::vector<std::string> OpenAiServer::bodies() const {
  std::lock_guard const lock(mutex_);
  return bodies_;
}

void OpenAiServer::remember(std::string const& body) {
  std::lock_guard const lock(mutex_);
  bodies_.push_back(body);
}

bool OpenAiServer::is_allowed(Request const& request) const {
  return behaviour_.key.empty() ||
         request.headers.find("authorization") == "Bearer " + behaviour_.key;
}

http::Router OpenAiServer::router() {
  http::Router router;
  router.on_not_found(
      [](Request const&) { return json_reply(404, {{"error", {{"message", "not here"}}}}); });
  router.add("GET", "/health", [this](Request const&) -> Reply {
    if (++health_checks_ > behaviour_.ill_after && behaviour_.ill_after > 0) health_ = 500;
    return json_reply(health_, {{"status", "said"}});
  });
  if (behaviour_.has_list)
    router.add("GET", "/v1/models",
               [this](Request const& request) { return list_models(request); });
  router.add("POST", "/v1/completions",
             [this](Request const& request) { return complete(request); });
  router.add("POST", "/v1/chat/completions", [this](Request const& request) -> Reply {
    remember(request.body);
    Response response{200, {}, request.body};
    response.headers.set("content-type", "application/json");
    return response;
  });
  return router;
}

Reply OpenAiServer::list_models(Request const& request) {
  if (!is_allowed(request)) return json_reply(401, {{"error", {{"message", "no key"}}}});
  json::array data;
  for (auto const& name : behaviour_.models)
    data.push_back(json::object{{"id", name}, {"object", "model"}});
  return json_reply(200, {{"object", "list"}, {"data", data}});
}

Reply OpenAiServer::complete(Request const& request) {
  remember(request.body);
  if (behaviour_.completion_status != 200)
    return json_reply(behaviour_.completion_status,
                      {{"error", {{"message", "that does not go"}, {"code", 400}}}});
  auto const body = parse_json(request.body);
  auto const prompt =
      body && body->is_object() ? get_string(body->get_object(), "prompt").value_or("") : "";
  http::StreamReply reply;
  reply.headers.set("content-type", "text/event-stream");
  reply.start = [this, prompt](std::shared_ptr<http::StreamChannel> const& channel) {
    stream(channel, prompt);
  };
  return reply;
}

void OpenAiServer::stream(std::shared_ptr<http::StreamChannel> const& channel,
                          std::string const& prompt) {
  auto const words = split(behaviour_.answer, ' ');
  std::size_t written = 0;
  for (auto const& word : words) {
    bool const last = ++written == words.size();
    auto const text = std::string(word) + (last ? "" : " ");
    channel->write(event(chunk(text, last ? json::value("stop") : json::value(nullptr))));
    if (prompt.find("wait") != std::string::npos) {
      channel->on_client_gone([this] { ++clients_gone_; });
      std::lock_guard const lock(mutex_);
      open_.push_back(channel);
      return;
    }
  }
  if (behaviour_.usage)
    channel->write(event(
        {{"choices", json::array{}}, {"usage", {{"prompt_tokens", 7}, {"completion_tokens", 5}}}}));
  if (behaviour_.done_mark) channel->write("data: [DONE]\n\n");
  channel->close(true);
}

}  // namespace homelab::test
