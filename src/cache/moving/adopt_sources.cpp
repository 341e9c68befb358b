// What a folder that is to be adopted holds.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <system_error>

#include "base/json.h"
#include "base/os/file.h"
#include "base/strings.h"
#include "cache/adopt.h"
#include "folder_at.h"

namespace homelab::cache {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxFiles = 20'000;
constexpr int kMaxDepth = 16;
constexpr std::size_t kMaxManifestBytes = std::size_t{1} << 20;
constexpr std::size_t kMaxLayers = 4096;

bool ends_with_one_of(std::string_view name, std::span<std::string_view const> endings) {
  return std::ranges::any_of(endings, [&](auto ending) { return name.ends_with(ending); });
}

bool is_weights(std::string_view name) {
  return name.ends_with(".gguf") || name.ends_with(".safetensors");
}
bool is_pickle(std::string_view name) {
  static constexpr std::array<std::string_view, 7> kEndings{".bin",  ".pt",     ".pth", ".pkl",
                                                            ".ckpt", ".pickle", ".h5"};
  return ends_with_one_of(name, kEndings);
}
bool is_unfinished(std::string_view name) {
  static constexpr std::array<std::string_view, 8> kEndings{
      ".part", ".partial", ".incomplete", ".tmp", ".lock", ".aria2", ".crdownload", "~"};
  return ends_with_one_of(name, kEndings);
}

bool is_below(Path const& path, Path const& folder) {
  auto const [rest, ignored] =
      std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  return rest == folder.end();
}

/// Files of one model in a folder tree.
class FolderReader {
 public:
  FolderReader(Path const& folder, std::vector<std::string>& remarks)
      : top_(folder), remarks_(remarks) {}

  Result<std::vector<AdoptFile>> read() {
    RETURN_IF_ERROR(enter(top_, "", 0));
    std::ranges::sort(files_, {}, &AdoptFile::path);
    return std::move(files_);
  }

 private:
  Status enter(Path const& folder, std::string const& prefix, int depth) {
    if (depth > kMaxDepth)
      return fail(Code::kResourceExhausted, folder.string() + " is nested too deeply");
    std::error_code error;
    auto entries = fs::directory_iterator(folder, error);
    for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
      std::string const name = entries->path().filename().string();
      std::error_code ignored;
      if (name.starts_with('.')) continue;
      if (entries->is_directory(ignored) && !entries->is_symlink(ignored)) {
        RETURN_IF_ERROR(enter(entries->path(), prefix + name + "/", depth + 1));
      } else {
        RETURN_IF_ERROR(take(entries->path(), prefix + name));
      }
    }
    if (error) return fail_errno("read folder", folder.string(), error.value());
    return {};
  }

  Status take(Path const& file, std::string const& name) {
    std::error_code error;
    if (is_unfinished(name)) return pass_over(file, "is unfinished");
    if (is_pickle(name)) return pass_over(file, "is a pickle; those are never opened");
    Path const real = fs::canonical(file, error);
    if (error || !is_below(real, fs::canonical(top_, error)) || !fs::is_regular_file(real, error))
      return pass_over(file, "leads out of the folder or is no regular file");
    auto path = RepoPath::parse(name);
    if (!path) return pass_over(file, "has a name that no repository can have");
    if (files_.size() == kMaxFiles)
      return fail(Code::kResourceExhausted,
                  fmt::format("{} holds more than {} files", top_.string(), kMaxFiles));
    files_.push_back({real, *std::move(path)});
    return {};
  }

  Status pass_over(Path const& file, std::string_view why) {
    constexpr std::size_t kMaxRemarks = 100;
    if (remarks_.size() < kMaxRemarks)
      remarks_.push_back(fmt::format("{} {}; passed over", file.string(), why));
    return {};
  }

  Path top_;
  std::vector<std::string>& remarks_;
  std::vector<AdoptFile> files_;
};

bool has_weights(std::vector<AdoptFile> const& files) {
  return std::ranges::any_of(files,
                             [](AdoptFile const& file) { return is_weights(file.path.text()); });
}

std::vector<std::string> folders_in(Path const& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (auto it = fs::directory_iterator(folder, error);
       !error && it != fs::directory_iterator() && names.size() < kMaxFiles; it.increment(error)) {
    std::error_code ignored;
    if (it->is_directory(ignored) && !it->is_symlink(ignored))
      names.push_back(it->path().filename().string());
  }
  std::ranges::sort(names);
  return names;
}

/// Names of a folder's repository folders; links (a bridged root) are no source of their own.
std::vector<std::string> repos_in(Path const& folder) {
  auto names = folders_in(folder);
  std::erase_if(names, [](std::string const& name) {
    return !name.starts_with("models--") && !name.starts_with("datasets--") &&
           !name.starts_with("spaces--") && !name.starts_with("kernels--");
  });
  return names;
}

bool is_folder(Path const& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

/// The folder itself or one that is usually inside it.
template <class Test>
std::optional<Path> first_of(Path const& folder, std::initializer_list<std::string_view> inside,
                             Test const& test) {
  for (auto const name : inside) {
    Path place = name.empty() ? folder : folder / name;
    if (test(place)) return place;
  }
  return std::nullopt;
}

// Ollama.

bool is_ollama(Path const& folder) {
  return is_folder(folder / "manifests") && is_folder(folder / "blobs");
}

/// "library/llama3" of Ollama's own registry is ollama/llama3 here; models that it took from the
/// Hub keep their name.
Result<RepoId> ollama_repo(std::string const& host, std::string const& space,
                           std::string const& name) {
  bool const own = host == "registry.ollama.ai";
  if (!own && host != "hf.co" && host != "huggingface.co")
    return fail(Code::kInvalidArgument, host + " is not known");
  return RepoId::parse((own && space == "library" ? "ollama" : space) + "/" + name);
}

class OllamaReader {
 public:
  OllamaReader(Path folder, AdoptSource& out) : folder_(std::move(folder)), out_(out) {}

  void read() {
    Path const manifests = folder_ / "manifests";
    for (auto const& host : folders_in(manifests))
      for (auto const& space : folders_in(manifests / host))
        for (auto const& name : folders_in(manifests / host / space))
          read_tags(manifests / host / space / name, host, space, name);
    for (auto& [repo, files] : models_) out_.models.push_back({repo, std::move(files), false});
  }

 private:
  void read_tags(Path const& folder, std::string const& host, std::string const& space,
                 std::string const& name) {
    auto const repo = ollama_repo(host, space, name);
    if (!repo) return remark(folder, repo.error().message);
    std::error_code error;
    for (auto it = fs::directory_iterator(folder, error); !error && it != fs::directory_iterator();
         it.increment(error)) {
      std::string const tag = it->path().filename().string();
      if (auto const done = read_tag(it->path(), *repo, fmt::format("{}-{}", name, tag)); !done)
        remark(it->path(), done.error().message);
    }
  }

  Status read_tag(Path const& manifest, RepoId const& repo, std::string const& stem) {
    ASSIGN_OR_RETURN(auto const text, read_regular_file(manifest, kMaxManifestBytes));
    ASSIGN_OR_RETURN(auto const layers, parse_ollama_manifest(text));
    if (layers.empty()) return fail(Code::kUnimplemented, "it has no GGUF layer");
    std::size_t number = 0;
    for (auto const& layer : layers) {
      Path const blob = folder_ / "blobs" / ("sha256-" + layer.sha256);
      std::error_code error;
      if (!fs::is_regular_file(fs::symlink_status(blob, error)))
        return fail(Code::kNotFound, blob.string() + " is missing");
      std::string const more = number++ == 0 ? "" : fmt::format("-{}", number);
      ASSIGN_OR_RETURN(auto path,
                       RepoPath::parse(fmt::format("{}{}{}.gguf", layer.projector ? "mmproj-" : "",
                                                   stem, layer.projector ? "" : more)));
      auto& files = models_[repo];
      if (std::ranges::find(files, path, &AdoptFile::path) == files.end())
        files.push_back({blob, std::move(path)});
    }
    return {};
  }

  void remark(Path const& what, std::string const& why) {
    out_.remarks.push_back(fmt::format("{}: {}; passed over", what.string(), why));
  }

  Path folder_;
  AdoptSource& out_;
  std::map<RepoId, std::vector<AdoptFile>> models_;
};

// LM Studio: <folder>/ORG/NAME/*.gguf.

Status read_publishers(Path const& folder, AdoptSource& out) {
  for (auto const& organisation : folders_in(folder)) {
    for (auto const& name : folders_in(folder / organisation)) {
      auto repo = RepoId::parse(fmt::format("{}/{}", organisation, name));
      if (!repo) continue;
      ASSIGN_OR_RETURN(auto files, FolderReader(folder / organisation / name, out.remarks).read());
      if (has_weights(files)) out.models.push_back({*std::move(repo), std::move(files), true});
    }
  }
  return {};
}

Result<AdoptSource> loose(Path const& source, RepoId const& as) {
  AdoptSource out;
  if (is_folder(source)) {
    ASSIGN_OR_RETURN(auto files, FolderReader(source, out.remarks).read());
    if (!has_weights(files))
      return fail(Code::kInvalidArgument,
                  source.string() + " holds no .gguf and no .safetensors file");
    out.models.push_back({as, std::move(files), true});
    return out;
  }
  std::error_code error;
  Path const real = fs::canonical(source, error);
  if (error) return fail_errno("look at", source.string(), error.value());
  std::string const name = source.filename().string();
  if (!is_weights(name))
    return fail(Code::kInvalidArgument, source.string() + " is no .gguf or .safetensors file");
  ASSIGN_OR_RETURN(auto path, RepoPath::parse(name));
  out.models.push_back({as, {{real, std::move(path)}}, true});
  return out;
}

}  // namespace

std::string_view to_string(AdoptSource::Kind kind) {
  switch (kind) {
    case AdoptSource::Kind::kLoose:
      return "files";
    case AdoptSource::Kind::kHub:
      return "cache";
    case AdoptSource::Kind::kOllama:
      return "ollama";
    case AdoptSource::Kind::kLmStudio:
      break;
  }
  return "lmstudio";
}

Result<std::vector<OllamaLayer>> parse_ollama_manifest(std::string_view text) {
  constexpr std::string_view kModel = "application/vnd.ollama.image.model";
  constexpr std::string_view kProjector = "application/vnd.ollama.image.projector";
  constexpr std::string_view kDigest = "sha256:";
  auto const value = parse_json(text, 16);
  auto const* const object = value ? value->if_object() : nullptr;
  auto const* const layers = object != nullptr ? get_array(*object, "layers") : nullptr;
  if (layers == nullptr || layers->size() > kMaxLayers)
    return fail(Code::kDataLoss, "it is no manifest of Ollama");
  std::vector<OllamaLayer> out;
  for (auto const& entry : *layers) {
    auto const* const layer = entry.if_object();
    if (layer == nullptr) return fail(Code::kDataLoss, "it is no manifest of Ollama");
    auto const type = get_string(*layer, "mediaType");
    if (type != kModel && type != kProjector) continue;
    auto const digest = get_string(*layer, "digest").value_or("");
    auto const name =
        BlobName::parse(std::string_view(digest).substr(std::min(kDigest.size(), digest.size())));
    if (!digest.starts_with(kDigest) || !name || !name->is_sha256())
      return fail(Code::kDataLoss, "a layer's digest is no SHA-256");
    out.push_back({name->text(), type == kProjector});
  }
  return out;
}

Result<AdoptSource> recognise_source(Path const& source, std::optional<RepoId> const& as) {
  std::error_code error;
  if (!fs::exists(source, error)) return fail(Code::kNotFound, source.string() + " does not exist");
  if (as) return loose(source, *as);
  AdoptSource out;
  if (auto const hub =
          first_of(source, {"hub", ""}, [](Path const& at) { return !repos_in(at).empty(); })) {
    out.kind = AdoptSource::Kind::kHub;
    out.hub_folder = *hub;
    out.repos = repos_in(*hub);
    return out;
  }
  if (auto const store = first_of(source, {"", "models"}, is_ollama)) {
    out.kind = AdoptSource::Kind::kOllama;
    OllamaReader(*store, out).read();
    return out;
  }
  for (std::string_view const inside : {"models", ""}) {
    out.kind = AdoptSource::Kind::kLmStudio;
    if (is_folder(source / inside)) RETURN_IF_ERROR(read_publishers(source / inside, out));
    if (!out.models.empty()) return out;
  }
  return fail(Code::kInvalidArgument,
              fmt::format("{} is no cache, no store of Ollama and no models folder of LM Studio; "
                          "say what it is: --as ORG/NAME",
                          source.string()));
}

}  // namespace homelab::cache
