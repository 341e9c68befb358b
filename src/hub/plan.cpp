#include "hub/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "base/strings.h"
#include "gguf_name.h"

namespace homelab::hub {
namespace {

using cache::RepoPath;
using cache::Tree;
using cache::TreeFile;

/// Texts and settings above this size are data sets or logs, not part of a model.
constexpr std::uint64_t kSideFileLimitBytes = 64ULL << 20;
constexpr std::uint64_t kCourtesyLimitBytes = 1ULL << 20;

bool in_root(RepoPath const& path) { return path.text().find('/') == std::string::npos; }

template <std::size_t N>
bool is_one_of(std::string_view value, std::array<std::string_view, N> const& list) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

/// Configuration, tokenizer and chat template files, by what from_pretrained of transformers reads.
bool is_side_file(TreeFile const& file) {
  static constexpr std::array<std::string_view, 6> kNames = {
      "merges.txt", "vocab.txt", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model",
      "vocab.bpe"};
  std::string const& path = file.path.text();
  if (file.size_bytes > kSideFileLimitBytes) return false;
  if (path.starts_with("additional_chat_templates/")) return path.ends_with(".jinja");
  if (!in_root(file.path)) return false;
  if (path.ends_with(".index.json")) return path.ends_with(".safetensors.index.json");
  return path.ends_with(".json") || path.ends_with(".jinja") || path.ends_with(".tiktoken") ||
         is_one_of(path, kNames);
}

bool is_taken_courtesy(TreeFile const& file) {
  return file.size_bytes <= kCourtesyLimitBytes && is_courtesy_file(file.path);
}

void sort_by_path(std::vector<TreeFile>& files) {
  std::sort(files.begin(), files.end(),
            [](TreeFile const& a, TreeFile const& b) { return a.path < b.path; });
}

/// A file that can be opened as one model: a single file or a set of shards.
struct Candidate {
  std::string quantisation;
  std::vector<TreeFile> parts;  ///< in order of the shards
  unsigned expected_parts = 1;
  [[nodiscard]] bool complete() const { return parts.size() == expected_parts; }
  [[nodiscard]] RepoPath const& first() const { return parts.front().path; }
};

std::vector<Candidate> candidates(Tree const& tree, std::string_view extension) {
  std::map<std::string, Candidate> sets;
  for (auto const& file : tree.files) {
    std::string const& path = file.path.text();
    if (!path.ends_with(fmt::format(".{}", extension))) continue;
    auto const shard = parse_shard_name(path, extension);
    std::string const stem =
        shard ? shard->stem : path.substr(0, path.size() - extension.size() - 1);
    // A set is named by its stem and its count: "model-…-of-00002" and "model-…-of-00004" may stand
    // side by side.
    auto& set = sets[shard ? fmt::format("{}\n{:05}", stem, shard->count) : stem];
    set.expected_parts = shard ? shard->count : 1;
    set.quantisation = quantisation_of(stem);
    set.parts.push_back(file);  // the tree is sorted, so shards come in order
  }
  std::vector<Candidate> out;
  for (auto& [stem, set] : sets) {
    sort_by_path(set.parts);
    out.push_back(std::move(set));
  }
  return out;
}

/// Projectors, importance matrices and draft heads lie beside models but are none.
bool is_gguf_model(Candidate const& candidate) {
  std::string const name = to_lower(candidate.first().file_name());
  return name.find("mmproj") == std::string::npos && name.find("imatrix") == std::string::npos;
}

std::vector<Candidate> gguf_candidates(Tree const& tree) {
  auto all = candidates(tree, "gguf");
  std::erase_if(all, [](Candidate const& c) { return !is_gguf_model(c); });
  return all;
}

/// What a person may write after ':' to mean this candidate.
std::string label(Candidate const& candidate) {
  return candidate.quantisation.empty() ? candidate.first().text() : candidate.quantisation;
}

std::string list_labels(std::vector<Candidate> const& all) {
  std::set<std::string> names;
  for (auto const& candidate : all) names.insert(label(candidate));
  std::string out;
  std::size_t shown = 0;
  for (auto const& name : names) {
    if (++shown > 30) return out + ", …";
    out += (out.empty() ? "" : ", ") + name;
  }
  return out;
}

bool is_named(Candidate const& candidate, std::string const& variant) {
  if (to_lower(candidate.quantisation) == variant) return true;
  // "Q4_K_XL" also means the only file "UD-Q4_K_XL".
  if (to_lower(candidate.quantisation) == "ud-" + variant) return true;
  return std::any_of(candidate.parts.begin(), candidate.parts.end(), [&](TreeFile const& part) {
    return to_lower(part.path.text()) == variant || to_lower(part.path.file_name()) == variant;
  });
}

/// Better first: an exact quantisation before its dynamic form, then files nearer to the root, then
/// by name.
bool is_better(Candidate const& a, Candidate const& b, std::string const& variant) {
  auto const key = [&](Candidate const& c) {
    auto const& path = c.first().text();
    return std::make_tuple(!c.complete(), to_lower(c.quantisation) != variant,
                           std::count(path.begin(), path.end(), '/'), path);
  };
  return key(a) < key(b);
}

Result<Candidate> choose_named(std::vector<Candidate> const& all, std::string const& variant) {
  std::string const wanted = to_lower(variant);
  std::vector<Candidate> named;
  for (auto const& candidate : all)
    if (is_named(candidate, wanted)) named.push_back(candidate);
  if (named.empty())
    return fail(Code::kNotFound, fmt::format("there is no '{}' in this repository; there is: {}",
                                             variant, list_labels(all)));
  return *std::min_element(named.begin(), named.end(), [&](Candidate const& a, Candidate const& b) {
    return is_better(a, b, wanted);
  });
}

Result<Candidate> choose_default(std::vector<Candidate> const& all) {
  auto const best =
      std::min_element(all.begin(), all.end(), [](Candidate const& a, Candidate const& b) {
        auto const rank = [](Candidate const& c) {
          return std::make_pair(!c.complete(), default_rank(c.quantisation));
        };
        return rank(a) != rank(b) ? rank(a) < rank(b) : is_better(a, b, "");
      });
  bool const known = default_rank(best->quantisation) != default_rank("");
  if (!known && all.size() > 1)
    return fail(Code::kNotFound,
                fmt::format("none of the files has a usual quantisation in its name; choose one "
                            "with org/name:FILE from: {}",
                            list_labels(all)));
  return *best;
}

Status check_complete(Candidate const& chosen) {
  if (chosen.complete()) return {};
  return fail(Code::kNotFound,
              fmt::format("'{}' should have {} parts, the repository has {}", chosen.first().text(),
                          chosen.expected_parts, chosen.parts.size()));
}

Result<Plan> plan_gguf(Tree const& tree, std::vector<Candidate> const& all,
                       std::string const& variant) {
  ASSIGN_OR_RETURN(Candidate chosen,
                   variant.empty() ? choose_default(all) : choose_named(all, variant));
  RETURN_IF_ERROR(check_complete(chosen));
  Plan plan;
  plan.format = ModelFormat::kGguf;
  plan.gguf = chosen.first();
  plan.variant = chosen.quantisation;
  plan.files = std::move(chosen.parts);
  for (auto const& file : tree.files)
    if (is_taken_courtesy(file)) plan.files.push_back(file);
  sort_by_path(plan.files);
  return plan;
}

/// The weights from_pretrained takes: model.safetensors, else the shards model-0000N-of-…, else the
/// only other set.
std::vector<Candidate> safetensors_candidates(Tree const& tree) {
  auto all = candidates(tree, "safetensors");
  std::erase_if(all, [](Candidate const& c) { return !in_root(c.first()); });
  return all;
}

Result<Candidate> choose_safetensors(std::vector<Candidate> const& all,
                                     std::string const& variant) {
  if (!variant.empty()) return choose_named(all, variant);
  auto const named = [&](auto const& test) { return std::find_if(all.begin(), all.end(), test); };
  auto found = named([](Candidate const& c) { return c.first().text() == "model.safetensors"; });
  if (found == all.end())
    found = named([](Candidate const& c) { return c.first().text().starts_with("model-0"); });
  if (found == all.end() && all.size() == 1) found = all.begin();
  if (found == all.end())
    return fail(Code::kNotFound,
                fmt::format("no model.safetensors and no model-00001-of-…; there is: {}",
                            list_labels(all)));
  return *found;
}

Result<Plan> plan_safetensors(Tree const& tree, std::vector<Candidate> const& all,
                              std::string const& variant) {
  ASSIGN_OR_RETURN(Candidate chosen, choose_safetensors(all, variant));
  RETURN_IF_ERROR(check_complete(chosen));
  Plan plan;
  plan.format = ModelFormat::kSafetensors;
  plan.variant = chosen.quantisation;
  plan.files = std::move(chosen.parts);
  for (auto const& file : tree.files)
    if (is_side_file(file) || is_taken_courtesy(file)) plan.files.push_back(file);
  sort_by_path(plan.files);
  return plan;
}

std::string what_else_there_is(Tree const& tree) {
  std::set<std::string> kinds;
  for (auto const& file : tree.files) {
    auto const extension = file.path.extension();
    if (!extension.empty() && kinds.size() < 20) kinds.insert("." + std::string(extension));
  }
  std::string out;
  for (auto const& kind : kinds) out += (out.empty() ? "" : ", ") + kind;
  return out.empty() ? "no files with an extension" : out;
}

}  // namespace

std::uint64_t Plan::total_bytes() const {
  std::uint64_t sum = 0;
  for (auto const& file : files) sum += file.size_bytes;
  return sum;
}

bool Plan::contains(std::string_view path) const {
  return std::any_of(files.begin(), files.end(),
                     [&](TreeFile const& file) { return file.path.text() == path; });
}

bool is_courtesy_file(RepoPath const& path) {
  static constexpr std::array<std::string_view, 6> kStarts = {"readme", "license", "licence",
                                                              "notice", "copying", "use_policy"};
  if (!in_root(path)) return false;
  std::string const name = to_lower(path.text());
  if (name == ".gitattributes") return true;
  if (name.ends_with(".json")) return false;
  return std::any_of(kStarts.begin(), kStarts.end(),
                     [&](std::string_view start) { return name.starts_with(start); });
}

bool is_pickle(RepoPath const& path) {
  static constexpr std::array<std::string_view, 9> kExtensions = {
      "bin", "pt", "pth", "pkl", "pickle", "ckpt", "joblib", "dill", "mar"};
  return is_one_of(to_lower(path.extension()), kExtensions);
}

Result<Plan> plan_files(Tree const& tree, std::string const& variant) {
  auto const safetensors = safetensors_candidates(tree);
  auto const gguf = gguf_candidates(tree);
  bool const has_config = tree.find("config.json") != nullptr;
  if (!variant.empty() && !gguf.empty()) {
    auto plan = plan_gguf(tree, gguf, variant);
    if (plan || safetensors.empty() || !to_lower(variant).ends_with(".safetensors")) return plan;
  }
  if (!safetensors.empty() && (has_config || gguf.empty())) {
    if (!has_config)
      return fail(Code::kNotFound,
                  "the repository has safetensors but no config.json, so the model cannot be "
                  "built from it");
    return plan_safetensors(tree, safetensors, variant);
  }
  if (!gguf.empty()) return plan_gguf(tree, gguf, variant);
  return fail(Code::kNotFound,
              fmt::format("the repository has neither GGUF nor safetensors files; there is: {}. "
                          "Pickle files (.bin, .pt) are never opened",
                          what_else_there_is(tree)));
}

Plan plan_everything(Tree const& tree, std::string const& variant) {
  auto model = plan_files(tree, variant);
  Plan plan = model ? std::move(*model) : Plan{};
  plan.files.clear();
  for (auto const& file : tree.files)
    if (!is_pickle(file.path)) plan.files.push_back(file);
  sort_by_path(plan.files);
  return plan;
}

}  // namespace homelab::hub
