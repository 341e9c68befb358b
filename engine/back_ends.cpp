#include "back_ends.h"

#include <fmt/format.h>

#include <fstream>
#include <set>
#include <system_error>

namespace homelab::engine_process {
namespace {

/// File names of the ggml plug-ins mapped into this process; ggml itself does not tell which
/// variant it took.
std::set<std::string> mapped_plug_ins() {
  std::set<std::string> found;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    auto const slash = line.rfind('/');
    if (slash == std::string::npos) continue;
    std::string const name = line.substr(slash + 1);
    if (name.starts_with("libggml-") && name.ends_with(".so") && name != "libggml-base.so")
      found.insert(name);
  }
  return found;
}

std::string plug_in_of(std::string_view registry, std::set<std::string> const& plug_ins) {
  std::string prefix = "libggml-";
  for (char c : registry) prefix += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  for (auto const& name : plug_ins)
    if (name.starts_with(prefix)) return name;
  return {};
}

}  // namespace

Result<std::filesystem::path> library_folder() {
  std::error_code error;
  auto const self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return fail(Code::kInternal, fmt::format("read /proc/self/exe: {}", error.message()));
  return (self.parent_path() / "../lib/engine").lexically_normal();
}

Status load_back_ends() {
  ASSIGN_OR_RETURN(auto const folder, library_folder());
  if (ggml_backend_dev_count() == 0) ggml_backend_load_all_from_path(folder.c_str());
  if (ggml_backend_dev_count() == 0) {
    return fail(Code::kFailedPrecondition,
                fmt::format("no compute back end could be loaded from {}; build or install again, "
                            "libggml-cpu-*.so belong there",
                            folder.string()));
  }
  return {};
}

std::vector<BackEnd> back_ends() {
  auto const plug_ins = mapped_plug_ins();
  std::vector<BackEnd> result;
  for (std::size_t i = 0; i < ggml_backend_dev_count(); ++i) {
    ggml_backend_dev_t const device = ggml_backend_dev_get(i);
    auto const* registry = ggml_backend_reg_name(ggml_backend_dev_backend_reg(device));
    result.push_back({ggml_backend_dev_name(device), ggml_backend_dev_description(device),
                      plug_in_of(registry, plug_ins)});
  }
  return result;
}

bool is_gpu(ggml_backend_dev_t device) {
  auto const type = ggml_backend_dev_type(device);
  return type == GGML_BACKEND_DEVICE_TYPE_GPU || type == GGML_BACKEND_DEVICE_TYPE_IGPU;
}

bool has_gpu() {
  for (std::size_t i = 0; i < ggml_backend_dev_count(); ++i)
    if (is_gpu(ggml_backend_dev_get(i))) return true;
  return false;
}

}  // namespace homelab::engine_process
