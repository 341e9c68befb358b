#include "model_seam.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <llama.h>

#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <system_error>

#include "base/os/file.h"
#include "error_lines.h"
#include "loader/model_plan.h"
#include "loader/virtual_gguf.h"
#include "text_seam.h"
#include "weights_in_place.h"

namespace homelab::engine_process {
namespace {

using Loader = llama_model* (*)(char const*, llama_model_params);
using Plan = std::shared_ptr<loader::ModelPlan const>;

/// Plans wait here between the check, the pass that only measures, and the load itself.
struct Kept {
  std::mutex mutex;
  std::map<std::string, Plan> plans;
  loader::Quantisation quantisation;
  std::string last_error;
};

Kept& kept() {
  static Kept instance;
  return instance;
}

/// The library's own function of the same name.
Loader library_loader() {
  static auto const loader =
      reinterpret_cast<Loader>(::dlsym(RTLD_NEXT, "llama_model_load_from_file"));
  return loader;
}

void remember(std::string reason) {
  std::lock_guard const lock(kept().mutex);
  kept().last_error = std::move(reason);
}

Result<Plan> plan_for(std::string const& folder) {
  loader::Quantisation quantisation;
  {
    std::lock_guard const lock(kept().mutex);
    if (auto const found = kept().plans.find(folder); found != kept().plans.end())
      return found->second;
    quantisation = kept().quantisation;
  }
  ASSIGN_OR_RETURN(auto plan, loader::ModelPlan::make(folder, quantisation));
  std::lock_guard const lock(kept().mutex);
  return kept().plans.insert_or_assign(folder, std::move(plan)).first->second;
}

struct FreeModel {
  void operator()(llama_model* model) const { llama_model_free(model); }
};

/// The message of an error may be empty: then the library said in its log what is wrong.
Result<llama_model*> load_plan(Plan const& plan, llama_model_params params) {
  std::string reason;
  ASSIGN_OR_RETURN(auto const file, loader::open_virtual_gguf(plan, &reason));
  std::unique_ptr<WeightsInPlace> in_place;
  if (::fileno(file.get()) >= 0 && WeightsInPlace::possible(params, *plan)) {
    ASSIGN_OR_RETURN(in_place, WeightsInPlace::open(plan));
    in_place->take_part(params);
  } else {
    // There are no bytes behind the file that could be mapped.
    params.load_mode = LLAMA_LOAD_MODE_NONE;
  }
  std::unique_ptr<llama_model, FreeModel> model(llama_model_load_from_file_ptr(file.get(), params));
  if (in_place) RETURN_IF_ERROR(in_place->outcome());
  if (!model) return fail(Code::kDataLoss, reason);
  return model.release();
}

llama_model* load_folder(std::string const& folder, llama_model_params params,
                         std::string& reason) {
  auto plan = plan_for(folder);
  if (!plan) {
    reason = plan.error().message;
    return nullptr;
  }
  auto model = load_plan(*plan, params);
  if (!model) {
    reason = model.error().message;
    return nullptr;
  }
  set_text_rules(llama_model_get_vocab(*model), (*plan)->text_rules());
  if (!params.no_alloc) {
    std::lock_guard const lock(kept().mutex);
    kept().plans.erase(folder);
  }
  return *model;
}

/// A GGUF has its types; asking for others must not be ignored.
Status check_file(std::string const& path) {
  std::lock_guard const lock(kept().mutex);
  if (kept().quantisation.pack == nullptr) return {};
  return fail(
      Code::kInvalidArgument,
      fmt::format("{}: --load-quantized is for safetensors; a GGUF is loaded as it is", path));
}

}  // namespace

void set_load_quantisation(loader::Quantisation quantisation) {
  std::lock_guard const lock(kept().mutex);
  kept().quantisation = std::move(quantisation);
}

Status prepare_model(std::string const& path) {
  auto const info = os::stat_target(path);
  if (!info) return fail(Error(info.error()).in("model " + path));
  if (!S_ISDIR(info->st_mode)) return check_file(path);
  auto plan = plan_for(path);
  return plan ? Status{} : fail(std::move(plan.error()));
}

std::string last_load_error() {
  std::lock_guard const lock(kept().mutex);
  return kept().last_error;
}

llama_model* load_any(char const* path, llama_model_params params) {
  std::error_code ignored;
  bool const folder = std::filesystem::is_directory(path, ignored);
  std::string reason;
  ErrorLines const lines;
  auto* const model = folder ? load_folder(path, params, reason) : library_loader()(path, params);
  if (model != nullptr) {
    if (!folder) set_text_rules(llama_model_get_vocab(model), nullptr);
    return model;
  }
  if (reason.empty()) reason = lines.reason();
  remember(fmt::format("{}: {}", path, reason.empty() ? "llama.cpp gave no reason" : reason));
  return nullptr;
}

}  // namespace homelab::engine_process

// Same name and type as the library's function: the core's calls find this one first, because the
// executable exports it.
extern "C" llama_model* llama_model_load_from_file(char const* path, llama_model_params params) {
  try {
    return homelab::engine_process::load_any(path, params);
  } catch (std::exception const& error) {
    homelab::engine_process::remember(fmt::format("{}: {}", path, error.what()));
    return nullptr;
  }
}
