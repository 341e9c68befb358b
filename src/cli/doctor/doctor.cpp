// doctor: gathers what is known about this machine, runs every check, prints what they found.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <memory>

#include "../api_client.h"
#include "../commands.h"
#include "../container.h"
#include "../exit_code.h"
#include "../stop_signal.h"
#include "base/os/events.h"
#include "base/os/process.h"
#include "base/strings.h"
#include "checks.h"
#include "cli/settings_locations.h"
#include "http/client.h"

extern char** environ;  // NOLINT(readability-redundant-declaration): not in every unistd.h

namespace homelab::cli {
namespace {

using doctor::CheckGroup;
using doctor::Finding;
using doctor::GroupReport;
using doctor::HubAnswer;
using doctor::Machine;
using doctor::Place;
using doctor::PortUse;
using doctor::Severity;

std::map<std::string, std::string> environment_now() {
  std::map<std::string, std::string> all;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    std::string_view const text = *entry;
    auto const equals = text.find('=');
    if (equals != std::string_view::npos)
      all.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return all;
}

std::vector<Place> places_of(config::Settings const& settings, cache::Locations const& locations) {
  std::vector<Place> places;
  for (auto const& location : locations.all()) {
    auto const resolved = locations.resolve(location);
    bool by_default = false;  // nobody gets a custom one by default
    if (location.kind == cache::LocationKind::kPrimary)
      by_default = settings.primary_root().origin.source == config::Source::kDefault;
    else if (location.kind == cache::LocationKind::kSecondary)
      by_default = settings.secondary_root().origin.source == config::Source::kDefault;
    std::string name(to_string(location.kind));
    if (location.kind == cache::LocationKind::kCustom) name += " " + location.root;
    places.push_back({std::move(name), location, resolved.root.string(), resolved.hub, by_default});
  }
  return places;
}

/// Binding is the only answer that counts; nothing is ever accepted here.
PortUse try_to_bind(std::string const& host, int port) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &wanted, &found) != 0)
    return PortUse::kNotOurAddress;
  std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> const owner(found, ::freeaddrinfo);
  os::UniqueFd const socket(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  int const yes = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (!socket || ::bind(socket.get(), found->ai_addr, found->ai_addrlen) != 0)
    return errno == EADDRNOTAVAIL ? PortUse::kNotOurAddress : PortUse::kSomethingElse;
  // With SO_REUSEADDR only listen() finds out about a listener on the same address.
  return ::listen(socket.get(), 1) == 0 ? PortUse::kFree : PortUse::kSomethingElse;
}

/// A server that listens everywhere is asked at home.
std::string url_of(std::string const& host, int port) {
  std::string name = host == "0.0.0.0" || host == "::" ? "127.0.0.1" : host;
  if (name.find(':') != std::string::npos) name = "[" + name + "]";
  return fmt::format("http://{}:{}", name, port);
}

Result<HubAnswer> ask_front_door(http::Client& client, std::string const& url) {
  constexpr std::size_t kLimit = std::size_t{1} << 20;
  http::ClientRequest request;
  request.method = "HEAD";
  request.url = url;
  request.connect_timeout = std::chrono::seconds(3);
  request.total_timeout = std::chrono::seconds(5);
  ASSIGN_OR_RETURN(auto const answer, client.fetch(std::move(request), kLimit, StopSignal::raised));
  HubAnswer out;
  out.status = answer.status;
  if (auto const date = answer.headers.find("Date")) out.date = std::string(*date);
  return out;
}

Result<std::string> first_line_of(cache::Path const& program, std::string const& command) {
  constexpr std::chrono::seconds kPatience{20};
  constexpr std::size_t kMaxText = 64 * 1024;
  ASSIGN_OR_RETURN(auto pipe, os::make_pipe());
  os::SpawnOptions options;
  options.program = program;
  options.arguments = {command};
  options.output = std::move(pipe.write_end);
  ASSIGN_OR_RETURN(auto child, os::ChildProcess::spawn(std::move(options)));
  std::string text;
  std::array<char, 4096> buffer{};
  auto const deadline = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < deadline && text.size() < kMaxText) {
    if (os::wait_readable({pipe.read_end.get()}, std::chrono::milliseconds(100)).empty()) continue;
    ASSIGN_OR_RETURN(auto const got, os::read_available(pipe.read_end.get(), buffer));
    if (!got) continue;
    if (*got == 0) break;
    text.append(buffer.data(), *got);
  }
  auto const ended = child.wait(std::chrono::seconds(1));
  if (!ended) return fail(Code::kDeadlineExceeded, "it did not end within 20 seconds");
  std::string const first(trim(std::string_view(text).substr(0, text.find('\n'))));
  if (!ended->ok()) return fail(Code::kUnavailable, to_string(*ended) + ": " + first);
  return first;
}

Status ask_own_server(ApiClient const& api) {
  if (!api.healthy()) return fail(Code::kUnavailable, "no server answers");
  auto const models = api.get("/api/models");
  if (!models) return fail(Code::kInternal, models.error().message);
  return {};
}

int print(Output const& out, std::vector<GroupReport> const& groups) {
  out.text(report_text(groups));
  out.value(to_json(groups));
  return count(groups, Severity::kError) == 0 ? kExitDone : kExitFailed;
}

}  // namespace

std::span<CheckGroup const> doctor::all_checks() {
  static constexpr std::array kChecks{
      CheckGroup{"settings", check_settings},   CheckGroup{"server", check_server},
      CheckGroup{"locations", check_locations}, CheckGroup{"container", check_container},
      CheckGroup{"disks", check_disks},         CheckGroup{"permissions", check_permissions},
      CheckGroup{"health", check_health},       CheckGroup{"hub", check_hub},
      CheckGroup{"engine", check_engine},
  };
  return kChecks;
}

Outcome execute(Context const& context, DoctorCommand const&) {
  StopSignal const stop;
  auto const locations = locations_of(context.settings);
  auto const client =
      http::Client::create({.user_agent = fmt::format("homelab-llm/{}", context.hooks.version)});
  ApiClient const api(url_of(context.settings.host(), context.settings.port()),
                      context.hooks.version);
  Machine machine{
      context.settings,
      locations,
      environment_now(),
      places_of(context.settings, locations),
      cache::read_mounts(),
      {},
      utc_now,
      [&](std::string const& url) { return ask_front_door(*client, url); },
      [&](std::string const& host, int port) {
        return api.healthy() ? PortUse::kOurServer : try_to_bind(host, port);
      },
      [&] { return ask_own_server(api); },
      [](cache::Path const& program) { return first_line_of(program, "version"); },
      StopSignal::raised,
      [](cache::Path const& program) { return first_line_of(program, "check-sandbox"); }};
  machine.container = container_hints();
  std::vector<GroupReport> groups;
  for (auto const& check : doctor::all_checks()) {
    if (StopSignal::raised()) return fail(Code::kCancelled, "stopped");
    groups.push_back({std::string(check.name), check.run(machine)});
  }
  return print(context.out, groups);
}

int report_unusable_settings(Output const& out, Error const& error) {
  return print(out, {{"settings", {Finding{Severity::kError, error.message}}}});
}

}  // namespace homelab::cli
