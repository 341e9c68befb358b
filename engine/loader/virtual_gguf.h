#pragma once
// A ModelPlan as a FILE that can be read and searched like a GGUF file, but has no bytes of its
// own.
#include <cstdio>
#include <memory>

#include "base/result.h"
#include "loader/model_plan.h"

namespace homelab::loader {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using FilePtr = std::unique_ptr<std::FILE, CloseFile>;

/// Reading is sequential-friendly: what is changed on the way is kept in memory a few MiB at a time
/// (see PlannedTensor::slice_rows), what is only copied not at all. One thread at a time, as with
/// any FILE. `reason`, if not null, receives why a read failed and must
/// outlive the file. fileno() gives the descriptor of an empty file, so that a reader that maps
/// what it reads gets as many addresses as it asks for, but no memory. Errors: kResourceExhausted.
[[nodiscard]] Result<FilePtr> open_virtual_gguf(std::shared_ptr<ModelPlan const> plan,
                                                std::string* reason);

}  // namespace homelab::loader
