"""update with the real program: look, download beside, switch, roll back; and what a plain load does when the Hub moved."""

import hashlib
import json
import subprocess
import warnings

import httpx
import pytest
from downloads import model_files, python_client, repo_folder
from fault_hub import random_bytes
from running import PROGRAM, Server
from test_cli import House

REPO = "org/tiny-GGUF"
GGUF = "tiny.Q4_1.gguf"
OTHER = "tiny.Q8_0.gguf"


def gguf(seed, size=700_000):
    return b"GGUF" + random_bytes(size, seed)


@pytest.fixture
def house(tmp_path, fault_hub):
    """A registered and downloaded model."""
    house = House(tmp_path)
    house.hub = fault_hub
    house.env["HF_ENDPOINT"] = fault_hub.endpoint
    house.repo = fault_hub.add(REPO, {GGUF: gguf(1), OTHER: gguf(8), "README.md": b"# Tiny\n"})
    house.old = house.repo.commit
    house.run("register", "tiny", f"{REPO}:Q4_1")
    house.run("pull", f"{REPO}:Q4_1")
    house.path = repo_folder(house.cache / "hub", REPO)
    fault_hub.clear_log()
    return house


@pytest.fixture
def served(house):
    house.server = Server(house.folder, house.env)
    house.env["HOMELAB_LLM_PORT"] = str(house.server.port)
    yield house
    assert house.server.stop() == 0, house.server.log.read_text()


def move_hub(house, name="second", **files):
    """The Hub gets a new commit in which only some files differ."""
    house.repo.files = {**house.repo.files, GGUF: gguf(2), **files}
    house.repo.commit = hashlib.sha1(name.encode()).hexdigest()
    return house.repo.commit


def ref(house):
    return (house.path / "refs" / "main").read_text()


def one(answer):
    assert len(answer) == 1
    return answer[0]


def python_file(house, name=GGUF):
    """What huggingface_hub gives offline for main, and that its scanner is content."""
    code = f"""
import huggingface_hub, hashlib, warnings
warnings.simplefilter("error")
path = huggingface_hub.hf_hub_download({REPO!r}, {name!r}, cache_dir=folder)
seen = huggingface_hub.scan_cache_dir(folder)
print(json.dumps([open(path, "rb").read(8).hex(), hashlib.sha256(open(path, "rb").read()).hexdigest(),
                  [str(w) for w in seen.warnings]]))
"""
    _, digest, scan_warnings = python_client(house.cache / "hub", code)
    assert scan_warnings == []
    return digest


def digest(content):
    return hashlib.sha256(content).hexdigest()


def test_check_tells_what_would_come_and_changes_nothing(house):
    row = one(house.json("update", "--check"))
    assert (row["state"], row["update_available"], row["local_commit"]) == ("current", False, house.old)
    new = move_hub(house)
    row = one(house.json("update", "tiny", "--check"))
    assert (row["state"], row["local_commit"], row["target_commit"]) == ("available", house.old, new)
    assert (row["files_to_download"], row["bytes_to_download"]) == (1, len(gguf(2)))
    assert row["total_bytes"] == len(gguf(2)) + len(b"# Tiny\n")
    assert house.hub.gets() == [] and ref(house) == house.old
    assert "update available" in house.run("update", "--dry-run").stdout
    assert ref(house) == house.old


def test_the_server_checks_and_remembers_the_answer(served):
    url = f"http://127.0.0.1:{served.server.port}/api/models/tiny/updates"
    answer = httpx.get(url, trust_env=False)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"model_name": "tiny", "update_available": False, "local_commit": served.old,
                             "remote_commit": served.old, "remote_version": "main",
                             "last_modified": answer.json()["last_modified"],
                             "checked_at": answer.json()["checked_at"]}
    new = move_hub(served)
    answer = httpx.get(url, trust_env=False).json()
    assert (answer["update_available"], answer["local_commit"], answer["remote_commit"]) == (True, served.old, new)
    row = served.json("show", "tiny")
    assert row["update_available"] and row["last_update_check"] == answer["checked_at"]
    assert row["current_commit"] == served.old, "the commit of the files, as nothing was known before"
    del served.hub.repos[REPO]
    gone = httpx.get(url, trust_env=False)
    assert gone.status_code == 500 and REPO in gone.json()["detail"]
    assert served.json("show", "tiny")["last_update_check"] == answer["checked_at"], "the row is not touched"
    assert httpx.get(url.replace("tiny", "nobody"), trust_env=False).status_code == 404


@pytest.mark.parametrize("server", [False, True], ids=["alone", "served"])
def test_the_command_remembers_the_answer_too(house, server):
    house.run("register", "large", f"{REPO}:Q8_0")
    running = Server(house.folder, house.env) if server else None
    if running:
        house.env["HOMELAB_LLM_PORT"] = str(running.port)
    try:
        house.json("update", "--check")
        row = house.json("show", "tiny")
        assert not row["update_available"] and row["last_update_check"] and row["current_commit"] == house.old
        move_hub(house)
        house.json("update", "--dry-run")
        house.json("update", "tiny", "--check", "--to", "v1")
        assert house.json("show", "tiny") == row, "a dry run changes nothing, another revision says nothing"
        house.json("update", "tiny", "--check")
        for name in ("tiny", "large"):
            assert house.json("show", name)["update_available"], "both names of one ref"
        checked = house.json("show", "tiny")["last_update_check"]
        assert checked > row["last_update_check"]
        house.run("update", "--check", code=1, HF_HUB_OFFLINE=1)
        assert house.json("show", "tiny")["last_update_check"] == checked, "nobody answered, the row is not touched"
        house.json("update", "tiny")
        assert not house.json("show", "tiny")["update_available"]
        if running:
            assert one(house.json("update", "--check"))["state"] == "current"
    finally:
        if running:
            assert running.stop() == 0


def test_without_a_hub_one_line_says_so(house):
    for number in range(3):
        house.run("register", f"more{number}", f"org/more{number}")
    done = house.run("update", "--check", code=1, HF_ENDPOINT="http://127.0.0.1:9")
    assert done.stdout == "" and len(done.stderr.strip().splitlines()) == 1, done.stdout + done.stderr
    assert "the Hub http://127.0.0.1:9 cannot be reached" in done.stderr
    rows = json.loads(house.run("update", "--check", "--json", code=1, HF_HUB_OFFLINE=1).stdout)
    assert [row["state"] for row in rows] == ["failed"] * 4 and rows[0]["error"]["code"] == "unavailable"
    done = house.run("update", "--check", code=1, HF_HUB_OFFLINE=1)
    assert done.stdout == "" and len(done.stderr.strip().splitlines()) == 1 and "HF_HUB_OFFLINE" in done.stderr


def test_one_repository_that_does_not_answer_is_not_the_hub(house):
    house.run("rm", "tiny", "--yes")
    sick = house.hub.add("org/sick", {GGUF: gguf(4)})
    sick.api_faults = [(503, {"Retry-After": "86400"})]
    house.run("register", "sick", "org/sick")
    house.run("register", "tiny", REPO)
    rows = {row["models"][0]: row["state"] for row in house.json("update", "--check", code=1)}
    assert rows == {"sick": "failed", "tiny": "current"}


def test_update_brings_only_what_changed_and_moves_the_ref_last(house):
    new = move_hub(house)
    row = one(house.json("update", "tiny"))
    assert (row["state"], row["downloaded_bytes"]) == ("updated", len(gguf(2)))
    assert [seen.path.rsplit("/", 1)[-1] for seen in house.hub.gets()] == [GGUF]
    assert ref(house) == new
    assert (house.path / "snapshots" / house.old / GGUF).read_bytes() == gguf(1), "the old one stays"
    assert python_file(house) == digest(gguf(2))
    house.hub.clear_log()
    assert one(house.json("update"))["state"] == "current"
    assert house.hub.gets() == []


def test_rollback_needs_no_network_and_forward_again_no_download(house):
    first, second = move_hub(house), None
    house.run("update", "tiny")
    second = move_hub(house, "third", **{GGUF: gguf(3)})
    house.run("update", "tiny")
    house.hub.clear_log()
    row = one(house.json("update", "tiny", "--rollback", "--dry-run"))
    assert (row["state"], row["target_commit"], ref(house)) == ("available", first, second)
    for expected, content in ((first, gguf(2)), (house.old, gguf(1))):
        row = one(house.json("update", "tiny", "--rollback"))
        assert (row["state"], row["target_commit"]) == ("rolled_back", expected)
        assert ref(house) == expected
        assert python_file(house) == digest(content)
    done = house.run("update", "tiny", "--rollback", code=1)
    assert "not known" in done.stderr and first in done.stderr and second in done.stderr
    assert house.hub.log == [], "all of that was offline"
    assert one(house.json("update", "tiny"))["downloaded_bytes"] == 0
    assert ref(house) == second and house.hub.gets() == []


def test_to_goes_to_a_named_commit_also_without_the_hub(house):
    move_hub(house)
    house.run("update", "tiny")
    house.hub.clear_log()
    house.env["HF_HUB_OFFLINE"] = "1"
    assert one(house.json("update", "tiny", "--to", house.old))["state"] == "updated"
    assert ref(house) == house.old and house.hub.log == []
    house.run("update", "tiny", "--to", "../evil", code=2)
    house.run("update", "--to", house.old, code=2)


def test_to_takes_a_tag(house):
    new = move_hub(house)
    assert one(house.json("update", "tiny", "--to", "v1"))["target_commit"] == new
    assert ref(house) == new
    row = one(house.json("update", "tiny", "--to", "v9", code=1))
    assert row["error"]["code"] == "not_found" and ref(house) == new


def test_offline_is_honoured(house):
    move_hub(house)
    for words in (["update"], ["update", "tiny", "--check"]):
        done = house.run(*words, code=1, HF_HUB_OFFLINE=1)
        assert "HF_HUB_OFFLINE" in done.stderr
    assert house.hub.log == [] and ref(house) == house.old


def test_endpoint_is_honoured(house):
    done = house.run("update", "--check", code=1, HF_ENDPOINT="http://127.0.0.1:9")
    assert "127.0.0.1:9" in done.stderr and house.hub.log == []


def test_a_broken_download_switches_nothing_and_the_next_try_continues(house):
    new = move_hub(house)
    house.hub.fault(GGUF, times=None, status=404)
    row = one(house.json("update", "tiny", code=1))
    assert row["state"] == "failed" and row["error"]["code"] == "not_found"
    assert ref(house) == house.old and python_file(house) == digest(gguf(1))
    house.hub.faults.clear()
    assert one(house.json("update", "tiny"))["state"] == "updated"
    assert ref(house) == new


def test_killed_in_the_middle_the_old_revision_is_what_everybody_sees(house):
    new = move_hub(house, **{GGUF: gguf(2, 3_000_000)})
    house.hub.fault(GGUF, times=1, delay=0.2)
    process = subprocess.Popen([PROGRAM, "update", "tiny"], env=house.env, cwd=house.folder,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list((house.path / "blobs").glob("*.homelab.part")):
        assert process.poll() is None
    process.kill()
    process.wait()
    assert ref(house) == house.old and python_file(house) == digest(gguf(1))
    assert one(house.json("update", "tiny"))["state"] == "updated"
    assert ref(house) == new and python_file(house) == digest(gguf(2, 3_000_000))


def test_models_of_one_ref_move_together(house):
    """A load of the other quantisation would else find its ref moved and its file missing."""
    house.run("register", "large", f"{REPO}:Q8_0")
    house.run("pull", f"{REPO}:Q8_0")
    new = move_hub(house, **{OTHER: gguf(9)})
    row = one(house.json("update", "tiny"))
    assert row["models"] == ["tiny", "large"] and ref(house) == new
    for name, content in ((GGUF, gguf(2)), (OTHER, gguf(9))):
        assert (house.path / "snapshots" / new / name).read_bytes() == content


def test_what_was_never_downloaded_is_not_downloaded_by_an_update(house):
    house.hub.add("org/other", model_files(weight_bytes=1000, small=0))
    house.run("register", "other", "org/other")
    assert one(house.json("update", "other"))["state"] == "not_downloaded"
    assert house.hub.gets() == []


def test_local_and_fixed_models_have_no_updates(house):
    house.run("register", "local", str(house.local_model()))
    house.run("register", "fixed", f"{REPO}@{house.old}:Q4_1")
    text = house.run("update", "--check").stdout
    assert "local: a local file" in text and "fixed: registered at a fixed commit" in text
    assert "a local file" in house.run("update", "local", code=1).stderr
    assert "at a fixed commit" in house.run("update", "fixed", code=1).stderr
    house.run("update", "absent", code=1)


def test_one_model_that_fails_does_not_keep_the_others_back(house):
    house.run("register", "gone", "org/gone")
    new = move_hub(house)
    rows = {row["models"][0]: row for row in house.json("update", code=1)}
    assert rows["gone"]["state"] == "failed" and rows["tiny"]["state"] == "updated"
    assert ref(house) == new


def test_a_plain_load_does_not_move_the_revision_and_asks_nobody(served):
    served.run("load", "tiny")
    assert served.json("show", "tiny")["current_commit"] == served.old
    move_hub(served)
    served.run("unload")
    served.hub.clear_log()
    served.run("load", "tiny")
    assert served.json("show", "tiny")["current_commit"] == served.old
    assert served.hub.log == [] and ref(served) == served.old


def test_a_plain_load_completes_its_own_revision_when_a_file_is_lost(served):
    """For example after cache verify put a bad file away: the Hub has moved, the load does not."""
    (served.path / "blobs" / hashlib.sha256(gguf(1)).hexdigest()).unlink()
    served.repo.info_override = json.dumps({"sha": "f" * 40})
    served.run("load", "tiny")
    assert served.json("show", "tiny")["current_commit"] == served.old == ref(served)
    assert len(served.hub.gets()) == 1 and not [seen for seen in served.hub.log if "/revision/" in seen.path]


def test_the_load_after_an_update_takes_the_new_revision_and_the_registry_says_so(served):
    served.run("load", "tiny")
    new = move_hub(served)
    served.run("update", "tiny")
    assert served.json("show", "tiny")["current_commit"] == served.old, "what is loaded is still the old one"
    served.run("load", "tiny")
    served.run("unload")
    served.run("load", "tiny")
    assert served.json("show", "tiny")["current_commit"] == new
    served.run("update", "tiny", "--rollback")
    served.run("unload")
    served.run("load", "tiny")
    assert served.json("show", "tiny")["current_commit"] == served.old


def test_a_ref_that_python_moved_is_respected(house):
    """from_pretrained moves refs/main in the same cache; a rollback does not pretend to know what was before."""
    new = move_hub(house)
    code = f"""
import huggingface_hub
print(json.dumps(huggingface_hub.hf_hub_download({REPO!r}, {GGUF!r}, cache_dir=folder)))
"""
    python_client(house.cache / "hub", code, HF_HUB_OFFLINE="0", HF_ENDPOINT=house.hub.endpoint)
    assert ref(house) == new
    done = house.run("update", "tiny", "--rollback", code=1)
    assert "not known" in done.stderr and house.old in done.stderr
    assert one(house.json("update", "tiny", "--to", house.old))["state"] == "updated"
    assert ref(house) == house.old
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert one(house.json("update", "tiny", "--rollback"))["target_commit"] == new


def test_a_damaged_note_only_costs_the_way_back(house):
    move_hub(house)
    house.run("update", "tiny")
    (note,) = (house.cache / "hub/.locks/.homelab-llm/revisions").iterdir()
    note.write_bytes(b"\xff" + note.read_bytes()[1:])
    assert "not known" in house.run("update", "tiny", "--rollback", code=1).stderr
    assert json.loads(house.run("update", "--json").stdout)[0]["state"] == "current"


def disk_bytes(folder):
    seen = {}
    for path in folder.rglob("*"):
        if not path.is_symlink() and path.is_file():
            stat = path.stat()
            seen[stat.st_ino] = stat.st_blocks * 512
    return sum(seen.values())


def test_keep_frees_the_space_of_older_revisions(house):
    for number, name in ((2, "second"), (3, "third"), (4, "fourth")):
        newest = move_hub(house, name, **{GGUF: gguf(number)})
        house.run("update", "tiny")
    commits = {path.name for path in (house.path / "snapshots").iterdir()}
    assert len(commits) == 4
    before = disk_bytes(house.cache / "hub")
    said = one(house.json("update", "tiny", "--keep", "2", "--dry-run"))
    assert said["pruned_revisions"] == 2 and disk_bytes(house.cache / "hub") == before
    row = one(house.json("update", "tiny", "--keep", "2"))
    assert (row["state"], row["pruned_revisions"], row["freed_bytes"]) == ("current", 2, said["freed_bytes"])
    left = {path.name for path in (house.path / "snapshots").iterdir()}
    assert newest in left and len(left) == 2
    assert before - disk_bytes(house.cache / "hub") >= 2 * len(gguf(1))
    assert python_file(house) == digest(gguf(4))
    house.json("update", "tiny", "--rollback")
    assert python_file(house) == digest(gguf(3)), "the one before is still there"
    done = house.run("update", "tiny", "--rollback", code=1)
    assert "not complete any more" in done.stderr


def test_keep_together_with_an_update(house):
    new = move_hub(house)
    row = one(house.json("update", "tiny", "--keep", "1"))
    assert (row["state"], row["pruned_revisions"]) == ("updated", 1)
    assert [path.name for path in (house.path / "snapshots").iterdir()] == [new]
    assert not list((house.path / "trees").glob(f"{house.old}*"))
    assert python_file(house) == digest(gguf(2))


def test_keep_leaves_what_is_loaded(served):
    served.run("load", "tiny")
    new = move_hub(served)
    done = served.run("update", "tiny", "--keep", "1")
    assert "loaded as 'tiny'" in done.stdout
    assert {path.name for path in (served.path / "snapshots").iterdir()} == {served.old, new}
    served.run("unload")
    served.run("load", "tiny")
    assert one(served.json("update", "tiny", "--keep", "1"))["pruned_revisions"] == 1


def test_a_ref_that_cannot_be_read_is_an_error_and_not_a_missing_model(house):
    (house.path / "refs" / "main").unlink()
    (house.path / "refs" / "main").mkdir()
    row = one(house.json("update", "tiny", code=1))
    assert row["state"] == "failed" and "refs/main" in row["error"]["message"]
