"""The cache's commands as jobs of a running server: what they answer, what the disk looks like afterwards, and that the
command line says the same."""

import hashlib
import http.client
import json
import os
import threading

import pytest
from downloads import repo_folder
from running import Server, command, until
from test_cache_removal import A, B, C, Cache
from test_cli import House

REPO = "org/tiny-GGUF"
ENDED = {"succeeded", "failed", "cancelled"}


class Jobs:
    """The jobs of a server."""

    def __init__(self, server):
        self.server = server

    def submit(self, command, **fields):
        status, job = self.server.call("POST", "/api/cache/jobs", {"command": command, **fields})
        assert status == 202, job
        return job

    def ended(self, job):
        found = []

        def is_over():
            status, now = self.server.call("GET", f"/api/jobs/{job['id']}")
            assert status == 200, now
            found[:] = [now]
            return now["state"] in ENDED

        until(is_over, what=f"the end of {job['kind']}")
        return found[0]

    def job(self, command, **fields):
        return self.ended(self.submit(command, **fields))

    def done(self, command, **fields):
        job = self.job(command, **fields)
        assert job["state"] == "succeeded", job
        return job["result"]

    def events(self, job):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        connection.request("GET", f"/api/jobs/{job['id']}/events")
        answer = connection.getresponse()
        assert answer.status == 200
        for line in answer:
            if line.strip():
                assert line.startswith(b"data: "), line
                yield json.loads(line[6:])
        connection.close()


class ServedCache(Cache, Jobs):
    """The hub folder of test_cache_removal with a server over it."""

    def __init__(self, folder):
        Cache.__init__(self, folder)
        Jobs.__init__(self, Server(folder, self.env))

    def files(self):
        """Every path of the hub folder that programs see."""
        return sorted(str(path.relative_to(self.hub)) for path in self.hub.rglob("*") if ".locks" not in path.parts)


@pytest.fixture
def cache(tmp_path):
    cache = ServedCache(tmp_path)
    cache.hub.mkdir(parents=True)
    yield cache
    assert cache.server.stop() == 0


@pytest.fixture
def downloaded(tmp_path, fault_hub):
    """A registered model from a Hub that can be reached, with a server over it."""
    house = House(tmp_path)
    house.hub = fault_hub
    house.env["HF_ENDPOINT"] = fault_hub.endpoint
    house.repo = fault_hub.add(REPO, {"tiny.Q4_1.gguf": b"GGUF" + b"1" * 70000, "README.md": b"# Tiny"})
    house.run("register", "tiny", f"{REPO}:Q4_1")
    house.run("pull", f"{REPO}:Q4_1")
    house.path = repo_folder(house.cache / "hub", REPO)
    house.jobs = Jobs(Server(house.folder, house.env))
    house.env["HOMELAB_LLM_PORT"] = str(house.jobs.server.port)
    yield house
    assert house.jobs.server.stop() == 0


def blob_of(content):
    return hashlib.sha256(content).hexdigest()


def without(value, *keys):
    """A report without what differs between two runs on purpose."""
    if isinstance(value, dict):
        return {name: without(one, *keys) for name, one in value.items() if name not in keys}
    return [without(one, *keys) for one in value] if isinstance(value, list) else value


def test_verify_puts_a_damaged_blob_away_and_says_what_the_command_says(cache):
    folder = cache.add("org/good", A, {"config.json": b"{}", "model.gguf": b"good" * 1000}, "main")
    bad = cache.add("org/bad", B, {"model.gguf": b"right" * 1000}, "main") / "blobs" / blob_of(b"right" * 1000)
    bad.write_bytes(b"wrong" * 1000)
    by_command = cache.json("verify", "--dry-run", "--all-again", code=1)
    looked = cache.job("verify", dry_run=True, all_again=True)
    assert looked["result"] == by_command
    assert bad.exists()
    job = cache.job("verify", all_again=True)
    assert job["state"] == "succeeded" and job["complete"] is False
    assert job["result"]["bad"] == 1 and job["result"]["checked_files"] == 3
    finding = job["result"]["repos"][0]["findings"][0]
    assert finding["kind"] == "wrong_content" and finding["blob"] == bad.name
    assert not bad.exists()
    assert open(finding["quarantined"], "rb").read() == b"wrong" * 1000
    assert (folder / "snapshots" / A / "model.gguf").read_bytes() == b"good" * 1000


def test_gc_removes_exactly_what_its_dry_run_and_the_command_announced(cache):
    folder = cache.add("org/name", A, {"model.gguf": b"needed"}, "main")
    (folder / "blobs" / blob_of(b"orphan" * 999)).write_bytes(b"orphan" * 999)
    before = cache.files()
    by_command = cache.json("gc", "--older-than", "0s", "--dry-run")
    planned = cache.done("gc", older_than="0s", dry_run=True)
    assert planned == by_command
    assert cache.files() == before
    removed = cache.done("gc", older_than="0s", now=True)
    assert removed["removed"] == 1 and removed["plans"] == planned["plans"]
    assert set(before) - set(cache.files()) == {f"models--org--name/blobs/{blob_of(b'orphan' * 999)}"}
    assert cache.judge() == {f"org/name@{A}": ["model.gguf"]}


def test_rm_and_undo_leave_the_cache_as_it_was(cache):
    cache.add("org/name", A, {"a.txt": b"old"}, "v1")
    cache.add("org/name", B, {"a.txt": b"new", "b.txt": b"more"}, "main")
    before = cache.files()
    seen = cache.judge()
    by_command = cache.json("rm", "org/name@v1", "--dry-run")
    planned = cache.done("rm", targets=["org/name@v1"], dry_run=True)
    assert planned == by_command
    removed = cache.done("rm", targets=["org/name@v1"])
    assert cache.judge() == {f"org/name@{B}": ["a.txt", "b.txt"]}
    status, listed = cache.server.call("GET", "/api/cache/trash")
    assert status == 200 and listed == cache.json("trash", "ls")
    assert [record["id"] for record in listed] == removed["trash"]
    undone = cache.done("undo", id=removed["trash"][0])
    assert undone["id"] == removed["trash"][0]
    assert cache.files() == before
    assert cache.judge() == seen


def test_prune_takes_what_no_branch_names(cache):
    cache.add("org/name", A, {"a.txt": b"older"})
    cache.add("org/name", B, {"a.txt": b"newer"}, "main")
    assert cache.done("prune", dry_run=True) == cache.json("prune", "--dry-run")
    cache.done("prune", repos=["org/name"])
    assert cache.judge() == {f"org/name@{B}": ["a.txt"]}


def test_mv_takes_everything_along_and_nothing_stays(cache):
    cache.add("org/name", A, {"a.txt": b"old"}, "v1")
    cache.add("org/name", B, {"model.gguf": b"new" * 500}, "main")
    seen = cache.judge()
    before = cache.files()
    planned = cache.done("mv", repo="org/name", to="secondary", dry_run=True)
    assert planned == cache.json("mv", "org/name", "--to", "secondary", "--dry-run")
    moved = cache.done("mv", repo="org/name", to="secondary")
    assert moved["method"] == "rename"
    assert cache.files() == []
    cache.hub = cache.folder / "second" / "hub"
    cache.root = cache.folder / "second"
    assert cache.files() == before
    assert cache.judge() == seen


def test_dedup_makes_equal_blobs_one_file(cache):
    content = os.urandom(1 << 16)
    one = cache.add("org/one", A, {"model.gguf": content}, "main") / "blobs" / blob_of(content)
    two = cache.add("org/two", B, {"model.gguf": content}, "main") / "blobs" / blob_of(content)
    announced = cache.done("dedup", dry_run=True)
    assert announced == cache.json("dedup", "--dry-run")
    assert one.stat().st_ino != two.stat().st_ino
    shared = cache.done("dedup")
    assert [blob["size_bytes"] for blob in shared["shared"]] == [1 << 16]
    assert shared["disk_bytes_after"] == announced["disk_bytes_after"]
    if shared["shared"][0]["how"] == "hard link":
        assert one.stat().st_ino == two.stat().st_ino
    assert one.read_bytes() == two.read_bytes() == content
    assert set(cache.judge()) == {f"org/one@{A}", f"org/two@{B}"}


def test_what_a_registered_model_needs_stays_unless_forced(cache):
    cache.add("org/name", A, {"model.gguf": b"needed"}, "main")
    status, model = cache.server.call("POST", "/api/models", {"model_name": "mine", "hf_path": "org/name"})
    assert status == 201, model
    before = cache.files()
    refused = cache.job("rm", targets=["org/name"])
    assert refused["state"] == "failed" and refused["error_code"] == "failed_precondition", refused
    assert "registered as 'mine'" in refused["error"]
    assert refused["result"] is None
    assert cache.files() == before
    cache.done("rm", targets=["org/name"], force=True, now=True)
    assert cache.files() == []


def test_mv_takes_the_registration_along(cache):
    cache.add("org/name", A, {"model.gguf": b"needed"}, "main")
    status, model = cache.server.call("POST", "/api/models", {"model_name": "mine", "hf_path": "org/name"})
    assert status == 201, model
    root = str(cache.folder / "x")
    planned = cache.done("mv", repo="org/name", path=root, dry_run=True)
    assert planned == cache.json("mv", "org/name", "--path", root, "--dry-run")
    assert planned["registrations"] == [{"model": "mine", "from": {"location": "primary", "root": str(cache.root)},
                                         "to": {"location": "custom", "root": root}}]
    assert cache.done("mv", repo="org/name", path=root)["registrations"] == planned["registrations"]
    assert cache.files() == []
    status, models = cache.server.call("GET", "/api/models")
    assert [(row["cache_location"], row["cache_path"]) for row in models] == [("custom", root)]


def test_what_the_engine_has_loaded_stays_even_when_its_branch_moved_on(cache):
    folder = cache.add("org/name", A, {"tiny.Q4_1.gguf": b"GGUF" + b"1" * 5000}, "main")
    cache.server.register_and_load("mine", "org/name:Q4_1")
    cache.add("org/name", B, {"tiny.Q4_1.gguf": b"GGUF" + b"2" * 5000})
    (folder / "refs" / "main").write_text(B)
    pruned = cache.done("prune")
    assert "loaded as 'mine'" in json.dumps(pruned["plans"])
    assert pruned["removed"] == 0 and (folder / "snapshots" / A / "tiny.Q4_1.gguf").exists()
    refused = cache.job("rm", targets=[f"org/name@{A}"])
    assert refused["error_code"] == "failed_precondition" and "loaded as 'mine'" in refused["error"]
    moved = cache.job("mv", repo="org/name", to="secondary")
    assert moved["error_code"] == "failed_precondition" and "loaded as 'mine'" in moved["error"]
    assert set(cache.judge()) == {f"org/name@{A}", f"org/name@{B}"}


def test_jobs_and_commands_at_the_same_time_leave_a_cache_that_python_reads(cache):
    content = [os.urandom(30_000) for _ in range(3)]
    for number in range(6):
        cache.add(f"org/kept{number}", A, {"model.gguf": content[number % 3]}, "main")
        folder = cache.add(f"org/gone{number}", B, {"model.gguf": content[number % 3] + b"more"}, "main")
        (folder / "blobs" / blob_of(bytes([number]))).write_bytes(bytes([number]))
    failures = []

    def client(number):
        try:
            for own in range(number, 6, 3):
                cache.done("rm", targets=[f"org/gone{own}"], now=True)
                cache.done("verify", repos=[f"org/kept{own}"], all_again=True)
                cache.done("gc", older_than="0s", now=True)
                cache.done("dedup")
        except AssertionError as failure:
            failures.append(failure)

    clients = [threading.Thread(target=client, args=(number,)) for number in range(3)]
    for one in clients:
        one.start()
    while any(one.is_alive() for one in clients):
        cache.run("dedup")
        verified = command(cache.env, cache.folder, "cache", "verify", "--json")
        for repo in json.loads(verified.stdout).get("repos", []):
            # A file that is removed while it is read is to be looked at again; nothing else may be found.
            kinds = {"changed"} if repo["repo"].startswith("org/gone") else set()
            assert {finding["kind"] for finding in repo["findings"]} <= kinds, repo
    for one in clients:
        one.join()
    assert failures == []
    assert cache.judge() == {f"org/kept{number}@{A}": ["model.gguf"] for number in range(6)}
    jobs = cache.server.call("GET", "/api/jobs")[1]["jobs"]
    assert len(jobs) == 24 and {job["state"] for job in jobs} == {"succeeded"}


def test_a_running_verify_ends_when_it_is_cancelled_and_a_retry_goes_on(cache):
    # Sparse files: much to read, nothing on the disk. They are not what their names say, and with dry_run they stay.
    folder = cache.add("org/large", C, {"tiny": b"x"}, "main")
    for number in range(8):
        blob = folder / "blobs" / blob_of(bytes([number]))
        with open(blob, "wb") as file:
            file.truncate(4 << 30)
        (folder / "snapshots" / C / f"{number}.gguf").symlink_to(f"../../blobs/{blob.name}")
    before = cache.files()
    job = cache.submit("verify", dry_run=True)
    waiting = cache.submit("gc", dry_run=True)
    events = cache.events(job)
    seen = next(event for event in events if event["job"]["done_bytes"] > 0 or event["type"] == "end")
    assert seen["type"] == "progress" and seen["job"]["total_bytes"] > 8 << 32 >> 1
    assert cache.server.call("GET", f"/api/jobs/{waiting['id']}")[1]["state"] == "queued"
    status, told = cache.server.call("DELETE", f"/api/jobs/{job['id']}")
    assert status == 200 and told["state"] in {"running", "cancelled"}
    *_, last = events
    assert last["type"] == "end" and last["job"]["state"] == "cancelled"
    assert cache.ended(job)["result"]["cancelled"] is True
    assert cache.ended(waiting)["state"] == "succeeded"
    status, again = cache.server.call("POST", f"/api/jobs/{job['id']}/retry")
    assert status == 202 and again["retry_of"] == job["id"]
    cache.server.call("DELETE", f"/api/jobs/{again['id']}")
    assert cache.ended(again)["state"] == "cancelled"
    assert cache.files() == before


def test_the_server_stops_while_a_job_runs(cache):
    folder = cache.add("org/large", C, {"tiny": b"x"}, "main")
    blob = folder / "blobs" / blob_of(b"large")
    with open(blob, "wb") as file:
        file.truncate(1 << 40)
    (folder / "snapshots" / C / "large.gguf").symlink_to(f"../../blobs/{blob.name}")
    job = cache.submit("verify", dry_run=True)
    events = cache.events(job)
    assert next(event for event in events if event["job"]["done_bytes"] > 0)["type"] == "progress"
    assert cache.server.stop() == 0
    *_, last = events
    assert last["type"] == "end" and last["job"]["state"] == "cancelled"
    assert blob.exists()


def test_names_that_are_no_text_do_not_break_the_answers(cache):
    folder = cache.add("org/name", A, {"model.gguf": b"content"}, "main")
    odd = os.fsencode(folder / "snapshots" / A) + b"/odd\xff\nname"
    os.symlink("../../blobs/" + "d" * 64, odd)
    verified = cache.job("verify")
    assert verified["state"] == "succeeded" and verified["complete"] is False
    finding, = verified["result"]["repos"][0]["findings"]
    assert (finding["kind"], finding["entries"][0]["path"]) == ("dangling", "odd??name")
    assert verified["result"] == cache.json("verify", code=1)
    planned = cache.done("rm", targets=["org/name"], dry_run=True)
    assert planned == cache.json("rm", "org/name", "--dry-run")


def test_lists_are_those_of_the_command_line(cache):
    cache.add("org/name", A, {"model.gguf": b"content"}, "main")
    cache.add("org/data", B, {"data.parquet": b"rows"}, "main", kind="datasets")
    cache.server.call("POST", "/api/models", {"model_name": "mine", "hf_path": "org/name"})
    status, listed = cache.server.call("GET", "/api/cache/ls")
    # The command found no server on its port, so it does not know who is registered.
    assert status == 200 and without(listed, "registered_as") == cache.json("ls")
    assert [repo["registered_as"] for repo in listed] == [[], ["mine"]]
    status, one = cache.server.call("GET", "/api/cache/ls?repo=org/name")
    assert status == 200 and without(one, "registered_as") == cache.json("ls", "org/name")
    status, usage = cache.server.call("GET", "/api/cache/du")
    by_command = cache.json("du")
    assert status == 200 and without(usage, "disk_free_bytes") == without(by_command, "disk_free_bytes")


def test_export_and_import_carry_a_repository_through_a_file(cache, tmp_path):
    cache.add("org/name", A, {"a.txt": b"text", "model.gguf": b"GGUF" * 500}, "main")
    before, seen = cache.files(), cache.judge()
    file = tmp_path / "out" / "name.tar"
    file.parent.mkdir()
    planned = cache.done("export", repos=["org/name"], file=str(file), dry_run=True)
    assert planned == cache.json("export", "org/name", "-o", file, "--dry-run") and not file.exists()
    written = cache.done("export", repos=["org/name"], file=str(file))
    assert written["archive_bytes"] == file.stat().st_size
    status, refused = cache.server.call(
        "POST", "/api/cache/jobs", {"command": "export", "repos": ["org/name"], "file": str(file)})
    assert status == 422 and "there already" in json.dumps(refused)
    cache.done("rm", targets=["org/name"], now=True)
    assert cache.judge() == {}
    imported = cache.done("import", file=str(file))
    assert imported["written_bytes"] == written["content_bytes"]
    assert cache.judge() == seen
    assert [name for name in cache.files() if "CACHEDIR" not in name] == [name for name in before if "CACHEDIR" not in name]


def test_a_page_of_another_origin_changes_nothing(cache):
    cache.add("org/name", A, {"a.txt": b"text"}, "main")
    body = json.dumps({"command": "rm", "targets": ["org/name"], "now": True})
    own = f"127.0.0.1:{cache.server.port}"
    for origin, expected in (("http://evil.example", 403), ("null", 403), (f"http://{own}", 202)):
        connection = http.client.HTTPConnection("127.0.0.1", cache.server.port, timeout=60)
        connection.request("POST", "/api/cache/jobs", body, {"Origin": origin, "Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == expected, (origin, answer.read())
        if expected == 403:
            assert cache.judge() != {}
        else:
            cache.ended(json.loads(answer.read()))
        connection.close()
    assert cache.judge() == {}


def test_a_misspelt_field_deletes_nothing(cache):
    cache.add("org/name", A, {"model.gguf": b"content"}, "main")
    status, answer = cache.server.call("POST", "/api/cache/jobs",
                                       {"command": "rm", "targets": ["org/name"], "dryrun": True})
    assert status == 422
    assert [(entry["type"], entry["loc"]) for entry in answer["detail"]] == [("extra_forbidden", ["body", "dryrun"])]
    assert cache.server.call("GET", "/api/jobs")[1] == {"jobs": []}
    assert cache.judge() == {f"org/name@{A}": ["model.gguf"]}


def test_a_repair_brings_the_right_content_back(downloaded):
    right = downloaded.repo.files["tiny.Q4_1.gguf"]
    blob = downloaded.path / "blobs" / blob_of(right)
    blob.write_bytes(b"FUGG" + right[4:])
    downloaded.hub.clear_log()
    result = downloaded.jobs.done("verify", repos=[REPO], all_again=True, repair=True)
    assert (result["bad"], result["repaired"], result["downloaded_bytes"]) == (0, 1, len(right))
    assert blob.read_bytes() == right
    assert len(downloaded.hub.gets()) == 1
    again = downloaded.json("cache", "verify", "--all-again")
    assert again["bad"] == 0


def test_an_update_as_a_job_is_the_update_of_the_command_line(downloaded):
    old = downloaded.repo.commit
    newer = b"GGUF" + b"2" * 70000
    downloaded.repo.files = {**downloaded.repo.files, "tiny.Q4_1.gguf": newer}
    downloaded.repo.commit = hashlib.sha1(b"second").hexdigest()
    ref = downloaded.path / "refs" / "main"
    assert downloaded.jobs.done("update", check=True) == downloaded.json("update", "--check")
    assert ref.read_text() == old
    row, = downloaded.jobs.done("update", names=["tiny"])
    assert (row["state"], row["downloaded_bytes"]) == ("updated", len(newer))
    assert ref.read_text() == downloaded.repo.commit
    assert (downloaded.path / "snapshots" / downloaded.repo.commit / "tiny.Q4_1.gguf").read_bytes() == newer
    row, = downloaded.jobs.done("update", names=["tiny"], rollback=True)
    assert row["state"] == "rolled_back" and ref.read_text() == old
    unknown = downloaded.jobs.job("update", names=["nobody"])
    assert unknown["state"] == "failed" and unknown["error_code"] == "not_found"
    shown = downloaded.run("ps").stdout
    assert unknown["id"] in shown and "cache update" in shown and "no model is named 'nobody'" in shown
