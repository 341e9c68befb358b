"""kill -9 at many points of a download: what is visible is right, and the next run continues where the last stopped."""

import random
import threading

import pytest
from downloads import REPO, check_complete, check_visible_is_right, fetch_ok, model_files, repo_folder, size_now, start_fetch
from fault_hub import random_bytes

BIG = "model-00001-of-00002.safetensors"
TOTAL = 6_000_000 + 300_000


@pytest.fixture
def repo(fault_hub):
    return fault_hub.add(REPO, model_files())


def kill_when(process, condition):
    """SIGKILL as soon as the condition is true; nothing if the process ends before."""
    while process.poll() is None and not condition():
        threading.Event().wait(0.001)
    process.kill()
    process.communicate(timeout=30)


def kept_bytes(folder) -> int:
    """On the disk in files that are fetched in parts. (Small ones are published in batches: all or nothing.)"""
    found = 0
    for file in (repo_folder(folder) / "blobs").glob("*"):
        if (size := size_now(file)) >= 1000:
            found += size
    return found


def assert_only_the_rest_is_fetched(answer, repo, kept):
    total = sum(map(len, repo.files.values()))
    assert total - kept - 1000 <= answer["downloaded_bytes"] <= total - kept


@pytest.mark.parametrize("at", [0, 0.1, 0.3, 0.5, 0.7, 0.9])
def test_after_kill_9_the_next_run_fetches_only_the_rest(fault_hub, repo, tmp_path, at):
    folder = tmp_path / "hub"
    slow = [fault_hub.fault(path, times=None, delay=0.01) for path in repo.files if path.endswith(".safetensors")]
    process = start_fetch(fault_hub, folder)
    kill_when(process, lambda: kept_bytes(folder) >= at * TOTAL)
    check_visible_is_right(folder, repo)
    kept = kept_bytes(folder)
    for fault in slow:
        fault.delay = 0
    answer = fetch_ok(fault_hub, folder)
    check_complete(folder, repo)
    assert_only_the_rest_is_fetched(answer, repo, kept)


def test_what_had_arrived_is_fetched_again_only_to_two_percent(fault_hub, tmp_path):
    """Bytes in memory at the kill are lost; that must be little against what had arrived."""
    folder = tmp_path / "hub"
    files = {"model.safetensors": random_bytes(200_000_000, 1), "config.json": b"{}", "tokenizer.json": b"[]"}
    repo = fault_hub.add(REPO, files)
    fault = fault_hub.fault("model.safetensors", times=None, delay=0.001)
    progress = tmp_path / "progress"
    with open(progress, "w") as output:
        process = start_fetch(fault_hub, folder, REPO, "--progress", stderr=output)
        kill_when(process, lambda: kept_bytes(folder) >= 120_000_000)
    # What the program itself had received, as it last said.
    arrived = int(progress.read_text().splitlines()[-1].split()[3])
    assert 0 < arrived < 200_000_000, "the kill came at the wrong time to show anything"
    fault.delay = 0
    fault_hub.clear_log()
    fetch_ok(fault_hub, folder)
    check_complete(folder, repo)
    (again,) = fault_hub.gets("model.safetensors")
    start = int(again.range.removeprefix("bytes=").rstrip("-"))
    assert arrived - start <= 0.02 * arrived


def test_ten_kills_in_a_row_at_random_moments_end_in_a_complete_snapshot(fault_hub, repo, tmp_path):
    folder = tmp_path / "hub"
    chance = random.Random(20)
    slow = [fault_hub.fault(path, times=None, delay=0.004) for path in repo.files if path.endswith(".safetensors")]
    for _ in range(10):
        process = start_fetch(fault_hub, folder)
        wanted = fault_hub.sent_bytes() + chance.randrange(TOTAL // 8)
        kill_when(process, lambda goal=wanted: fault_hub.sent_bytes() >= goal)
        check_visible_is_right(folder, repo)
    for fault in slow:
        fault.delay = 0
    fetch_ok(fault_hub, folder)
    check_complete(folder, repo)


def test_kills_at_random_moments_of_the_last_steps(fault_hub, tmp_path):
    """Small repository, so that most moments fall between commit, links, tree and ref."""
    chance = random.Random(21)
    repo = fault_hub.add(REPO, model_files(weight_bytes=300_000, small=20))
    for turn in range(25):
        folder = tmp_path / str(turn) / "hub"
        process = start_fetch(fault_hub, folder)
        timer = threading.Timer(chance.uniform(0.005, 0.08), process.kill)
        timer.start()
        process.communicate(timeout=60)
        timer.cancel()
        check_visible_is_right(folder, repo)
        ref = repo_folder(folder) / "refs" / "main"
        if ref.exists():
            check_complete(folder, repo)
        fetch_ok(fault_hub, folder)
        check_complete(folder, repo)


def test_a_partial_whose_content_was_damaged_meanwhile_is_noticed(fault_hub, repo, tmp_path):
    folder = tmp_path / "hub"
    fault_hub.fault(BIG, times=None, delay=0.01)
    partial = repo_folder(folder) / "blobs" / f"{repo.blob_name(BIG)}.homelab.part"
    process = start_fetch(fault_hub, folder)
    kill_when(process, lambda: size_now(partial) > 1_000_000)
    content = bytearray(partial.read_bytes())
    content[100] ^= 1
    partial.write_bytes(content)
    fault_hub.faults.clear()
    fetch_ok(fault_hub, folder)
    check_complete(folder, repo)


def test_an_interrupted_download_keeps_what_it_has(fault_hub, repo, tmp_path):
    """SIGTERM without a handler ends the process at once, like closing a terminal does."""
    folder = tmp_path / "hub"
    fault_hub.fault(BIG, times=None, delay=0.01)
    process = start_fetch(fault_hub, folder)
    while kept_bytes(folder) < TOTAL // 2:
        assert process.poll() is None, process.communicate()
        threading.Event().wait(0.002)
    process.terminate()
    process.communicate(timeout=30)
    fault_hub.faults.clear()
    kept = kept_bytes(folder)
    assert_only_the_rest_is_fetched(fetch_ok(fault_hub, folder), repo, kept)
    check_complete(folder, repo)


def test_a_slow_link_loses_no_more_than_a_moment(fault_hub, repo, tmp_path):
    """Half-filled buffers go to the disk after a short time, so a kill on a slow link costs little."""
    folder = tmp_path / "hub"
    fault_hub.fault(BIG, times=None, delay=0.6)  # 64 KiB in 0.6 s: a buffer of 256 KiB would need 2.4 s
    partial = repo_folder(folder) / "blobs" / f"{repo.blob_name(BIG)}.homelab.part"
    sizes = set()
    process = start_fetch(fault_hub, folder)
    kill_when(process, lambda: sizes.add(size_now(partial)) or len(sizes) > 2)
    assert max(sizes) < 256 << 10
