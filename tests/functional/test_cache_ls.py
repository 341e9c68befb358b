"""`cache ls` and `cache du` beside the Python client and du, on a cache that the Python client wrote."""

import json
import os
import pathlib
import subprocess

import pytest
from downloads import repo_folder
from fault_hub import random_bytes
from huggingface_hub import scan_cache_dir, snapshot_download
from running import PROGRAM, Server, command, environment

FAKE_ENGINE = pathlib.Path(os.environ.get(
    "HOMELAB_LLM_FAKE_ENGINE", PROGRAM.parent.parent / "tests" / "support" / "fake_engine" / "fake_engine"))
REPOS = {"org/one": {"a.bin": random_bytes(70_000, 1), "sub/b.bin": random_bytes(5_000, 2), "empty.txt": b""},
         "org/two": {"a.bin": random_bytes(70_000, 1), "README.md": b"# Two\n"}}


@pytest.fixture
def cache(tmp_path, fault_hub, monkeypatch):
    """The hub folder of a location, filled by the Python client."""
    for name, files in REPOS.items():
        fault_hub.add(name, files)
        snapshot_download(name, cache_dir=tmp_path / "hf" / "hub", endpoint=fault_hub.endpoint)
    return tmp_path / "hf" / "hub"


def ours(tmp_path, *words, code=0, **settings):
    env = environment(tmp_path / "home", PRIMARY_CACHE_PATH=tmp_path / "hf", SECONDARY_CACHE_PATH=tmp_path / "none",
                      HOMELAB_LLM_PORT="1", **settings)
    done = command(env, tmp_path, *words, "--json")
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def test_the_list_says_what_the_python_client_says(tmp_path, cache):
    theirs = {repo.repo_id: repo for repo in scan_cache_dir(cache).repos}
    listed = {repo["repo"]: repo for repo in ours(tmp_path, "cache", "ls")}
    assert listed.keys() == theirs.keys() == REPOS.keys()
    for name, repo in listed.items():
        assert repo["size_bytes"] == theirs[name].size_on_disk
        assert pathlib.Path(repo["folder"]) == theirs[name].repo_path
        assert repo["refs"] == sorted(theirs[name].refs)
        assert [one["commit"] for one in repo["revisions"]] == [one.commit_hash for one in theirs[name].revisions]
        assert repo["problems"] == [] and repo["last_used"].endswith("Z")
        assert "registered_as" not in repo


def test_one_repository_shows_every_file_with_its_blob(tmp_path, cache):
    (repo,) = ours(tmp_path, "cache", "ls", "org/one")
    (revision,) = repo["revisions"]
    (theirs,) = [one for one in scan_cache_dir(cache).repos if one.repo_id == "org/one"]
    (their_revision,) = theirs.revisions
    expected = {str(file.file_path.relative_to(their_revision.snapshot_path)): (file.size_on_disk, file.blob_path.name)
                for file in their_revision.files}
    assert {file["path"]: (file["size_bytes"], file["blob"]) for file in revision["entries"]} == expected
    assert revision["size_bytes"] == their_revision.size_on_disk
    assert ours(tmp_path, "cache", "ls", "org/none", code=1)["error"]["code"] == "not_found"


def test_an_overwritten_blob_is_seen_at_once(tmp_path, cache):
    before = {repo["repo"]: repo["size_bytes"] for repo in ours(tmp_path, "cache", "ls")}
    (snapshot,) = (repo_folder(cache, "org/one") / "snapshots").iterdir()
    with open(snapshot / "a.bin", "ab") as file:
        file.write(b"more")
    after = {repo["repo"]: repo["size_bytes"] for repo in ours(tmp_path, "cache", "ls")}
    assert after == {**before, "org/one": before["org/one"] + 4}


def test_caches_in_custom_roots_are_looked_after_too(tmp_path, cache, fault_hub):
    for folder in ("nas", "usb"):
        snapshot_download("org/two", cache_dir=tmp_path / folder / "hub", endpoint=fault_hub.endpoint)
    custom = {"CUSTOM_CACHE_PATHS": f"{tmp_path / 'nas'}:{tmp_path / 'usb'}=0.00001"}
    listed = [(repo["repo"], repo["location"], pathlib.Path(repo["folder"]).parent.parent.name)
              for repo in ours(tmp_path, "cache", "ls", **custom)]
    assert sorted(listed) == [("org/one", "primary", "hf"), ("org/two", "custom", "nas"),
                              ("org/two", "custom", "usb"), ("org/two", "primary", "hf")]
    locations = {row["root"]: row for row in ours(tmp_path, "cache", "du", **custom)}
    assert list(locations) == [str(tmp_path / name) for name in ("hf", "none", "nas", "usb")]
    size = scan_cache_dir(tmp_path / "nas" / "hub").size_on_disk
    assert locations[str(tmp_path / "nas")]["content_bytes"] == size
    assert locations[str(tmp_path / "nas")]["limit_bytes"] == 0
    (finding,) = [one for one in ours(tmp_path, "doctor", HF_HUB_OFFLINE="1", **custom)["findings"]
                  if "limit is exceeded" in one["text"]]
    assert finding["mend"].endswith("in CUSTOM_CACHE_PATHS") and str(tmp_path / "usb") in finding["mend"]
    assert ours(tmp_path, "cache", "verify", **custom)["checked_files"] == 3 + 2 * 3  # one blob has two entries
    full = ours(tmp_path, "pull", "org/one", "--all", "--location", "custom", "--path", tmp_path / "usb", code=1,
                HF_ENDPOINT=fault_hub.endpoint, **custom)
    assert "its limit is" in full["error"]["message"]
    assert not repo_folder(tmp_path / "usb" / "hub", "org/one").exists()


def test_usage_is_that_of_du_and_of_the_python_client(tmp_path, cache):
    primary, secondary = ours(tmp_path, "cache", "du")
    repos = sum(int(subprocess.check_output(["du", "-s", "--block-size=1", folder]).split()[0])
                for folder in cache.glob("models--*"))
    assert primary["disk_bytes"] == repos
    assert primary["content_bytes"] == primary["used_bytes"] == scan_cache_dir(cache).size_on_disk
    assert primary["repositories"] == 2 and primary["revisions"] == 2
    assert {repo["repo"] for repo in primary["largest"]} == set(REPOS)
    assert secondary["repositories"] == 0 and secondary["hub_folders"] == []


def test_what_is_unfinished_or_unneeded_is_told_apart(tmp_path, cache):
    blobs = repo_folder(cache, "org/one") / "blobs"
    (blobs / f"{'1' * 64}.incomplete").write_bytes(bytes(10_000))
    (blobs / ("2" * 64)).write_bytes(bytes(20_000))
    (snapshot,) = (repo_folder(cache, "org/two") / "snapshots").iterdir()
    os.unlink(os.path.realpath(snapshot / "README.md"))
    primary = ours(tmp_path, "cache", "du")[0]
    assert primary["partials"]["files"] == 1 and primary["partials"]["disk_bytes"] >= 10_000
    assert primary["unneeded_blobs"]["files"] == 1 and primary["unneeded_blobs"]["disk_bytes"] >= 20_000
    (two,) = ours(tmp_path, "cache", "ls", "org/two")
    assert [file["state"] for file in two["revisions"][0]["entries"] if file["path"] == "README.md"] == ["missing"]
    assert "missing" in two["problems"][0]["what"]


def test_a_running_server_tells_which_models_use_a_repository(tmp_path, cache):
    env = environment(tmp_path / "home", PRIMARY_CACHE_PATH=tmp_path / "hf", SECONDARY_CACHE_PATH=tmp_path / "none",
                      DATABASE_PATH=tmp_path / "models.db", HF_HUB_OFFLINE="1", HOMELAB_LLM_ENGINE=FAKE_ENGINE)
    server = Server(tmp_path, env)
    try:
        env["HOMELAB_LLM_PORT"] = str(server.port)
        assert command(env, tmp_path, "register", "mine", "org/two").returncode == 0
        listed = json.loads(command(env, tmp_path, "cache", "ls", "--json").stdout)
        assert {repo["repo"]: repo["registered_as"] for repo in listed} == {"org/one": [], "org/two": ["mine"]}
        assert "mine" in command(env, tmp_path, "cache", "ls", "org/two").stdout
    finally:
        assert server.stop() == 0
