#include "weights_in_place.h"

#include <fmt/format.h>
#include <ggml-backend-impl.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "back_ends.h"

namespace homelab::engine_process {

/// Lives as long as a buffer of its type: the library keeps pointers to the type and into the
/// files.
struct PlacedWeights : std::enable_shared_from_this<PlacedWeights> {
  ggml_backend_buffer_type type{};
  std::array<llama_model_tensor_buft_override, 2> overrides{};  ///< every tensor; the end
  std::map<loader::SafetensorsFile const*, loader::FileMapping> files;

  // Only during the load. Afterwards the type is one like others: the library takes it for the
  // tensors of a LoRA adapter, too.
  std::shared_ptr<loader::ModelPlan const> plan;
  std::unordered_map<std::string_view, loader::PlannedTensor const*> planned;
  Status outcome;

  [[nodiscard]] loader::PlannedTensor const* find(ggml_tensor const* tensor) const {
    auto const found = planned.find(tensor->name);
    if (found == planned.end() || found->second->bytes != ggml_nbytes(tensor)) return nullptr;
    return found->second;
  }

  /// nullptr if the bytes in the file are not those of the tensor, or lie where its numbers cannot
  /// be read: the format itself does not align anything.
  [[nodiscard]] std::byte* place_in_file(loader::PlannedTensor const& tensor) const {
    if (!tensor.is_copy() || tensor.sources.size() != 1) return nullptr;
    auto const& source = tensor.sources.front();
    std::uint64_t const offset = source.file->data_start() + source.info->offset;
    if (offset % loader::dtype_bytes(source.info->dtype) != 0) return nullptr;
    return files.at(source.file).bytes().data() + offset;
  }

  /// Makes the bytes of a tensor in `out`, or only sees to it that they are in memory if they are
  /// used where they are.
  [[nodiscard]] Status provide(loader::PlannedTensor const& tensor,
                               std::span<std::byte> out) const {
    if (place_in_file(tensor) == nullptr) return loader::ModelPlan::materialise(tensor, out);
    auto const& source = tensor.sources.front();
    return files.at(source.file)
        .read_ahead(source.file->data_start() + source.info->offset, tensor.bytes);
  }
};

namespace {

constexpr std::size_t kAlignment = 64;

// What ggml calls. Its callers are not prepared for exceptions.

struct Memory {
  std::shared_ptr<PlacedWeights> weights;
  std::span<std::byte> bytes;
};

Memory& memory_of(ggml_backend_buffer_t buffer) { return *static_cast<Memory*>(buffer->context); }

void free_memory(ggml_backend_buffer_t buffer) {
  std::unique_ptr<Memory> const memory(&memory_of(buffer));
  ::munmap(memory->bytes.data(), memory->bytes.size());
}

void* base_of(ggml_backend_buffer_t buffer) { return memory_of(buffer).bytes.data(); }

ggml_status place(ggml_backend_buffer_t buffer, ggml_tensor* tensor) {
  auto const& weights = *memory_of(buffer).weights;
  if (auto const* planned = weights.find(tensor))
    if (auto* const at = weights.place_in_file(*planned)) tensor->data = at;
  return GGML_STATUS_SUCCESS;
}

/// During the load `data` is an address without memory.
void set(ggml_backend_buffer_t buffer, ggml_tensor* tensor, void const* data, std::size_t offset,
         std::size_t size) {
  auto& weights = *memory_of(buffer).weights;
  if (weights.plan == nullptr) {
    std::memcpy(static_cast<std::byte*>(tensor->data) + offset, data, size);
    return;
  }
  if (!weights.outcome) return;
  auto const* planned = weights.find(tensor);
  if (planned == nullptr || offset != 0 || size != planned->bytes) {
    weights.outcome =
        fail(Code::kInternal, fmt::format("no tensor '{}' was planned", tensor->name));
    return;
  }
  try {
    weights.outcome = weights.provide(*planned, {static_cast<std::byte*>(tensor->data), size});
  } catch (std::exception const& error) {
    weights.outcome = fail(Code::kResourceExhausted, error.what());
  }
}

void get(ggml_backend_buffer_t, ggml_tensor const* tensor, void* data, std::size_t offset,
         std::size_t size) {
  std::memcpy(data, static_cast<std::byte const*>(tensor->data) + offset, size);
}

void fill(ggml_backend_buffer_t, ggml_tensor* tensor, std::uint8_t value, std::size_t offset,
          std::size_t size) {
  std::memset(static_cast<std::byte*>(tensor->data) + offset, value, size);
}

void clear(ggml_backend_buffer_t buffer, std::uint8_t value) {
  auto const bytes = memory_of(buffer).bytes;
  std::memset(bytes.data(), value, bytes.size());
}

constexpr ggml_backend_buffer_i kBuffer = {.free_buffer = free_memory,
                                           .get_base = base_of,
                                           .init_tensor = place,
                                           .memset_tensor = fill,
                                           .set_tensor = set,
                                           .get_tensor = get,
                                           .set_tensor_2d = nullptr,
                                           .get_tensor_2d = nullptr,
                                           .cpy_tensor = nullptr,
                                           .clear = clear,
                                           .reset = nullptr};

/// Addresses for all tensors; those that stay in their files leave theirs unused, and what is not
/// used takes no memory.
ggml_backend_buffer_t allocate(ggml_backend_buffer_type_t type, std::size_t size) {
  std::size_t const length = std::max<std::size_t>(size, 1);
  void* const at = ::mmap(nullptr, length, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) return nullptr;
  auto weights = static_cast<PlacedWeights*>(type->context)->shared_from_this();
  return ggml_backend_buffer_init(
      type, kBuffer, new Memory{std::move(weights), {static_cast<std::byte*>(at), length}}, size);
}

constexpr ggml_backend_buffer_type_i kType = {
    .get_name = [](ggml_backend_buffer_type_t) { return "CPU_Safetensors"; },
    .alloc_buffer = allocate,
    .get_alignment = [](ggml_backend_buffer_type_t) { return kAlignment; },
    .get_max_size = nullptr,
    .get_alloc_size = nullptr,
    .is_host = [](ggml_backend_buffer_type_t) { return true; }};

bool only_the_processor_computes(llama_model_params const& params) {
  if (params.n_gpu_layers == 0) return true;
  if (params.devices != nullptr) {
    auto* device = params.devices;
    while (*device != nullptr && !is_gpu(*device)) ++device;
    return *device == nullptr;
  }
  return !has_gpu();
}

}  // namespace

bool WeightsInPlace::possible(llama_model_params const& params, loader::ModelPlan const& plan) {
  bool const may_map =
      params.load_mode == LLAMA_LOAD_MODE_AUTO || params.load_mode == LLAMA_LOAD_MODE_MMAP;
  bool const own_places =
      params.tensor_buft_overrides != nullptr && params.tensor_buft_overrides->pattern != nullptr;
  // The library packs quantised weights for its kernels on the way, and wants bytes for that.
  bool const packed = std::any_of(plan.tensors().begin(), plan.tensors().end(),
                                  [](auto const& tensor) { return tensor.pack != nullptr; });
  return may_map && !own_places && !packed && !params.vocab_only && !params.no_alloc &&
         !params.check_tensors && only_the_processor_computes(params);
}

WeightsInPlace::WeightsInPlace(std::shared_ptr<PlacedWeights> weights)
    : weights_(std::move(weights)) {}

Result<std::unique_ptr<WeightsInPlace>> WeightsInPlace::open(
    std::shared_ptr<loader::ModelPlan const> plan) {
  auto weights = std::make_shared<PlacedWeights>();
  weights->type = {.iface = kType, .device = nullptr, .context = weights.get()};
  weights->overrides = {{{".", &weights->type}, {nullptr, nullptr}}};
  for (auto const& tensor : plan->tensors()) {
    weights->planned.emplace(tensor.name, &tensor);
    for (auto const& source : tensor.sources) {
      if (weights->files.contains(source.file)) continue;
      ASSIGN_OR_RETURN(auto mapping, source.file->map());
      weights->files.emplace(source.file, std::move(mapping));
    }
  }
  weights->plan = std::move(plan);
  return std::unique_ptr<WeightsInPlace>(new WeightsInPlace(std::move(weights)));
}

WeightsInPlace::~WeightsInPlace() {
  weights_->planned.clear();
  weights_->plan.reset();
}

void WeightsInPlace::take_part(llama_model_params& params) {
  params.load_mode = LLAMA_LOAD_MODE_MMAP;
  params.tensor_buft_overrides = weights_->overrides.data();
}

Status const& WeightsInPlace::outcome() const { return weights_->outcome; }

}  // namespace homelab::engine_process
