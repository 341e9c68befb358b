"""`cache dedup` with the real Python client as the judge: it must not notice, except that space is free."""

import json
import os
import shutil
import subprocess

import pytest
from downloads import repo_folder
from fault_hub import random_bytes
from huggingface_hub import scan_cache_dir, snapshot_download
from running import command, environment

WEIGHTS = random_bytes(3_000_000, 1)
REPOS = {"org/one": {"model.safetensors": WEIGHTS, "README.md": b"# One\n"},
         "org/two": {"sub/model.safetensors": WEIGHTS, "README.md": b"# Two\n"},
         "org/three": {"other.bin": random_bytes(1_000_000, 2)}}


@pytest.fixture
def cache(tmp_path, fault_hub):
    for name, files in REPOS.items():
        fault_hub.add(name, files)
        snapshot_download(name, cache_dir=tmp_path / "hf" / "hub", endpoint=fault_hub.endpoint)
    return tmp_path / "hf" / "hub"


def dedup(tmp_path, *words):
    env = environment(tmp_path / "home", PRIMARY_CACHE_PATH=tmp_path / "hf", SECONDARY_CACHE_PATH=tmp_path / "none")
    done = command(env, tmp_path, "cache", "dedup", *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def blocks(folder) -> int:
    return sum(int(subprocess.check_output(["du", "-s", "-c", "--block-size=1", *folder.glob("models--*")])
                   .split()[-2]) for folder in [folder])


def check_with_python(cache):
    """Everything is read offline, and the scanner has nothing to say."""
    scan = scan_cache_dir(cache)
    assert scan.warnings == []
    for name, files in REPOS.items():
        folder = snapshot_download(name, cache_dir=cache, local_files_only=True)
        for path, content in files.items():
            with open(os.path.join(folder, path), "rb") as file:
                assert file.read() == content
    return {repo.repo_id: repo.size_on_disk for repo in scan.repos}


def test_a_dry_run_and_the_run_free_what_they_say(tmp_path, cache):
    before = blocks(cache)
    sizes = check_with_python(cache)
    planned = dedup(tmp_path, "--dry-run")
    assert blocks(cache) == before
    done = dedup(tmp_path)
    assert planned["disk_bytes_before"] == done["disk_bytes_before"] == before
    assert planned["disk_bytes_after"] == done["disk_bytes_after"]
    assert done["freed_bytes"] >= len(WEIGHTS)
    if done["shared"][0]["how"] == "hard link":
        assert blocks(cache) == done["disk_bytes_after"]
    assert check_with_python(cache) == sizes
    assert dedup(tmp_path)["shared"] == []


def test_removing_one_repository_leaves_the_other_whole(tmp_path, cache):
    dedup(tmp_path)
    shutil.rmtree(repo_folder(cache, "org/one"))
    folder = snapshot_download("org/two", cache_dir=cache, local_files_only=True)
    with open(os.path.join(folder, "sub/model.safetensors"), "rb") as file:
        assert file.read() == WEIGHTS
    assert scan_cache_dir(cache).warnings == []
