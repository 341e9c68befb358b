"""cache verify with the real program: damaged caches, repairs from a misbehaving Hub, and huggingface_hub as the judge."""

import hashlib
import json
import os
import pathlib
import subprocess
import time
import warnings

import huggingface_hub
import pytest
from downloads import check_complete, model_files, python_client, repo_folder
from running import PROGRAM, command
from test_cli import House

REPO = "org/model"


@pytest.fixture
def house(tmp_path, fault_hub):
    """A user's folder with one complete model in the primary cache; its Hub stays reachable."""
    house = House(tmp_path)
    house.hub = fault_hub
    house.env["HF_ENDPOINT"] = fault_hub.endpoint
    house.repo = fault_hub.add(REPO, model_files(weight_bytes=400_000, small=3))
    house.run("pull", REPO)
    house.folder_of_repo = repo_folder(house.cache / "hub")
    fault_hub.clear_log()
    return house


def blob(house, name="model-00001-of-00002.safetensors") -> pathlib.Path:
    return house.folder_of_repo / "blobs" / house.repo.blob_name(name)


def flip(path: pathlib.Path, at=0):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    with open(path, "r+b") as file:
        file.write(content)


def settle(path: pathlib.Path):
    """Files are remembered when their last change lies 0.1 s back."""
    while time.time() - path.stat().st_ctime < 0.15:
        pass


def findings(answer, *kinds):
    return [f for repo in answer["repos"] for f in repo["findings"] if not kinds or f["kind"] in kinds]


def python_sees_all(house):
    check_complete(house.cache / "hub", house.repo)


def test_a_good_cache_is_good_and_python_sees_the_same_as_before(house):
    answer = house.json("cache", "verify")
    assert (answer["bad"], answer["checked_files"]) == (0, len(house.repo.files))
    assert answer["checked_bytes"] == sum(map(len, house.repo.files.values()))
    assert findings(answer) == []
    assert "nothing bad found" in house.run("cache", "verify").stdout
    assert house.hub.log == [], "a check is offline"
    python_sees_all(house)


def test_an_empty_cache_is_good(tmp_path):
    assert House(tmp_path).json("cache", "verify")["repos"] == []


def test_a_flipped_byte_is_found_put_away_and_python_downloads_the_file_again(house):
    flip(blob(house), 200_000)
    answer = house.json("cache", "verify", code=1)
    (found,) = findings(answer)
    assert (found["kind"], found["bad"], found["repaired"]) == ("wrong_content", True, False)
    assert [entry["path"] for entry in found["entries"]] == ["model-00001-of-00002.safetensors"]
    assert pathlib.Path(found["quarantined"]).stat().st_size == blob_size(house)
    assert not blob(house).exists()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        code = f"""
import huggingface_hub
try:
    huggingface_hub.snapshot_download({REPO!r}, cache_dir=folder, local_files_only=True)
    print(json.dumps("complete"))
except Exception as error:
    print(json.dumps(type(error).__name__))
"""
        assert python_client(house.cache / "hub", code) == "IncompleteSnapshotError"
    code = f"""
import huggingface_hub
print(json.dumps(huggingface_hub.hf_hub_download({REPO!r}, "model-00001-of-00002.safetensors", cache_dir=folder)))
"""
    path = python_client(house.cache / "hub", code, HF_HUB_OFFLINE="0", HF_ENDPOINT=house.hub.endpoint)
    assert pathlib.Path(path).read_bytes() == house.repo.files["model-00001-of-00002.safetensors"]
    assert house.json("cache", "verify")["bad"] == 0
    python_sees_all(house)


def blob_size(house, name="model-00001-of-00002.safetensors"):
    return len(house.repo.files[name])


@pytest.mark.parametrize("harm", ["flip", "truncate", "grow", "empty", "delete"])
def test_repair_fetches_only_the_bad_file(house, harm):
    target = blob(house)
    {"flip": lambda: flip(target), "truncate": lambda: os.truncate(target, 1000),
     "grow": lambda: target.write_bytes(target.read_bytes() + b"x"), "empty": lambda: os.truncate(target, 0),
     "delete": target.unlink}[harm]()
    answer = house.json("cache", "verify", "--repair")
    (found,) = findings(answer)
    assert (found["repaired"], found["bad"], answer["bad"], answer["repaired"]) == (True, False, 0, 1)
    assert answer["downloaded_bytes"] == blob_size(house)
    assert [seen.path.rsplit("/", 1)[-1] for seen in house.hub.gets()] == ["model-00001-of-00002.safetensors"]
    assert not [p for p in (house.cache / "hub/.locks/.homelab-llm/quarantine").rglob("*") if p.is_file()]
    python_sees_all(house)


def test_a_small_file_with_a_git_name_is_repaired_too(house):
    flip(blob(house, "config.json"))
    answer = house.json("cache", "verify", "--repair")
    assert (answer["repaired"], answer["downloaded_bytes"]) == (1, len(house.repo.files["config.json"]))
    python_sees_all(house)


def test_a_repair_without_the_hub_keeps_the_bad_copy_and_a_later_one_finishes(house):
    flip(blob(house))
    done = house.run("cache", "verify", "--repair", code=1, HF_HUB_OFFLINE=1)
    assert "HF_HUB_OFFLINE" in done.stderr and "kept: " in done.stdout
    kept = [p for p in (house.cache / "hub/.locks/.homelab-llm/quarantine").rglob("*") if p.is_file()]
    assert len(kept) == 1 and kept[0].stat().st_size == blob_size(house)
    assert house.hub.log == []
    (found,) = findings(house.json("cache", "verify", code=1))
    assert found["kind"] == "dangling"
    answer = house.json("cache", "verify", "--repair")
    assert answer["bad"] == 0 and answer["freed_bytes"] >= blob_size(house)
    assert not kept[0].exists(), "the good content is there, the bad one is not needed any more"
    python_sees_all(house)


def test_keep_bad_keeps_what_was_replaced(house):
    flip(blob(house))
    (found,) = findings(house.json("cache", "verify", "--repair", "--keep-bad"))
    assert pathlib.Path(found["quarantined"]).exists()
    python_sees_all(house)


def test_a_hub_that_sends_wrong_bytes_repairs_nothing(house):
    flip(blob(house))
    house.hub.fault("model-00001-of-00002.safetensors", times=None, flip=5)
    answer = house.json("cache", "verify", "--repair", code=1)
    assert answer["bad"] == 1 and not blob(house).exists()
    assert pathlib.Path(findings(answer)[0]["quarantined"]).exists()


def test_dry_run_moves_nothing(house):
    flip(blob(house))
    before = blob(house).read_bytes()
    (found,) = findings(house.json("cache", "verify", "--dry-run", code=1))
    assert found["quarantined"] is None
    assert blob(house).read_bytes() == before


def test_a_write_through_the_link_after_the_check_is_noticed(house):
    settle(blob(house))
    house.json("cache", "verify")
    assert house.json("cache", "verify")["checked_files"] == 0
    link = house.folder_of_repo / "snapshots" / house.repo.commit / "model-00001-of-00002.safetensors"
    before = link.stat()
    link.write_bytes(os.urandom(blob_size(house)))
    os.utime(link, ns=(before.st_atime_ns, before.st_mtime_ns))
    (found,) = findings(house.json("cache", "verify", code=1))
    assert found["kind"] == "wrong_content"


def test_all_again_reads_what_was_good(house):
    settle(blob(house))
    house.json("cache", "verify")
    assert house.json("cache", "verify", "--all-again")["checked_files"] == len(house.repo.files)


def test_damage_behind_the_file_systems_back_is_found_with_all_again(house):
    """A disk that forgets changes no time stamp; here the record is made to say that nothing changed."""
    settle(blob(house))
    house.json("cache", "verify")
    record = house.cache / "hub/.locks/.homelab-llm/verified" / house.folder_of_repo.name
    flip(blob(house))
    stat = blob(house).stat()
    lines = record.read_text().splitlines()[:-1]
    for i, line in enumerate(lines):
        words = line.split(" ")
        if words[-1].endswith(blob(house).name):
            words[3:5] = str(stat.st_mtime_ns), str(stat.st_ctime_ns)
            lines[i] = " ".join(words)
    body = "".join(line + "\n" for line in lines)
    record.write_text(f"{body}end {hashlib.sha256(body.encode()).hexdigest()}\n")
    assert house.json("cache", "verify")["bad"] == 0
    assert house.json("cache", "verify", "--all-again", code=1)["bad"] == 1


def test_only_the_named_repository_is_checked(house):
    house.hub.add("org/second", model_files(weight_bytes=1000, small=0))
    house.run("pull", "org/second")
    flip(blob(house))
    answer = house.json("cache", "verify", "org/second")
    assert [repo["repo"] for repo in answer["repos"]] == ["org/second"]
    assert [repo["repo"] for repo in house.json("cache", "verify", code=1)["repos"]] == [REPO, "org/second"]
    assert "org/absent" in house.run("cache", "verify", "org/absent", code=1).stderr


def test_a_dataset_of_the_python_client_is_checked(house):
    name = "9" * 64
    folder = house.cache / "hub" / "datasets--org--data" / "blobs"
    folder.mkdir(parents=True)
    (folder / name).write_bytes(b"not this")
    (found,) = findings(house.json("cache", "verify", "datasets/org/data"))
    assert found["kind"] == "wrong_content" and found["bad"] is False and found["quarantined"]


def test_custom_locations_can_be_named(house, tmp_path):
    flip(blob(house))
    assert house.json("cache", "verify", "--path", tmp_path / "empty")["repos"] == []
    assert house.json("cache", "verify", "--path", house.cache, "--dry-run", code=1)["bad"] == 1
    assert house.json("cache", "verify", "--location", "secondary")["repos"] == []
    house.run("cache", "verify", "--location", "custom", code=2)


def test_two_checks_at_once_agree(house):
    for name in ("config.json", "tokenizer.json", "model-00002-of-00002.safetensors"):
        flip(blob(house, name))
    both = [subprocess.Popen([PROGRAM, "cache", "verify", "--json"], env=house.env, cwd=house.folder,
                             stdout=subprocess.PIPE) for _ in range(2)]
    answers = [json.loads(process.communicate(timeout=60)[0]) for process in both]
    assert [process.returncode for process in both] == [1, 1]
    moved = [f["quarantined"] for answer in answers for f in findings(answer) if f["quarantined"]]
    assert len(moved) == len(set(moved)) == 3
    assert house.json("cache", "verify", "--repair")["bad"] == 0
    python_sees_all(house)


def test_a_damaged_or_wrong_listing_is_told_and_written_anew(house):
    listing = house.folder_of_repo / "trees" / f"{house.repo.commit}.json"
    good = listing.read_text()
    for bad in ("{", good.replace(f'"size": {len(house.repo.files["config.json"])}', '"size": 999999')):
        listing.write_text(bad)
        (found,) = findings(house.json("cache", "verify", code=1))
        assert found["kind"] == "bad_listing"
        assert house.json("cache", "verify", "--repair")["bad"] == 0
        assert listing.read_text() == good
    python_sees_all(house)


def test_foreign_names_and_partials_do_no_harm(house):
    blobs = house.folder_of_repo / "blobs"
    (blobs / "d41d8cd98f00b204e9800998ecf8427e-12").write_bytes(b"multipart")
    (blobs / (("a" * 64) + ".12345678.incomplete")).write_bytes(b"half")
    os.mkfifo(blobs / ("b" * 64))
    (blobs / ("c" * 64)).symlink_to("/etc/hostname")
    answer = house.json("cache", "verify")
    assert answer["bad"] == 0
    assert "uncheckable" in {f["kind"] for f in findings(answer)}
    assert (blobs / ("c" * 64)).is_symlink() and pathlib.Path("/etc/hostname").exists()


def test_a_check_can_be_stopped_and_goes_on(house):
    big = house.folder_of_repo / "blobs" / ("d" * 64)
    with open(big, "wb") as file:
        file.truncate(40 << 30)  # sparse: minutes of hashing
    settle(blob(house))
    process = subprocess.Popen([PROGRAM, "cache", "verify", "--json", "--threads", "2"], env=house.env,
                               cwd=house.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if "Checking" in line:
            break
    process.terminate()
    out, _ = process.communicate(timeout=30)
    answer = json.loads(out)
    assert process.returncode == 1 and answer["cancelled"] is True
    big.unlink()
    assert house.json("cache", "verify")["bad"] == 0


def test_scan_has_no_warnings_afterwards(house):
    flip(blob(house))
    house.json("cache", "verify", "--repair")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        info = huggingface_hub.scan_cache_dir(house.cache / "hub")
    assert not info.warnings
    assert command(house.env, house.folder, "cache", "ls").returncode == 0
