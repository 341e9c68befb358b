#include "loader/architectures/families.h"
#include "loader/architectures/rules.h"

namespace homelab::loader {
namespace {

constexpr auto kRules = join(kEnds, kNormsBefore, kPairedAttention, kFeedForward);

}  // namespace

constinit Architecture const kSmolLm3 = {.class_name = "SmolLM3ForCausalLM",
                                         .model_type = "smollm3",
                                         .gguf_name = "smollm3",
                                         .rules = kRules,
                                         .tied = true,
                                         .rope_base = 2'000'000.0,
                                         .unrotated_every = 4};

}  // namespace homelab::loader
