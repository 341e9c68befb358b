#include "loader/architecture.h"

#include <array>

#include "loader/architectures/families.h"

namespace homelab::loader {
namespace {

// The first of those with the same llama.cpp name is the one that name usually stands for.
constexpr std::array kArchitectures = {&kLlama,    &kMistral, &kMixtral, &kQwen2,   &kQwen3,
                                       &kQwen3Moe, &kSmolLm3, &kOlmo2,   &kGranite, &kPhi3,
                                       &kStableLm, &kGemma2,  &kGemma3};

}  // namespace

Architecture const* find_architecture(std::string_view class_name, std::string_view model_type) {
  for (auto const* architecture : kArchitectures) {
    if (class_name.empty() ? architecture->model_type == model_type
                           : architecture->class_name == class_name)
      return architecture;
  }
  return nullptr;
}

std::string_view class_of_gguf_name(std::string_view gguf_name) {
  for (auto const* architecture : kArchitectures)
    if (architecture->gguf_name == gguf_name) return architecture->class_name;
  return {};
}

std::string known_architectures() {
  std::string list;
  for (auto const* architecture : kArchitectures) {
    if (!list.empty()) list += ", ";
    list += architecture->class_name;
  }
  return list;
}

}  // namespace homelab::loader
