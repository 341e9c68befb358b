#include "gate_options.h"

#include <limits.h>
#include <unistd.h>

#include <array>
#include <string>

namespace homelab {
namespace {

std::string machine_name() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

}  // namespace

std::shared_ptr<access::Gate> make_gate(config::Settings const& settings) {
  return std::make_shared<access::Gate>(access::Gate::Options{
      {settings.host(), machine_name(), settings.allowed_hosts()}, settings.cors_origins()});
}

}  // namespace homelab
