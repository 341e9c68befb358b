// A program that answers like homelab-llm-engine and misbehaves on request, so that races are made
// on purpose.
//
//   fake_engine describe MODEL | fake_engine version
//   fake_engine --host SOCKET -m MODEL ...          other arguments of an engine are accepted and
//   ignored
//
// Flags (command line, or a file beside the model, see flags.h):
//   --slow-load MS       /health says 503 for that long          --never-ready       /health says
//   503 for ever
//   --fail-load TEXT     "error: TEXT" and exit code 1           --abort-load        SIGABRT while
//   loading
//   --fail-describe TEXT                                         --ignore-sigterm
//   --crash-after N      SIGABRT after N tokens of a stream      --close-after N     the connection
//   breaks instead
//   --error-after N      an error event after N tokens           --hold-after N      silence after
//   N tokens
//   --garbage            events that are no JSON                 --refuse TEXT       400 for every
//   completion
//   --stop-at N          the end token comes as token N          --chatter           writes a
//   megabyte of log
//   --ready-when FILE    /health says 503 until FILE exists
//   --answer-when FILE   answers of /v1 wait until FILE exists; one that was asked for as a stream
//   is one
//   --hang-after N       stops itself (SIGSTOP) after N tokens; --hang-load the same before it
//   listens
//   --work-after N       computes for --work-ms MS after N tokens, silently; --work-load MS the
//   same before it is ready
// GET /fake/stats tells how many streams run and how many clients left early.
#include <fmt/format.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include "base/json.h"
#include "base/strings.h"
#include "connection.h"
#include "flags.h"

namespace homelab::fake_engine {
namespace {

using Clock = std::chrono::steady_clock;

struct World {
  Flags flags;
  Clock::time_point ready_at;
  std::atomic<int> running{0};
  std::atomic<int> left_early{0};
};

[[noreturn]] void abort_with_message() {
  fmt::print(stderr, "ggml.c:42: GGML_ASSERT(fake) failed\n");
  std::fflush(stderr);
  std::abort();
}

int fail_with(std::string const& text) {
  fmt::print(stderr, "some log line\nerror: {}\n", text);
  return 1;
}

int describe(std::string const& model, Flags const& flags) {
  if (flags.has("--fail-describe")) return fail_with(flags.text("--fail-describe"));
  fmt::print("loading back ends\n");
  json::object const facts = {{"format", "gguf"},
                              {"architecture", "llama"},
                              {"model_type", "LlamaForCausalLM"},
                              {"parameter_count", 134515008},
                              {"default_dtype", "Q4_1"},
                              {"context_length", 2048},
                              {"vocab_size", 100},
                              {"llama_cpp", "fake-1"},
                              {"name", model}};
  fmt::print("{}\n", json::serialize(facts));
  return 0;
}

void tokenize(Connection& client, std::string const& body) {
  auto const value = parse_json(body);
  if (!value) throw std::runtime_error("bad body");
  json::array tokens;
  std::string const content = get_string(value->as_object(), "content").value_or("");
  for (auto const word : split(content, ' ')) {
    if (!word.empty()) tokens.push_back(static_cast<std::int64_t>(word.size()));
  }
  client.answer(200, json::serialize(json::object{{"tokens", tokens}}));
}

/// The thread that sends the signal runs on for a moment; it must not do anything either.
[[noreturn]] void hang() {
  ::kill(::getpid(), SIGSTOP);
  while (true) ::pause();
}

void compute_for(int ms) {
  auto const end = Clock::now() + std::chrono::milliseconds(ms);
  for (std::atomic<unsigned> work{0}; Clock::now() < end;) ++work;
}

/// What the flags want instead of token number `index`; true = the stream is over.
bool misbehave(World& world, Connection& client, int index) {
  Flags const& flags = world.flags;
  if (flags.number("--crash-after") == index) abort_with_message();
  if (flags.number("--close-after") == index) return true;
  if (flags.number("--hang-after") == index) hang();
  if (flags.number("--work-after") == index) compute_for(flags.number("--work-ms"));
  if (flags.number("--hold-after") == index) {
    client.wait_until_client_leaves();
    ++world.left_early;
    return true;
  }
  if (flags.number("--error-after") == index) {
    client.send_event(
        R"({"error":{"code":500,"message":"the fake engine lost its mind","type":"server_error"}})");
    client.end_stream();
    return true;
  }
  if (flags.has("--garbage")) {
    client.send_event("]]] this is no JSON");
    client.end_stream();
    return true;
  }
  return false;
}

void complete(World& world, Connection& client, std::string const& body) {
  if (world.flags.has("--refuse")) {
    json::object const error = {{"code", 400}, {"message", world.flags.text("--refuse")}};
    client.answer(400, json::serialize(json::object{{"error", error}}));
    return;
  }
  auto const value = parse_json(body);
  if (!value) throw std::runtime_error("bad body");
  auto const& request = value->as_object();
  auto const limit = static_cast<int>(get_int(request, "n_predict").value_or(16));
  auto const inputs = static_cast<std::int64_t>(request.at("prompt").as_array().size());
  int const stop_at = world.flags.number("--stop-at");
  int const count = stop_at > 0 && stop_at < limit ? stop_at : limit;
  client.begin_stream();
  for (int i = 0; i < count; ++i) {
    if (misbehave(world, client, i)) return;
    bool const end_token = i + 1 == stop_at;
    std::string const text = end_token ? "" : fmt::format("{}w{}", i == 0 ? "" : " ", i);
    client.send_event(json::serialize(json::object{{"content", text},
                                                   {"stop", false},
                                                   {"tokens_predicted", i + 1},
                                                   {"tokens_evaluated", inputs}}));
  }
  if (misbehave(world, client, count)) return;
  client.send_event(json::serialize(json::object{{"content", ""},
                                                 {"stop", true},
                                                 {"tokens_predicted", count},
                                                 {"tokens_evaluated", inputs},
                                                 {"timings",
                                                  {{"cache_n", 0},
                                                   {"prompt_n", inputs},
                                                   {"prompt_ms", 8.0},
                                                   {"predicted_n", count},
                                                   {"predicted_ms", (count - 1) * 20.0}}}}));
  client.end_stream();
}

/// Silent until the file exists: a long prefill. Throws when the client leaves meanwhile.
void wait_for_file(Connection const& client, std::string const& file) {
  while (!std::filesystem::exists(file)) {
    if (client.client_left()) throw std::runtime_error("the client left");
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

/// A chat of one word in the words of OpenAI's or Anthropic's dialect.
void stream_one_word(Connection& client, std::string const& target) {
  client.begin_stream();
  if (target == "/v1/messages") {
    client.send_event(R"({"type":"content_block_delta","delta":{"text":"w0"}})");
  } else {
    client.send_event(
        R"({"choices":[{"index":0,"text":"w0","delta":{"content":"w0"},"finish_reason":"stop"}]})");
    client.send_event("[DONE]");
  }
  client.end_stream();
}

bool is_ready(World const& world) {
  if (world.flags.has("--never-ready")) return false;
  if (world.flags.has("--ready-when"))
    return std::filesystem::exists(world.flags.text("--ready-when"));
  return Clock::now() >= world.ready_at;
}

void answer(World& world, Connection& client, Request const& request) {
  if (world.flags.has("--answer-when") && request.target.starts_with("/v1/")) {
    wait_for_file(client, world.flags.text("--answer-when"));
    auto const body = parse_json(request.body);
    if (body && body->is_object() && get_bool(body->get_object(), "stream").value_or(false))
      return stream_one_word(client, request.target);
  }
  if (request.target == "/health") {
    bool const ready = is_ready(world);
    client.answer(ready ? 200 : 503,
                  ready ? R"({"status":"ok"})" : R"({"error":{"message":"Loading model"}})");
  } else if (request.target == "/tokenize") {
    tokenize(client, request.body);
  } else if (request.target == "/completion") {
    complete(world, client, request.body);
  } else if (request.target == "/apply-template") {
    client.answer(200, json::serialize(json::object{{"prompt", "user asks " + request.body}}));
  } else if (request.target == "/fake/stats") {
    client.answer(200, fmt::format(R"({{"running":{},"left_early":{}}})", world.running.load(),
                                   world.left_early.load()));
  } else {
    client.answer(200, fmt::format("{} {} {}", request.method, request.target, request.body));
  }
}

void serve_client(World& world, int fd) {
  Connection client(fd);
  try {
    Request const request = client.read_request();
    bool const stream = request.target == "/completion" || world.flags.has("--answer-when");
    if (stream) ++world.running;
    try {
      answer(world, client, request);
    } catch (std::runtime_error const&) {
      if (stream) ++world.left_early;
    }
    if (stream) --world.running;
  } catch (std::runtime_error const&) {
    // A client that leaves before its request is complete needs no answer.
  }
}

int listen_on(std::string const& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw std::runtime_error("socket path too long");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  int const fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  // The socket interface is built on this cast.
  auto const* generic = reinterpret_cast<sockaddr const*>(&address);
  if (::bind(fd, generic, sizeof address) != 0 || ::listen(fd, 256) != 0)
    throw std::runtime_error("cannot listen");
  return fd;
}

void end_with_the_server(int lifeline) {
  char byte = 0;
  while (::read(lifeline, &byte, 1) > 0) {
  }
  ::_exit(0);
}

int serve(std::vector<std::string> const& arguments, std::string const& model, Flags flags) {
  if (flags.has("--ignore-sigterm")) ::signal(SIGTERM, SIG_IGN);
  if (flags.has("--chatter")) {
    for (int i = 0; i < 16'000; ++i) fmt::print(stderr, "chatter line {} {:-<48}\n", i, "");
  }
  fmt::print(stderr, "fake engine for {}\n", model);
  if (flags.has("--fail-load")) return fail_with(flags.text("--fail-load"));
  if (flags.has("--abort-load")) abort_with_message();
  std::string socket;
  for (std::size_t i = 0; i + 1 < arguments.size(); ++i) {
    if (arguments[i] == "--host") socket = arguments[i + 1];
    if (arguments[i] == "--lifeline-fd")
      std::thread(end_with_the_server, std::stoi(arguments[i + 1])).detach();
  }
  World world{.flags = std::move(flags), .ready_at = Clock::now()};
  if (int const slow = world.flags.number("--slow-load"); slow > 0)
    world.ready_at += std::chrono::milliseconds(slow);
  if (world.flags.has("--hang-load")) hang();
  if (int const ms = world.flags.number("--work-load"); ms > 0) compute_for(ms);
  int const listener = listen_on(socket);
  while (true) {
    int const fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0) std::thread(serve_client, std::ref(world), fd).detach();
  }
}

int run(std::vector<std::string> const& arguments) {
  if (!arguments.empty() && arguments[0] == "version") {
    fmt::print("{}\n", R"({"version":"fake","back_ends":[{"name":"CPU","description":"fake"}]})");
    return 0;
  }
  if (!arguments.empty() && arguments[0] == "check-sandbox") {
    fmt::print("{}\n", R"({"sandbox":{"seccomp":true,"landlock":7},"refused":{"tcp":true}})");
    return 0;
  }
  std::string model;
  for (std::size_t i = 0; i + 1 < arguments.size(); ++i) {
    if (arguments[i] == "-m" || arguments[i] == "describe") model = arguments[i + 1];
  }
  Flags flags = Flags::read(model, arguments);
  if (!arguments.empty() && arguments[0] == "describe") return describe(model, flags);
  return serve(arguments, model, std::move(flags));
}

}  // namespace
}  // namespace homelab::fake_engine

int main(int argc, char** argv) {
  try {
    return homelab::fake_engine::run(std::vector<std::string>(argv + 1, argv + argc));
  } catch (std::exception const& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
