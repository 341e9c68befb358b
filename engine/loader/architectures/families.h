#pragma once
// The descriptions of all architectures that can be loaded, each in the file of its family.
#include "loader/architecture.h"

namespace homelab::loader {

extern Architecture const kLlama;
extern Architecture const kMistral;
extern Architecture const kMixtral;
extern Architecture const kQwen2;
extern Architecture const kQwen3;
extern Architecture const kQwen3Moe;
extern Architecture const kSmolLm3;
extern Architecture const kOlmo2;
extern Architecture const kGranite;
extern Architecture const kPhi3;
extern Architecture const kStableLm;
extern Architecture const kGemma2;
extern Architecture const kGemma3;

}  // namespace homelab::loader
