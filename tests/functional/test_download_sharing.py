"""One copy and one download, whoever asks: several of our processes, and the real huggingface_hub beside them."""

import os
import subprocess
import sys

import pytest
from downloads import (REPO, check_complete, fetch_ok, finish, model_files, python_client, repo_folder, start_fetch)

SLOW = "model-00001-of-00002.safetensors"


@pytest.fixture
def repo(fault_hub):
    return fault_hub.add(REPO, model_files())


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "hub"


def python_snapshot(hub, folder, repo_id=REPO, **settings) -> subprocess.Popen:
    """The real client, downloading in a process of its own."""
    home = folder.parent / "python-home"
    code = f"import huggingface_hub as h; print(h.snapshot_download({repo_id!r}, cache_dir={str(folder)!r}))"
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "HF_HOME": str(home), "HF_ENDPOINT": hub.endpoint,
                   "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
                   **settings}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def succeeded(process) -> str:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out.strip()


def assert_one_get_per_file(hub, repo):
    # The Python client makes an empty file without asking for its content.
    files = [path for path, content in repo.files.items() if content]
    assert {path: len(hub.gets(path)) for path in files} == dict.fromkeys(files, 1)


def test_ten_processes_for_one_model_are_one_download(fault_hub, repo, folder):
    fault_hub.fault(SLOW, times=None, delay=0.02)
    answers = [finish(process) for process in [start_fetch(fault_hub, folder) for _ in range(10)]]
    assert all(code == 0 for code, _ in answers), answers
    assert_one_get_per_file(fault_hub, repo)
    assert sum(answer["downloaded_bytes"] for _, answer in answers) == sum(map(len, repo.files.values()))
    check_complete(folder, repo)


def test_the_others_take_over_when_the_one_that_downloads_is_killed(fault_hub, repo, folder):
    fault_hub.fault(SLOW, times=None, delay=0.02)
    processes = [start_fetch(fault_hub, folder) for _ in range(4)]
    while fault_hub.sent_bytes() < 3_500_000:
        pass
    # Kill those that hold a transfer: whoever they are, the rest must finish.
    for process in processes[:2]:
        process.kill()
        process.communicate(timeout=30)
    for process in processes[2:]:
        assert finish(process)[0] == 0
    check_complete(folder, repo)


def test_together_with_the_python_client_every_file_is_fetched_once(fault_hub, repo, folder):
    fault_hub.fault(SLOW, times=None, delay=0.05)
    # Python first, because it needs a second to start; we join while it downloads.
    python = python_snapshot(fault_hub, folder)
    while not fault_hub.gets():
        assert python.poll() is None, python.communicate()
    mine = start_fetch(fault_hub, folder)
    assert finish(mine)[0] == 0
    succeeded(python)
    assert_one_get_per_file(fault_hub, repo)
    check_complete(folder, repo)


def test_the_python_client_joins_our_download(fault_hub, repo, folder):
    fault_hub.fault(SLOW, times=None, delay=0.08)
    mine = start_fetch(fault_hub, folder)
    while not fault_hub.gets(SLOW):
        assert mine.poll() is None, mine.communicate()
    python = python_snapshot(fault_hub, folder)
    assert finish(mine)[0] == 0
    succeeded(python)
    assert_one_get_per_file(fault_hub, repo)
    check_complete(folder, repo)


def test_a_snapshot_written_by_python_is_used_without_a_request(fault_hub, repo, folder):
    succeeded(python_snapshot(fault_hub, folder))
    fault_hub.clear_log()
    answer = fetch_ok(fault_hub, folder)
    assert fault_hub.log == []
    assert answer["downloaded_bytes"] == 0
    assert answer["model_path"] == str(repo_folder(folder) / "snapshots" / repo.commit)


def test_files_fetched_one_by_one_by_python_are_a_model_when_they_suffice(fault_hub, repo, folder):
    """from_pretrained writes no listing: the files speak for themselves."""
    wanted = [path for path in repo.files if path != "README.md"]
    python_client(folder, f"""
import huggingface_hub as h
for path in {wanted!r}: h.hf_hub_download({REPO!r}, path, cache_dir=folder)
print(json.dumps({{}}))
""", HF_HUB_OFFLINE="0", HF_ENDPOINT=fault_hub.endpoint)
    fault_hub.clear_log()
    fetch_ok(fault_hub, folder)
    assert fault_hub.log == []


def test_a_snapshot_python_left_incomplete_is_completed_not_repeated(fault_hub, repo, folder):
    python_client(folder, f"""
import huggingface_hub as h
h.snapshot_download({REPO!r}, cache_dir=folder, allow_patterns=["*.json"])
print(json.dumps({{}}))
""", HF_HUB_OFFLINE="0", HF_ENDPOINT=fault_hub.endpoint)
    fetch_ok(fault_hub, folder)
    assert_one_get_per_file(fault_hub, repo)
    check_complete(folder, repo)


def test_python_needs_no_content_after_us(fault_hub, repo, folder):
    fetch_ok(fault_hub, folder)
    fault_hub.clear_log()
    succeeded(python_snapshot(fault_hub, folder))
    assert fault_hub.gets() == []


def test_two_models_with_the_same_file_do_not_disturb_each_other(fault_hub, repo, folder):
    other = fault_hub.add("org/other", dict(repo.files))
    processes = [start_fetch(fault_hub, folder), start_fetch(fault_hub, folder, "org/other")]
    assert all(finish(process)[0] == 0 for process in processes)
    check_complete(folder, repo)
    check_complete(folder, other)
