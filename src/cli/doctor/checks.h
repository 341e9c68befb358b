#pragma once
// The checks of `homelab-llm doctor`: functions from what is known about this machine to findings.
// Each group stands in a file of its name; all_checks() is the one list of them.
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "cache/locations.h"
#include "cache/mounts.h"
#include "config/settings.h"
#include "finding.h"

namespace homelab::cli::doctor {

/// One cache location as the settings name it.
struct Place {
  std::string name;  ///< "primary", "secondary", "custom /the/root"
  cache::LocationOptions location;
  std::string root;
  cache::HubFolder hub;
  bool by_default = false;  ///< nobody asked for it
};

/// Answer of the Hub's front door.
struct HubAnswer {
  int status = 0;
  std::optional<std::string> date;  ///< the Date header, as sent
};

/// What runs at the address where our server would listen.
enum class PortUse { kFree, kOurServer, kSomethingElse, kNotOurAddress };

/// Everything the checks look at. Facts are values; what takes time or leaves the machine is a
/// function, so that a test can stand in for it.
struct Machine {
  config::Settings const& settings;
  cache::Locations const& locations;
  std::map<std::string, std::string> environment;
  std::vector<Place> places;
  std::vector<cache::Mount> mounts;
  cache::ContainerHints container;
  std::function<UtcTime()> now;
  std::function<Result<HubAnswer>(std::string const& url)> ask_hub;
  std::function<PortUse(std::string const& host, int port)> use_of_port;
  /// Does the running server read its database? kUnavailable: no server.
  std::function<Status()> ask_server;
  /// First line of what `program version` prints.
  std::function<Result<std::string>(cache::Path const& program)> program_version;
  std::function<bool()> stop;  ///< asked during long walks
  /// First line of what `program check-sandbox` prints: its JSON.
  std::function<Result<std::string>(cache::Path const& program)> sandbox_check = {};
};

struct CheckGroup {
  std::string_view name;
  Findings (*run)(Machine const& machine);
};
[[nodiscard]] std::span<CheckGroup const> all_checks();

[[nodiscard]] Findings check_settings(Machine const& machine);
[[nodiscard]] Findings check_server(Machine const& machine);
[[nodiscard]] Findings check_locations(Machine const& machine);
[[nodiscard]] Findings check_container(Machine const& machine);
[[nodiscard]] Findings check_disks(Machine const& machine);
[[nodiscard]] Findings check_permissions(Machine const& machine);
[[nodiscard]] Findings check_health(Machine const& machine);
[[nodiscard]] Findings check_hub(Machine const& machine);
[[nodiscard]] Findings check_engine(Machine const& machine);

/// The known name with the fewest edits, when it is near enough to be meant.
[[nodiscard]] std::optional<std::string> nearest_name(std::string_view typed,
                                                      std::span<std::string_view const> known);
/// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110); nullopt for anything else.
[[nodiscard]] std::optional<UtcTime> parse_http_date(std::string_view text);

}  // namespace homelab::cli::doctor
