#include "local.h"

#include <algorithm>
#include <set>

#include "base/json.h"
#include "base/os/file.h"

namespace homelab::hub {
namespace {

using cache::SnapshotView;
using cache::Tree;
using cache::TreeFile;

constexpr std::size_t kIndexLimitBytes = 64ULL << 20;

/// Nothing else is known without a stored tree: the files that are there, as if they were the whole
/// commit.
Tree tree_of_view(SnapshotView const& view) {
  Tree tree;
  for (auto const& file : view.files)
    tree.files.push_back(TreeFile{file.path, file.size_bytes, {}, std::nullopt, std::nullopt});
  return tree;
}

bool is_weight(TreeFile const& file) {
  auto const extension = file.path.extension();
  return extension == "safetensors" || extension == "gguf";
}

bool has_file(SnapshotView const& view, TreeFile const& wanted) {
  auto const* found = view.find(wanted.path.text());
  return found && found->size_bytes == wanted.size_bytes;
}

bool has_tokenizer(SnapshotView const& view) {
  auto const has = [&](std::string_view name) { return view.find(name) != nullptr; };
  if (has("tokenizer.json") || has("tokenizer.model") || has("spiece.model") ||
      has("sentencepiece.bpe.model") || has("tekken.json") || has("vocab.txt"))
    return true;
  if (has("vocab.json") && has("merges.txt")) return true;
  return std::any_of(view.files.begin(), view.files.end(),
                     [](auto const& file) { return file.path.extension() == "tiktoken"; });
}

/// Every file the index names is there. An index that cannot be read proves nothing, so it counts
/// as incomplete.
bool has_indexed_files(SnapshotView const& view, std::string_view index_name) {
  auto const* index = view.find(index_name);
  if (!index) return true;
  auto const text = os::read_file(index->location, kIndexLimitBytes);
  if (!text) return false;
  auto const value = parse_json(*text);
  auto const* root = value ? value->if_object() : nullptr;
  auto const* map = root ? get_object(*root, "weight_map") : nullptr;
  if (!map) return false;
  return std::all_of(map->begin(), map->end(), [&](auto const& member) {
    auto const* name = member.value().if_string();
    return name && view.find(std::string_view(name->data(), name->size())) != nullptr;
  });
}

bool is_loadable(SnapshotView const& view, Plan const& plan) {
  bool const weights = std::all_of(plan.files.begin(), plan.files.end(), [&](TreeFile const& file) {
    return !is_weight(file) || has_file(view, file);
  });
  if (!weights || plan.format == ModelFormat::kGguf) return weights;
  bool const sharded = !plan.contains("model.safetensors");
  return view.find("config.json") != nullptr && has_tokenizer(view) &&
         (!sharded || has_indexed_files(view, "model.safetensors.index.json"));
}

/// With a tree the plan is what the commit has; planned side files that are there must have their
/// size even when the rest may be missing.
bool fulfils(SnapshotView const& view, Plan const& plan, bool has_tree, Completeness completeness) {
  if (has_tree && completeness == Completeness::kPlanned) return has_all_files(view, plan, false);
  return is_loadable(view, plan);
}

}  // namespace

bool has_all_files(SnapshotView const& view, Plan const& plan, bool with_courtesy_files) {
  return std::all_of(plan.files.begin(), plan.files.end(), [&](TreeFile const& file) {
    return has_file(view, file) || (!with_courtesy_files && is_courtesy_file(file.path));
  });
}

ReadySnapshot make_ready(cache::CommitHash const& commit, cache::Path const& folder,
                         Plan const& plan) {
  ReadySnapshot ready{commit, folder, folder, plan.format, plan.variant, plan.total_bytes(), 0};
  if (plan.gguf) ready.model_path = folder / plan.gguf->text();
  return ready;
}

Result<std::optional<ReadySnapshot>> find_local_commit(cache::Path const& hub_folder,
                                                       cache::ModelReference const& model,
                                                       cache::CommitHash const& commit,
                                                       Completeness completeness) {
  cache::RepoFolder const folder(hub_folder, model.repo);
  auto const view = folder.snapshot(commit);
  if (!view) {
    if (view.error().code == Code::kNotFound) return std::nullopt;
    return fail(view.error());
  }
  auto const stored = folder.read_tree(commit);
  // A damaged listing is no reason to refuse files that are there; the files are then judged by
  // themselves.
  bool const has_tree = stored && stored->has_value();
  auto const plan = plan_files(has_tree ? **stored : tree_of_view(*view), model.variant);
  if (!plan || !fulfils(*view, *plan, has_tree, completeness)) return std::nullopt;
  return make_ready(commit, view->folder, *plan);
}

Result<std::optional<ReadySnapshot>> find_local(cache::Path const& hub_folder,
                                                cache::ModelReference const& model,
                                                Completeness completeness) {
  auto const commit = cache::RepoFolder(hub_folder, model.repo).read_ref(model.revision);
  if (!commit) {
    // An empty or broken ref is a repairable state: the next download writes it anew.
    if (commit.error().code == Code::kNotFound || commit.error().code == Code::kDataLoss)
      return std::nullopt;
    return fail(commit.error());
  }
  return find_local_commit(hub_folder, model, *commit, completeness);
}

Result<std::optional<ReadySnapshot>> find_local(cache::Path const& hub_folder,
                                                cache::ModelReference const& model) {
  return find_local(hub_folder, model, Completeness::kPlanned);
}

}  // namespace homelab::hub
