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

namespace {

constexpr std::uint64_t kAlignment = 64;

std::uint64_t padded(std::uint64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

/// Zeroed memory of this process, which is taken when it is written.
class OwnMemory {
 public:
  OwnMemory() = default;
  OwnMemory(OwnMemory const&) = delete;
  OwnMemory& operator=(OwnMemory const&) = delete;
  ~OwnMemory() {
    if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
  }

  /// Once. False if there are not so many addresses.
  [[nodiscard]] bool reserve(std::size_t size) {
    std::size_t const length = std::max<std::size_t>(size, 1);
    void* const at = ::mmap(nullptr, length, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) return false;
    bytes_ = {static_cast<std::byte*>(at), length};
    return true;
  }
  /// For memory that is written from end to end: a fault for each 2 MiB instead of each 4 KiB.
  void prefer_huge_pages() { (void)::madvise(bytes_.data(), bytes_.size(), MADV_HUGEPAGE); }
  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }

 private:
  std::span<std::byte> bytes_;
};

struct Place {
  loader::PlannedTensor const* tensor = nullptr;
  std::byte* at = nullptr;
  loader::FileMapping const* file = nullptr;  ///< nullptr: in memory of our own
};

}  // namespace

/// Lives as long as a buffer of its type: the library keeps pointers to the type and into the
/// files.
struct PlacedWeights : std::enable_shared_from_this<PlacedWeights> {
  ggml_backend_buffer_type type{};
  std::array<llama_model_tensor_buft_override, 2> overrides{};  ///< every tensor; the end
  std::map<loader::SafetensorsFile const*, loader::FileMapping> files;
  OwnMemory made;  ///< tensors whose bytes are not those of a file

  // Only during the load. Afterwards the type is one like others: the library takes it for the
  // tensors of a LoRA adapter, too.
  std::shared_ptr<loader::ModelPlan const> plan;
  std::unordered_map<std::string_view, Place> places;
  Status outcome;

  [[nodiscard]] Status find_places();
  [[nodiscard]] Place const* place_of(ggml_tensor const* tensor) const {
    auto const found = places.find(tensor->name);
    if (found == places.end() || found->second.tensor->bytes != ggml_nbytes(tensor)) return nullptr;
    return &found->second;
  }
};

namespace {

/// Where the tensor lies in its file; no file if its bytes there are not those it must have, or lie
/// where its numbers cannot be read (the format itself does not align anything).
Place place_in_file(PlacedWeights const& weights, loader::PlannedTensor const& tensor) {
  if (!tensor.is_copy() || tensor.sources.size() != 1) return {&tensor};
  auto const& source = tensor.sources.front();
  std::uint64_t const offset = source.file->data_start() + source.info->offset;
  if (offset % loader::dtype_bytes(source.info->dtype) != 0) return {&tensor};
  auto const& file = weights.files.at(source.file);
  return {&tensor, file.bytes().data() + offset, &file};
}

/// Makes the bytes of a tensor, or only sees to it that they are in memory if they are used where
/// they are.
Status provide(Place const& place) {
  if (place.file == nullptr)
    return loader::ModelPlan::materialise(*place.tensor, {place.at, place.tensor->bytes});
  return place.file->read_ahead(static_cast<std::uint64_t>(place.at - place.file->bytes().data()),
                                place.tensor->bytes);
}

// What ggml calls. Its callers are not prepared for exceptions.

struct Memory {
  std::shared_ptr<PlacedWeights> weights;
  OwnMemory own;  ///< addresses for all tensors; those with another place leave theirs unused
};

Memory& memory_of(ggml_backend_buffer_t buffer) { return *static_cast<Memory*>(buffer->context); }

void free_memory(ggml_backend_buffer_t buffer) { delete &memory_of(buffer); }

void* base_of(ggml_backend_buffer_t buffer) { return memory_of(buffer).own.bytes().data(); }

ggml_status give_place(ggml_backend_buffer_t buffer, ggml_tensor* tensor) {
  if (auto const* place = memory_of(buffer).weights->place_of(tensor)) tensor->data = place->at;
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
  auto const* place = weights.place_of(tensor);
  if (place == nullptr || offset != 0 || size != place->tensor->bytes) {
    weights.outcome =
        fail(Code::kInternal, fmt::format("no tensor '{}' was planned", tensor->name));
    return;
  }
  try {
    weights.outcome = provide(*place);
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
  auto const bytes = memory_of(buffer).own.bytes();
  std::memset(bytes.data(), value, bytes.size());
}

constexpr ggml_backend_buffer_i kBuffer = {.free_buffer = free_memory,
                                           .get_base = base_of,
                                           .init_tensor = give_place,
                                           .memset_tensor = fill,
                                           .set_tensor = set,
                                           .get_tensor = get,
                                           .set_tensor_2d = nullptr,
                                           .get_tensor_2d = nullptr,
                                           .cpy_tensor = nullptr,
                                           .clear = clear,
                                           .reset = nullptr};

ggml_backend_buffer_t allocate(ggml_backend_buffer_type_t type, std::size_t size) {
  auto memory = std::make_unique<Memory>();
  memory->weights = static_cast<PlacedWeights*>(type->context)->shared_from_this();
  if (!memory->own.reserve(size)) return nullptr;
  return ggml_backend_buffer_init(type, kBuffer, memory.release(), size);
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

Status PlacedWeights::find_places() {
  std::uint64_t made_bytes = 0;
  for (auto const& tensor : plan->tensors()) {
    for (auto const& source : tensor.sources) {
      if (files.contains(source.file)) continue;
      ASSIGN_OR_RETURN(auto mapping, source.file->map());
      files.emplace(source.file, std::move(mapping));
    }
    auto const place = place_in_file(*this, tensor);
    places.emplace(tensor.name, place);
    if (place.file == nullptr) made_bytes += padded(tensor.bytes);
  }
  if (!made.reserve(made_bytes)) {
    return fail(Code::kResourceExhausted,
                fmt::format("no memory for {} bytes of changed weights", made_bytes));
  }
  made.prefer_huge_pages();
  std::byte* next = made.bytes().data();
  for (auto const& tensor : plan->tensors()) {
    auto& place = places.at(tensor.name);
    if (place.file != nullptr) continue;
    place.at = next;
    next += padded(tensor.bytes);
  }
  return {};
}

Result<std::unique_ptr<WeightsInPlace>> WeightsInPlace::open(
    std::shared_ptr<loader::ModelPlan const> plan) {
  auto weights = std::make_shared<PlacedWeights>();
  weights->type = {.iface = kType, .device = nullptr, .context = weights.get()};
  weights->overrides = {{{".", &weights->type}, {nullptr, nullptr}}};
  weights->plan = std::move(plan);
  RETURN_IF_ERROR(weights->find_places());
  return std::unique_ptr<WeightsInPlace>(new WeightsInPlace(std::move(weights)));
}

WeightsInPlace::~WeightsInPlace() {
  weights_->places.clear();
  weights_->plan.reset();
}

void WeightsInPlace::take_part(llama_model_params& params) {
  params.load_mode = LLAMA_LOAD_MODE_MMAP;
  params.tensor_buft_overrides = weights_->overrides.data();
}

Status const& WeightsInPlace::outcome() const { return weights_->outcome; }

}  // namespace homelab::engine_process
