#pragma once
// Finds and loads llama.cpp's compute back ends (the processor variants, and GPU plug-ins put
// beside them).
#include <ggml-backend.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace homelab::engine_process {

/// `<folder of this executable>/../lib/engine`: where the libraries lie, wherever the program was
/// put.
[[nodiscard]] Result<std::filesystem::path> library_folder();

/// Loads every back end of library_folder() once; the best processor variant is chosen by ggml.
/// Errors: kFailedPrecondition when not one back end could be loaded.
[[nodiscard]] Status load_back_ends();

struct BackEnd {
  std::string name;         ///< "CPU", "CUDA0"
  std::string description;  ///< "AMD EPYC ..."
  std::string library;      ///< file name of the plug-in it came from; empty when it is linked in
};
/// The devices of the loaded back ends.
[[nodiscard]] std::vector<BackEnd> back_ends();

/// Whether a device has graphics hardware to compute with (not only a faster library).
[[nodiscard]] bool is_gpu(ggml_backend_dev_t device);
/// Whether one of the devices of the loaded back ends is a GPU.
[[nodiscard]] bool has_gpu();

}  // namespace homelab::engine_process
