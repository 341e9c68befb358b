#include "parser.h"

#include <CLI/CLI.hpp>
#include <utility>

#include "../context.h"

namespace homelab::cli {

CacheParser::CacheParser(CLI::App& app)
    : cache_(app.add_subcommand("cache", "Look after the model files: list, check, clean, move")) {
  cache_->require_subcommand(1);
  cache_->fallthrough();
  add_looking();
  add_verify();
  add_removing();
  add_trash();
  add_moving();
  add_sharing();
  add_adopt();
  add_archives();
}

template <class Command>
CLI::App* CacheParser::add(std::string name, Command const& command, std::string about,
                           std::string const& examples) {
  auto* added = cache_->add_subcommand(std::move(name), std::move(about));
  added->footer(
      examples +
      "\n\nOptions of every command (--json, --host, --port, ...) are in: homelab-llm --help");
  added->callback([this, &command] { chosen_.chosen = command; });
  return added;
}

void CacheParser::add_looking() {
  auto* ls = add("ls", ls_, "List what is in the cache folders, whoever downloaded it",
                 "Examples:\n  homelab-llm cache ls\n  homelab-llm cache ls org/name");
  ls->add_option("repo", ls_.repo,
                 "Show revisions and files of this one (ORG/NAME or "
                 "TYPE/ORG/NAME)");
  add("du", du_, "Say where the space of the cache folders went",
      "Examples:\n  homelab-llm cache du\n  homelab-llm cache du --json");
}

void CacheParser::add_verify() {
  auto* verify = add(
      "verify", verify_,
      "Check every file against its hash, offline; --repair fetches bad ones again",
      "Examples:\n  homelab-llm cache verify\n"
      "  homelab-llm cache verify HuggingFaceTB/SmolLM2-135M-Instruct --repair\n"
      "A file that was good and was not touched since is not read again unless --all-again. A bad "
      "file is\nmoved out of the cache's way, so that no program gets it; programs then download "
      "it "
      "again.\nExit code 1 while something bad remains.");
  verify->add_option("REPO", verify_.repos,
                     "ORG/NAME, also datasets/ORG/NAME; without: everything");
  verify->add_option("--location", verify_.location, "Only this cache")
      ->check(CLI::IsMember({"primary", "secondary", "custom"}));
  verify->add_option("--path", verify_.path, "Root of a custom cache (implies --location custom)")
      ->type_name("FOLDER");
  verify->add_flag("--all-again", verify_.all_again, "Read also what was good before");
  auto* repair =
      verify->add_flag("--repair", verify_.repair, "Download bad and missing files again");
  verify->add_flag("--keep-bad", verify_.keep_wrong, "Keep the bad content when it was replaced")
      ->needs(repair);
  verify->add_flag("--dry-run", verify_.dry_run, "Only report; move nothing")->excludes(repair);
  verify
      ->add_option("--threads", verify_.threads, "Files read at the same time (1 for a hard disk)")
      ->check(CLI::Range(1, 256));
}

void CacheParser::add_removal_flags(CLI::App* command, RemovalFlags& flags) {
  command
      ->add_option("--location", flags.location, "Only this cache (default: all of the settings)")
      ->check(CLI::IsMember({"primary", "secondary", "custom"}));
  command->add_option("--path", flags.path, "Only the cache with this root")->type_name("FOLDER");
  command->add_flag("--dry-run", flags.dry_run, "Show what would go, change nothing");
  command->add_flag("--now", flags.now, "Delete at once instead of moving into the trash");
  command->add_flag("--force", flags.force,
                    "Also what a registered model or a running engine needs");
  command->add_flag("-y,--yes", flags.yes, "Do not ask");
}

void CacheParser::add_removing() {
  auto* rm = add("rm", rm_, "Remove repositories, revisions or single files from the cache",
                 "Examples:\n"
                 "  homelab-llm cache rm ORG/NAME\n"
                 "  homelab-llm cache rm ORG/NAME@v1.0 dataset/ORG/DATA --dry-run\n"
                 "  homelab-llm cache rm ORG/NAME:model.Q8_0.gguf\n"
                 "A file goes from every revision unless @REVISION is given. What other revisions "
                 "or repositories\nneed stays. Comes back with: homelab-llm cache undo");
  rm->add_option("TARGET", rm_.targets, "[model/|dataset/|space/]ORG/NAME[@REVISION][:FILE]")
      ->required();
  add_removal_flags(rm, rm_.flags);
  auto* gc =
      add("gc", gc_, "Remove what nobody needs: dead downloads, unreferenced blobs, empty shells",
          "Examples:\n  homelab-llm cache gc --dry-run\n  homelab-llm cache gc "
          "--older-than 2h --yes\nA running download is never touched. Own unfinished "
          "downloads resume, so they stay for 7 days.");
  gc->add_option("--older-than", gc_.older_than, "Only what is older, for example 30m, 24h, 7d")
      ->capture_default_str()
      ->type_name("TIME");
  gc->add_flag("--partials", gc_.partials, "Own unfinished downloads too, however young");
  add_removal_flags(gc, gc_.flags);
  auto* prune = add("prune", prune_, "Remove revisions that no branch or tag names",
                    "Examples:\n  homelab-llm cache prune --dry-run\n  homelab-llm cache prune "
                    "ORG/NAME --keep 2 --yes");
  prune->add_option("REPO", prune_.repos, "Only these repositories (default: all)");
  prune->add_option("--keep", prune_.keep, "Keep this many of the newest revisions of each")
      ->capture_default_str();
  add_removal_flags(prune, prune_.flags);
}

void CacheParser::add_trash() {
  auto* undo = add("undo", undo_, "Put back what was removed last, or the record ID",
                   "Examples:\n  homelab-llm cache undo\n  homelab-llm cache undo "
                   "20250102T101500.000000Z-0123abcd\nIDs: homelab-llm cache trash ls");
  undo->add_option("ID", undo_.id, "Which removal to take back");
  auto* trash =
      add("trash", trash_, "List or empty what was removed and can still come back",
          "Examples:\n  homelab-llm cache trash ls\n  homelab-llm cache trash empty --yes");
  trash->add_option("ACTION", trash_.action, "ls or empty")
      ->required()
      ->check(CLI::IsMember({"ls", "empty"}));
  trash->add_option("ID", trash_.id, "Only this record");
  trash->add_flag("-y,--yes", trash_.yes, "Do not ask");
}

void CacheParser::add_moving() {
  auto* mv =
      add("mv", mv_, "Move a repository into another cache, also on another disk",
          "Examples:\n  homelab-llm cache mv ORG/NAME --to secondary\n  homelab-llm cache mv "
          "ORG/NAME --path /mnt/big/hf --dry-run\nOne side is complete at every moment. "
          "Stopped in any way, the same command continues.");
  mv->add_option("REPO", mv_.repo, "[model/|dataset/|space/]ORG/NAME")->required();
  auto* to = mv->add_option("--to", mv_.to, "Target cache")
                 ->check(CLI::IsMember({"primary", "secondary"}));
  mv->add_option("--path", mv_.path, "Root of the target cache")->type_name("FOLDER")->excludes(to);
  mv->add_option("--from", mv_.from, "Source cache (default: where it is)")
      ->check(CLI::IsMember({"primary", "secondary"}));
  mv->add_flag("--dry-run", mv_.dry_run, "Show what would be done, change nothing");
  mv->add_flag("--force", mv_.force, "Also when a registered model would not find it any more");
  mv->add_flag("-y,--yes", mv_.yes, "Do not ask");
}

void CacheParser::add_sharing() {
  auto* dedup = add("dedup", dedup_, "Keep one copy of content that several repositories hold",
                    "Examples:\n  homelab-llm cache dedup --dry-run\n  homelab-llm cache dedup");
  dedup->add_flag("--dry-run", dedup_.dry_run, "Say what would be freed, change nothing");
  auto* bridge =
      add("bridge", bridge_, "Let scripts with cache_dir=ROOT share the files in ROOT/hub",
          "Examples:\n  homelab-llm cache bridge --dry-run\n"
          "  homelab-llm cache bridge --path /srv/hf\n"
          "ROOT/models--* are moved into ROOT/hub (twice stored files become one) and links take "
          "their place.\nRun it again after other programs downloaded something new. --undo takes "
          "the links away; the files stay in hub/.");
  bridge->add_option("--location", bridge_.root.location, "Whose root")
      ->check(CLI::IsMember({"primary", "secondary"}))
      ->capture_default_str();
  bridge->add_option("--path", bridge_.root.path, "The root, when it is no location")
      ->type_name("FOLDER");
  bridge->add_flag("--dry-run", bridge_.dry_run, "Only say what would be done");
  bridge->add_flag("--undo", bridge_.undo, "Take the links away again");
}

void CacheParser::add_adopt() {
  auto* adopt = add(
      "adopt", adopt_, "Take in model files that stand elsewhere on this machine, without a copy",
      "Examples:\n  homelab-llm cache adopt ~/Downloads/model.Q4_K_M.gguf --as ORG/NAME\n"
      "  homelab-llm cache adopt ~/.ollama ~/.lmstudio --dry-run\n"
      "SOURCE is a .gguf file or a folder of safetensors (with --as), a cache root with "
      "models--*, the\nfolder of Ollama or of LM Studio. Content is shared with the source "
      "(reflink or hard link).");
  adopt->add_option("SOURCE", adopt_.sources, "Files and folders")->required();
  adopt->add_option("--as", adopt_.as, "Name of a loose file or folder")->type_name("ORG/NAME");
  adopt->add_option("--location", adopt_.root.location, "Cache that takes them in")
      ->check(CLI::IsMember({"primary", "secondary"}))
      ->capture_default_str();
  adopt->add_option("--path", adopt_.root.path, "Root of the cache, when it is no location")
      ->type_name("FOLDER");
  adopt->add_flag("--move", adopt_.move, "Rename; the source loses the files");
  adopt->add_flag("--copy", adopt_.copy, "Copy what is on another file system");
  adopt->add_flag("--dry-run", adopt_.dry_run, "Only say what would be done");
}

void CacheParser::add_archives() {
  auto* out =
      add("export", export_, "Pack repositories into one tar, for machines without Internet",
          "Examples:\n  homelab-llm cache export ORG/NAME -o name.tar\n"
          "  homelab-llm cache export ORG/NAME@main dataset/ORG/DATA -o - | ssh box "
          "homelab-llm cache import -\n"
          "Every file is hashed on its way. The tar is not compressed: weights do not get "
          "smaller.");
  out->add_option("REPO", export_.repos, "[model/|dataset/|space/]ORG/NAME[@REVISION]")->required();
  out->add_option("-o,--output", export_.output, "The tar; - for standard output")
      ->type_name("FILE")
      ->required();
  out->add_option("--revision", export_.revision,
                  "Only this branch, tag or commit (default: every revision)");
  auto* location = out->add_option("--location", export_.location,
                                   "Only from this cache (default: primary and secondary)")
                       ->check(CLI::IsMember({"primary", "secondary"}));
  out->add_option("--path", export_.path, "Root of the cache, when it is no location")
      ->type_name("FOLDER")
      ->excludes(location);
  out->add_flag("--dry-run", export_.dry_run, "Only say what would be written");
  auto* in = add("import", import_, "Take in what cache export packed",
                 "Examples:\n  homelab-llm cache import name.tar\n"
                 "  zstd -dc name.tar.zst | homelab-llm cache import - --to secondary\n"
                 "Nothing is visible before the whole archive was read and every hash is right. "
                 "Stopped in any way, the same command continues.");
  in->add_option("FILE", import_.archive, "The tar; - for standard input")->required();
  auto* to = in->add_option("--to", import_.to, "Cache that takes it in")
                 ->check(CLI::IsMember({"primary", "secondary"}))
                 ->capture_default_str();
  in->add_option("--path", import_.path, "Root of the cache, when it is no location")
      ->type_name("FOLDER")
      ->excludes(to);
  in->add_flag("--force", import_.force, "Move branches and tags that stand elsewhere here");
  in->add_flag("--dry-run", import_.dry_run, "Only read the manifest and say what would be done");
}

Result<int> execute(Context const& context, CacheCommand const& command) {
  return std::visit([&](auto const& one) { return execute(context, one); }, command.chosen);
}

}  // namespace homelab::cli
