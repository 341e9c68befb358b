"""cache rm, gc, prune, undo and trash on a cache that the real huggingface_hub reads afterwards."""

import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest
from running import PROGRAM, Server, command, environment, until

# The judge runs in its own process: its settings are read at import.
JUDGE = """
import json, sys, warnings
from huggingface_hub import scan_cache_dir, snapshot_download
report = scan_cache_dir(sys.argv[1])
found = {}
for repo in report.repos:
    for revision in repo.revisions:
        folder = snapshot_download(repo.repo_id, repo_type=repo.repo_type, revision=revision.commit_hash,
                                   cache_dir=sys.argv[1], local_files_only=True)
        for file in revision.files:
            file.file_path.read_bytes()
        found[f"{repo.repo_id}@{revision.commit_hash}"] = sorted(str(file.file_name) for file in revision.files)
print(json.dumps({"warnings": [str(one) for one in report.warnings], "found": found}))
"""
FAKE_ENGINE = pathlib.Path(os.environ.get(
    "HOMELAB_LLM_FAKE_ENGINE", PROGRAM.parent.parent / "tests" / "support" / "fake_engine" / "fake_engine"))
CLOSED_PORT = "1"  # nobody listens on a privileged port of a test machine
A, B, C = ("a" * 40, "b" * 40, "c" * 40)


class Cache:
    """A hub folder filled as the Python client fills it."""

    def __init__(self, folder):
        self.folder = folder
        self.root = folder / "hf"
        self.hub = self.root / "hub"
        self.env = environment(folder / "home", PRIMARY_CACHE_PATH=self.root, SECONDARY_CACHE_PATH=folder / "second",
                               DATABASE_PATH=folder / "models.db", HOMELAB_LLM_ENGINE=FAKE_ENGINE,
                               HOMELAB_LLM_PORT=CLOSED_PORT, HF_ENDPOINT="http://127.0.0.1:9")
        (folder / "second").mkdir()

    def add(self, repo, commit, files, *refs, kind="models"):
        folder = self.hub / f"{kind}--{repo.replace('/', '--')}"
        for name, content in files.items():
            blob = folder / "blobs" / hashlib.sha256(content).hexdigest()
            blob.parent.mkdir(parents=True, exist_ok=True)
            blob.write_bytes(content)
            link = folder / "snapshots" / commit / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(os.path.relpath(blob, link.parent))
        for ref in refs:
            path = folder / "refs" / ref
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(commit)
        return folder

    def run(self, *words, code=0):
        done = command(self.env, self.folder, "cache", *words)
        assert done.returncode == code, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *words, code=0):
        return json.loads(self.run(*words, "--json", code=code).stdout)

    def judge(self):
        """What the Python client sees and can load offline, {repo@commit: [file]}; it must not warn."""
        env = {**self.env, "HF_HUB_OFFLINE": "1", "HF_HOME": str(self.root)}
        done = subprocess.run([sys.executable, "-c", JUDGE, self.hub], env=env, capture_output=True, text=True,
                              timeout=120)
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        assert answer["warnings"] == []
        return answer["found"]

    def state(self):
        """Every path of the hub folder outside .locks with its content."""
        out = {}
        for path in sorted(self.hub.rglob("*")):
            name = path.relative_to(self.hub).as_posix()
            if name.startswith(".locks"):
                continue
            out[name] = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        return out

    def used_bytes(self):
        """Blocks of the hub folder without .locks, each file once, as du counts."""
        seen = {}
        for path in [self.hub, *self.hub.rglob("*")]:
            if ".locks" not in path.relative_to(self.hub).parts:
                facts = path.lstat()
                seen[facts.st_ino] = facts.st_blocks * 512
        return sum(seen.values())


@pytest.fixture
def cache(tmp_path):
    cache = Cache(tmp_path)
    shared = os.urandom(5000)
    cache.add("org/name", A, {"config.json": b"{}", "model.safetensors": os.urandom(50_000), "shared": shared}, "v1")
    cache.add("org/name", B, {"config.json": b"{}", "model.safetensors": os.urandom(60_000), "shared": shared}, "main")
    cache.add("org/name", C, {"sub/dir/only.bin": os.urandom(70_000), "shared": shared})
    cache.add("org/other", A, {"config.json": b"{}"}, "main")
    cache.add("org/data", B, {"train.parquet": os.urandom(30_000)}, "main", kind="datasets")
    return cache


def test_a_revision_goes_exactly_and_undo_brings_back_every_byte(cache):
    before, used = cache.state(), cache.used_bytes()
    planned = cache.json("rm", "org/name@v1", "--dry-run")
    assert planned["dry_run"] and cache.state() == before, "a dry run changes nothing"
    done = cache.json("rm", "org/name@v1", "--yes")
    assert done["plans"] == planned["plans"]
    assert used - cache.used_bytes() == planned["frees_bytes"] == done["freed_bytes"]
    found = cache.judge()
    assert f"org/name@{A}" not in found and len(found[f"org/name@{B}"]) == 3
    back = cache.json("undo")
    assert back["id"] == done["trash"][0]
    assert cache.state() == before
    assert len(cache.judge()) == 5


@pytest.mark.parametrize("target", ["org/name", "org/name@" + C[:8], "org/name:shared", "org/name@v1:config.json",
                                    "dataset/org/data", "dataset/org/data@main"])
def test_whatever_goes_python_still_reads_the_rest_and_undo_is_exact(cache, target):
    before, listed = cache.state(), cache.judge()
    used = cache.used_bytes()
    done = cache.json("rm", target, "--yes")
    assert done["skipped"] == [] and done["removed"] > 0
    assert used - cache.used_bytes() == done["freed_bytes"]
    assert cache.judge() != listed
    cache.run("undo", done["trash"][0])
    assert cache.state() == before
    assert cache.judge() == listed


def test_several_targets_go_together(cache):
    done = cache.json("rm", "org/other", "org/name@v1", "dataset/org/data", "--yes", "--now")
    assert done["trash"] == [] and len(done["plans"]) == 3
    assert set(cache.judge()) == {f"org/name@{B}", f"org/name@{C}"}
    assert cache.json("trash", "ls") == []


def test_prune_takes_what_no_ref_names_and_keeps_n(cache):
    assert cache.json("prune", "--keep", "3", "--yes")["removed"] == 0
    assert cache.json("prune", "org/other", "--yes")["removed"] == 0
    done = cache.json("prune", "--yes")
    assert [item["path"] for item in done["plans"][0]["items"]][0] == f"models--org--name/snapshots/{C}"
    assert set(cache.judge()) == {f"org/name@{A}", f"org/name@{B}", f"org/other@{A}", f"org/data@{B}"}


def test_gc_takes_garbage_and_never_a_live_download(cache):
    blobs = cache.hub / "models--org--name" / "blobs"
    dead, live, orphan = blobs / ("1" * 64 + ".0123abcd.incomplete"), blobs / ("2" * 64 + ".homelab.part"), \
        blobs / ("3" * 64)
    for path in (dead, live, orphan):
        path.write_bytes(bytes(9000))
    shell = cache.hub / "models--org--shell" / "refs"
    shell.mkdir(parents=True)
    (shell / "main").write_text(A)
    assert cache.json("gc", "--yes")["removed"] == 0, "everything is too young"
    with open(live, "rb") as download:
        fcntl.flock(download, fcntl.LOCK_EX)
        done = cache.json("gc", "--older-than", "0", "--partials", "--yes")
    assert not dead.exists() and live.exists()
    assert orphan.exists(), "it may belong to the download that runs"
    assert not shell.parent.exists()
    done = cache.json("gc", "--older-than", "0", "--yes", "--now")
    assert live.exists() and not orphan.exists()
    assert done["freed_bytes"] == 12288
    cache.json("gc", "--older-than", "0", "--partials", "--yes", "--now")
    assert not live.exists()
    assert len(cache.judge()) == 5
    assert "--older-than" in cache.run("gc", "--older-than", "soon", code=2).stderr


def test_python_holding_the_lock_keeps_the_blob(cache):
    from filelock import FileLock

    blob = next(path.resolve() for path in (cache.hub / "models--org--name/snapshots" / C).rglob("only.bin"))
    lock = cache.hub / ".locks" / "models--org--name" / f"{blob.name}.lock"
    lock.parent.mkdir(parents=True)
    with FileLock(lock):
        done = cache.json("prune", "--yes", code=1)
    assert blob.exists() and "right now" in done["skipped"][0]["why"]
    cache.judge()
    assert cache.json("gc", "--older-than", "0", "--yes")["removed"] == 1
    assert not blob.exists()


def test_a_busy_blob_keeps_its_repository_readable_for_python(cache):
    from filelock import FileLock

    blob = (cache.hub / "models--org--name/snapshots" / B / "model.safetensors").resolve()
    lock = cache.hub / ".locks" / "models--org--name" / f"{blob.name}.lock"
    lock.parent.mkdir(parents=True)
    with FileLock(lock):
        done = cache.json("rm", "org/name", "--yes", code=1)
    assert blob.exists() and len(done["skipped"]) == 2, "the blob and the folder around it"
    assert set(cache.judge()) == {f"org/other@{A}", f"org/data@{B}"}
    cache.json("rm", "org/name", "--yes")
    assert not (cache.hub / "models--org--name").exists()
    cache.json("undo")
    cache.json("undo")
    assert len(cache.judge()) == 5


def test_gc_empties_what_was_in_the_trash_long_enough(cache):
    cache.json("rm", "org/other", "--yes")
    cache.env["HOMELAB_LLM_TRASH_HOURS"] = "0"
    assert cache.json("gc", "--dry-run")["removed"] == 0 and len(cache.json("trash", "ls")) == 1
    cache.json("gc", "--yes")
    assert cache.json("trash", "ls") == []


def test_a_bridged_root_is_one_place(cache):
    (cache.root / "models--org--name").symlink_to("hub/models--org--name")
    done = cache.json("rm", "org/name@v1", "--yes")
    assert len(done["plans"]) == 1 and done["skipped"] == []
    assert cache.json("mv", "org/name", "--to", "secondary", "--yes")["method"] == "rename"


def test_what_a_registered_model_needs_is_refused_unless_forced(cache):
    done = command(cache.env, cache.folder, "register", "smol", "org/name")
    assert done.returncode == 0, done.stderr
    before = cache.state()
    for target in ("org/name", "org/name@main", f"org/name@{B}", "org/name:config.json"):
        refused = cache.run("rm", target, "--yes", code=1)
        assert "registered as 'smol'" in refused.stderr and "--force" in refused.stderr
        assert cache.state() == before
    plan = cache.json("rm", "org/name@main", "--dry-run")["plans"][0]
    assert plan["items"] == [] and plan["refused"][0]["why"] == "registered as 'smol'"
    cache.run("rm", "org/name@v1", "--yes")
    cache.run("rm", "org/name@main", "--yes", "--force")
    assert f"org/name@{B}" not in cache.judge()


def test_a_running_server_is_asked(cache):
    server = Server(cache.folder, cache.env)
    try:
        cache.env["HOMELAB_LLM_PORT"] = str(server.port)
        status, _ = server.call("POST", "/api/models", {"model_name": "pinned", "hf_path": f"org/name@{C}"})
        assert status == 201
        kept = cache.json("prune", "--yes")
        assert kept["removed"] == 0 and kept["plans"][0]["kept"][0]["why"] == "registered as 'pinned'"
    finally:
        server.stop()


def test_nobody_to_ask_means_no(cache):
    before = cache.state()
    assert "--yes" in cache.run("rm", "org/name@v1", code=2).stderr
    assert cache.state() == before


def test_wrong_names_change_nothing(cache):
    before = cache.state()
    for target, code in (("org/none", 1), ("org/name@v9", 1), ("org/name:none", 1), ("../x", 2), ("a/b/c", 2)):
        assert cache.run("rm", target, "--yes", code=code).stderr.startswith("error: ")
    cache.run("rm", "org/name@v1", "org/none", "--yes", code=1)
    assert cache.state() == before, "all or nothing"


def test_undo_refuses_what_stands_there_again(cache):
    cache.run("rm", "org/other", "--yes")
    cache.add("org/other", A, {"config.json": b"{}"}, "main")
    assert "stands there again" in cache.run("undo", code=1).stderr
    assert cache.json("trash", "ls")[0]["restorable"]
    cache.run("trash", "empty", "--yes")
    assert "nothing is in the trash" in cache.run("undo", code=1).stderr


def test_the_trash_expires_and_can_be_switched_off(cache):
    cache.json("rm", "org/other", "--yes")
    record = next((cache.hub / ".locks/.homelab-llm/trash").iterdir())
    manifest = json.loads((record / "manifest.json").read_text())
    manifest["created_ns"] -= 25 * 3600 * 10**9
    (record / "manifest.json").write_text(json.dumps(manifest))
    cache.json("rm", "org/name@v1", "--yes")
    assert len(cache.json("trash", "ls")) == 1 and not record.exists()
    cache.env["HOMELAB_LLM_TRASH_HOURS"] = "0"
    assert cache.json("rm", "org/name@" + C, "--yes")["trash"] == []
    assert cache.json("trash", "ls") == []


def test_the_shared_store_keeps_what_another_repository_uses(cache):
    content = os.urandom(40_000)
    store = cache.hub / "blobs" / "dd" / ("d" * 64)
    store.parent.mkdir(parents=True)
    (cache.hub / "blobs" / ".huggingface-shared-blobs").write_text("1\n")
    store.write_bytes(content)
    etag = hashlib.sha256(content).hexdigest()
    for repo in ("one", "two"):
        folder = cache.hub / f"models--org--{repo}"
        (folder / "blobs").mkdir(parents=True)
        (folder / "blobs" / etag).symlink_to(f"../../blobs/dd/{'d' * 64}")
        (folder / "snapshots" / A).mkdir(parents=True)
        (folder / "snapshots" / A / "model.bin").symlink_to(f"../../blobs/{etag}")
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text(A)
        with open(f"{store}.refs", "a") as manifest:
            manifest.write(f"models--org--{repo}/blobs/{etag}\n")
    before = cache.state()
    cache.run("rm", "org/one", "--yes", "--now")
    assert f"org/two@{A}" in cache.judge() and store.exists()
    done = cache.json("rm", "org/two", "--yes")
    assert not store.exists() and done["freed_bytes"] >= 40_000
    cache.judge()
    cache.run("undo")
    assert f"org/two@{A}" in cache.judge() and store.read_bytes() == content
    assert set(before) - set(cache.state()) == {path for path in before if path.startswith("models--org--one")}


def test_a_link_out_of_the_cache_is_never_followed(cache):
    precious = cache.folder / "precious.bin"
    precious.write_bytes(b"precious")
    (cache.hub / "models--org--name/snapshots" / C / "out.bin").symlink_to(precious)
    cache.run("rm", "org/name:out.bin", "--yes", "--now")
    (cache.hub / "models--org--name/snapshots" / C / "out.bin").symlink_to(precious)
    cache.run("rm", "org/name", "--yes", "--now")
    assert precious.read_bytes() == b"precious"
    assert not (cache.hub / "models--org--name").exists()


# --- mv ----------------------------------------------------------------------------------------------------------------


def judge(cache, hub):
    here, cache.hub = cache.hub, hub
    try:
        return cache.judge()
    finally:
        cache.hub = here


@pytest.fixture
def elsewhere():
    """A cache root on another file system."""
    place = pathlib.Path(tempfile.mkdtemp(dir="/dev/shm"))
    yield place
    shutil.rmtree(place)


def test_mv_renames_on_one_file_system_and_python_finds_it_there(cache):
    before = {name: content for name, content in cache.state().items() if name.startswith("models--org--name")}
    plan = cache.json("mv", "org/name", "--to", "secondary", "--dry-run")
    assert plan["method"] == "rename" and (cache.hub / "models--org--name").exists()
    done = cache.json("mv", "org/name", "--to", "secondary", "--yes")
    assert done["method"] == "rename" and done["copied_bytes"] == 0
    second = cache.folder / "second" / "hub"
    assert set(judge(cache, second)) == {f"org/name@{A}", f"org/name@{B}", f"org/name@{C}"}
    assert not any("org--name" in name for name in cache.state())
    cache.hub = second
    assert {name: content for name, content in cache.state().items() if name.startswith("models--org--name")} == before


def test_mv_to_another_file_system_copies_checks_and_removes(cache, elsewhere):
    listed = cache.judge()
    used = cache.used_bytes()
    done = cache.json("mv", "org/name", "--path", elsewhere, "--yes")
    assert done["method"] == "copy" and done["copied_bytes"] == done["copy_bytes"] == done["total_bytes"]
    assert used - cache.used_bytes() == done["freed_bytes"]
    assert judge(cache, elsewhere / "hub") == {name: files for name, files in listed.items() if "org/name@" in name}
    assert "org/name@" + A not in cache.judge()
    again = cache.json("mv", "org/name", "--path", elsewhere, "--yes")
    assert again["method"] == "nothing"


def test_mv_killed_in_the_middle_continues(cache, elsewhere):
    big = {"model.bin": os.urandom(60_000_000)}
    cache.add("org/big", A, big, "main")
    words = [PROGRAM, "cache", "mv", "org/big", "--path", elsewhere, "--yes", "--json"]
    process = subprocess.Popen(words, cwd=cache.folder, env=cache.env, stdout=subprocess.PIPE)
    blobs = elsewhere / "hub" / "models--org--big" / "blobs"
    until(lambda: process.poll() is not None or any(blobs.glob("*.homelab.part")), what="the copy")
    process.kill()
    process.communicate()
    whole = (cache.hub / "models--org--big" / "snapshots" / A / "model.bin").exists()
    assert whole or (elsewhere / "hub" / "models--org--big" / "refs" / "main").exists()
    cache.run("mv", "org/big", "--path", elsewhere, "--yes")
    found = elsewhere / "hub" / "models--org--big" / "snapshots" / A / "model.bin"
    assert found.read_bytes() == big["model.bin"]
    assert list(blobs.glob("*.part")) == [] and not (cache.hub / "models--org--big").exists()


def test_mv_merges_into_what_is_there_without_copying(cache):
    second = cache.folder / "second" / "hub"
    here, cache.hub = cache.hub, second
    cache.add("org/name", "e" * 40, {"other.txt": b"other"}, "v9")
    cache.hub = here
    done = cache.json("mv", "org/name", "--to", "secondary", "--yes")
    assert done["method"] == "link" and done["copied_bytes"] == 0
    assert len(judge(cache, second)) == 4
    assert not (cache.hub / "models--org--name").exists()


def test_mv_refuses_when_both_sides_mean_different_commits(cache):
    second = cache.folder / "second" / "hub"
    here, cache.hub = cache.hub, second
    cache.add("org/name", "e" * 40, {"other.txt": b"other"}, "main")
    cache.hub = here
    before = cache.state()
    assert "at the target" in cache.run("mv", "org/name", "--to", "secondary", "--yes", code=1).stderr
    assert cache.state() == before


def test_mv_of_a_dataset_renames_it(cache):
    cache.run("mv", "dataset/org/data", "--to", "secondary", "--yes")
    assert set(judge(cache, cache.folder / "second" / "hub")) == {f"org/data@{B}"}


def test_mv_of_a_dataset_to_another_file_system_copies_it(cache, elsewhere):
    done = cache.json("mv", "dataset/org/data", "--path", elsewhere, "--yes")
    assert done["method"] == "copy" and done["copied_bytes"] == 30_000
    assert set(judge(cache, elsewhere / "hub")) == {f"org/data@{B}"}
    assert not (cache.hub / "datasets--org--data").exists()


def registered(cache, name):
    """(location, root, complete) as `explain` sees the row."""
    done = command(cache.env, cache.folder, "explain", name, "--json")
    assert done.returncode == 0, done.stderr
    rows = {row["model_name"]: row for row in json.loads(command(cache.env, cache.folder, "ls", "--json").stdout)}
    return rows[name]["cache_location"], rows[name]["cache_path"], json.loads(done.stdout)["complete"]


def test_mv_takes_the_registrations_along(cache):
    cache.add("org/tiny-GGUF", A, {"tiny.Q4_1.gguf": b"GGUF" + b"1" * 5000}, "main")
    for name, repo, *more in (("smol", "org/tiny-GGUF:Q4_1"), ("pinned", f"org/tiny-GGUF@{A}"), ("other", "org/other"),
                              ("there", "org/tiny-GGUF", "--location", "secondary")):
        done = command(cache.env, cache.folder, "register", name, repo, *more)
        assert done.returncode == 0, done.stderr
    primary, secondary = str(cache.root), str(cache.folder / "second")
    before = cache.state()
    words = ["mv", "org/tiny-GGUF", "--to", "secondary"]
    planned = cache.json(*words, "--dry-run")
    changes = [{"model": name, "from": {"location": "primary", "root": primary},
                "to": {"location": "secondary", "root": secondary}} for name in ("smol", "pinned")]
    assert planned["registrations"] == changes and cache.state() == before
    assert "registered as 'smol' in primary, then in secondary" in cache.run(*words, "--dry-run").stdout
    assert registered(cache, "smol") == ("primary", primary, True)
    assert cache.json(*words, "--yes")["registrations"] == changes
    assert not (cache.hub / "models--org--tiny-GGUF").exists()
    for name in ("smol", "pinned", "there"):
        assert registered(cache, name) == ("secondary", secondary, True)
    assert registered(cache, "other")[:2] == ("primary", primary)
    assert set(judge(cache, cache.folder / "second" / "hub")) == {f"org/tiny-GGUF@{A}"}
    assert cache.json(*words, "--yes") == {**planned, "method": "nothing", "dry_run": False, "total_bytes": 0,
                                           "from": planned["to"], "registrations": []}


def test_mv_takes_the_registrations_along_to_a_root_on_another_file_system(cache, elsewhere):
    cache.add("org/tiny-GGUF", A, {"tiny.Q4_1.gguf": b"GGUF" + b"1" * 5000}, "main")
    done = command(cache.env, cache.folder, "register", "smol", "org/tiny-GGUF:Q4_1")
    assert done.returncode == 0, done.stderr
    moved = cache.json("mv", "org/tiny-GGUF", "--path", elsewhere, "--yes")
    assert moved["method"] == "copy"
    assert moved["registrations"][0]["to"] == {"location": "custom", "root": str(elsewhere)}
    assert registered(cache, "smol") == ("custom", str(elsewhere), True)
    assert not (cache.hub / "models--org--tiny-GGUF").exists()
    back = cache.json("mv", "org/tiny-GGUF", "--to", "primary", "--yes", code=1)
    assert "in none of the cache folders" in back["error"]["message"], "a root that no setting names is not looked at"


def test_mv_asks_a_running_server_and_leaves_alone_what_is_loaded(cache):
    cache.add("org/tiny-GGUF", A, {"tiny.Q4_1.gguf": b"GGUF" + b"1" * 5000}, "main")
    server = Server(cache.folder, cache.env)
    try:
        cache.env["HOMELAB_LLM_PORT"] = str(server.port)
        server.register_and_load("smol", "org/tiny-GGUF:Q4_1")
        before = cache.state()
        words = ["mv", "org/tiny-GGUF", "--to", "secondary", "--yes"]
        assert "loaded as 'smol'" in cache.run(*words, code=1).stderr
        assert cache.state() == before
        assert server.call("POST", "/api/orchestrate/unload")[0] == 200
        assert cache.json(*words)["method"] == "link"
        status, models = server.call("GET", "/api/models")
        assert [model["cache_location"] for model in models] == ["secondary"]
        status, loaded = server.call("POST", "/api/orchestrate/load", {"model_name": "smol"})
        assert status == 200, f"nobody serves that endpoint, so nothing was downloaded: {loaded}"
    finally:
        server.stop()


def test_mv_mends_a_registration_that_was_left_behind(cache):
    done = command(cache.env, cache.folder, "register", "smol", "org/name")
    assert done.returncode == 0, done.stderr
    (cache.folder / "second" / "hub").mkdir()
    (cache.hub / "models--org--name").rename(cache.folder / "second" / "hub" / "models--org--name")
    mended = cache.json("mv", "org/name", "--to", "secondary", "--yes")
    assert mended["method"] == "nothing" and [row["model"] for row in mended["registrations"]] == ["smol"]
    assert registered(cache, "smol")[0] == "secondary"


def test_mv_refuses_what_a_path_is_registered_to(cache):
    file = next((cache.hub / "models--org--name" / "snapshots").rglob("config.json"))
    done = command(cache.env, cache.folder, "register", "smol", str(file.parent))
    assert done.returncode == 0, done.stderr
    before = cache.state()
    assert "registered as 'smol'" in cache.run("mv", "org/name", "--to", "secondary", "--yes", code=1).stderr
    assert cache.state() == before
    cache.run("mv", "org/name", "--to", "secondary", "--yes", "--force")


def test_mv_stays_away_from_a_running_download(cache):
    from filelock import FileLock

    lock = cache.hub / ".locks" / "models--org--name" / f"{'9' * 64}.lock"
    lock.parent.mkdir(parents=True)
    before = cache.state()
    with FileLock(lock):
        assert "downloaded right now" in cache.run("mv", "org/name", "--to", "secondary", "--yes", code=1).stderr
    assert cache.state() == before
    cache.run("mv", "org/name", "--to", "secondary", "--yes")


def test_mv_wrong_usage(cache):
    assert "--to" in cache.run("mv", "org/name", "--yes", code=2).stderr
    cache.run("mv", "org/name@main", "--to", "secondary", "--yes", code=2)
    cache.run("mv", "org/none", "--to", "secondary", "--yes", code=1)
