"""cache export and cache import: what comes out of the tar is a cache that the real huggingface_hub uses offline."""

import hashlib
import io
import json
import os
import pathlib
import signal
import subprocess
import tarfile

import pytest
from downloads import check_complete, model_files, python_client, repo_folder, size_now
from fault_hub import random_bytes
from running import PROGRAM, command, environment

REPO = "org/model"


class House:
    """A primary cache filled by the real Python client, an empty secondary one."""

    def __init__(self, folder, hub):
        self.folder = folder
        self.cache = folder / "hf" / "hub"
        self.second = folder / "second" / "hub"
        self.env = environment(folder / "home", PRIMARY_CACHE_PATH=folder / "hf",
                               SECONDARY_CACHE_PATH=folder / "second", HF_ENDPOINT="http://127.0.0.1:9")
        self.repo = hub.add(REPO, {**model_files(weight_bytes=400_000), "sub/dir/ünï code.txt": b"deep"})
        self.download(hub, REPO)

    def download(self, hub, repo, **more):
        python_client(self.cache, f"""
import huggingface_hub as h
print(json.dumps(h.snapshot_download({repo!r}, cache_dir=folder, **{more!r})))""", HF_HUB_OFFLINE="0",
                      HF_ENDPOINT=hub.endpoint)

    def run(self, *words, code=0):
        done = command(self.env, self.folder, "cache", *words, "--json")
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    def export(self, *words, name="out.tar", code=0):
        return self.run("export", *words, "-o", self.folder / name, code=code)

    def tree(self, root):
        """Every name below, with content or link text; locks, our own corner and the tag for backups left out."""
        return {str(path.relative_to(root)): os.readlink(path) if path.is_symlink() else path.read_bytes()
                for path in sorted(root.rglob("*")) if path.is_symlink() or path.is_file()
                if not str(path.relative_to(root)).startswith((".locks", "CACHEDIR.TAG"))}


@pytest.fixture
def house(tmp_path, fault_hub):
    return House(tmp_path, fault_hub)


def test_a_repository_goes_through_a_tar_into_an_empty_cache(house):
    report = house.export(REPO)
    tar = house.folder / "out.tar"
    assert report["archive_bytes"] == tar.stat().st_size
    content = sum(len(data) for data in set(house.repo.files.values()))
    assert report["content_bytes"] == content and report["left_out"] == []
    done = house.run("import", tar, "--to", "secondary")
    assert done["written_bytes"] == content
    assert house.tree(house.second) == house.tree(house.cache)
    check_complete(house.second, house.repo)


def test_a_dry_run_tells_exactly_what_will_be_written_and_writes_nothing(house):
    before = house.tree(house.folder)
    would = house.export(REPO, "--dry-run")
    assert house.tree(house.folder) == before
    wrote = house.export(REPO)
    assert would["archive_bytes"] == wrote["archive_bytes"] == (house.folder / "out.tar").stat().st_size
    would = house.run("import", house.folder / "out.tar", "--to", "secondary", "--dry-run")
    assert not house.second.exists()
    assert would["written_bytes"] == house.run("import", house.folder / "out.tar", "--to", "secondary")["written_bytes"]


def test_a_pipe_does_as_well_as_a_file(house):
    with subprocess.Popen([PROGRAM, "cache", "export", REPO, "-o", "-"], env=house.env, cwd=house.folder,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as out:
        done = subprocess.run([PROGRAM, "cache", "import", "-", "--to", "secondary", "--json"], env=house.env,
                              cwd=house.folder, stdin=out.stdout, capture_output=True, text=True, timeout=120)
    assert out.returncode == 0 and done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["hub_folder"] == str(house.second)
    check_complete(house.second, house.repo)


def test_tar_alone_makes_a_cache_that_python_uses(house):
    house.export(REPO)
    other = house.folder / "by-hand"
    other.mkdir()
    unpacked = subprocess.run(["tar", "xf", house.folder / "out.tar", "-C", other], capture_output=True, text=True)
    assert (unpacked.returncode, unpacked.stderr) == (0, "")
    assert house.tree(other) == house.tree(house.cache)
    check_complete(other, house.repo)


def test_the_manifest_comes_first_and_has_the_sha256_of_everything(house):
    house.export(REPO)
    with tarfile.open(house.folder / "out.tar") as tar:
        members = tar.getmembers()
        manifest = json.load(tar.extractfile(members[0]))
        (repo,) = manifest["repos"]
        for blob in repo["blobs"]:
            content = tar.extractfile(f"models--org--model/blobs/{blob['name']}").read()
            assert (hashlib.sha256(content).hexdigest(), len(content)) == (blob["sha256"], blob["size_bytes"])
        (revision,) = repo["revisions"]
        listing = tar.extractfile(f"models--org--model/trees/{revision['commit']}.json").read()
        assert hashlib.sha256(listing).hexdigest() == revision["listing"]["sha256"]
    names = [member.name for member in members]
    assert len(set(names)) == len(names)
    assert names[-1] == "models--org--model/refs/main"
    assert {file["path"] for file in revision["files"]} == set(house.repo.files)


def test_a_dataset_and_a_model_travel_together(house):
    folder = house.cache / "datasets--org--data"
    content = b"rows"
    blob = folder / "blobs" / hashlib.sha256(content).hexdigest()
    link = folder / "snapshots" / ("d" * 40) / "data" / "rows.csv"
    for path in (blob.parent, link.parent, folder / "refs"):
        path.mkdir(parents=True)
    blob.write_bytes(content)
    link.symlink_to(f"../../../blobs/{blob.name}")
    (folder / "refs" / "main").write_text("d" * 40)
    house.export(REPO, "dataset/org/data")
    house.run("import", house.folder / "out.tar", "--to", "secondary")
    seen = python_client(house.second, """
import huggingface_hub as h
path = h.snapshot_download("org/data", repo_type="dataset", cache_dir=folder, local_files_only=True)
print(json.dumps([path, [str(w) for w in h.scan_cache_dir(folder).warnings]]))""")
    assert (pathlib.Path(seen[0]) / "data" / "rows.csv").read_bytes() == content and seen[1] == []
    check_complete(house.second, house.repo)


def test_content_behind_the_shared_store_becomes_plain_files(house):
    folder = repo_folder(house.cache, REPO)
    blob = max((folder / "blobs").iterdir(), key=lambda path: path.stat().st_size)
    xet = "ab" * 32
    store = house.cache / "blobs"
    (store / "ab").mkdir(parents=True)
    (store / ".huggingface-shared-blobs").write_text("1\n")
    (store / "ab" / f"{xet}.refs").write_text(f"{folder.name}/blobs/{blob.name}\n")
    blob.rename(store / "ab" / xet)
    blob.symlink_to(f"../../blobs/ab/{xet}")
    house.export(REPO)
    house.run("import", house.folder / "out.tar", "--to", "secondary")
    check_complete(house.second, house.repo)


def test_a_killed_import_is_finished_by_the_next_one(house):
    house.export(REPO)
    tar = (house.folder / "out.tar").read_bytes()
    words = [PROGRAM, "cache", "import", "-", "--to", "secondary", "--json"]
    process = subprocess.Popen(words, env=house.env, cwd=house.folder, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdin.write(tar[:1_000_000])
    process.stdin.flush()
    blobs = repo_folder(house.second, REPO) / "blobs"
    while not any(map(size_now, blobs.glob("*.homelab.part"))):
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.communicate()
    assert not (repo_folder(house.second, REPO) / "snapshots").exists()
    done = house.run("import", house.folder / "out.tar", "--to", "secondary")
    (repo,) = done["repos"]
    assert repo["resumed_bytes"] + repo["present_bytes"] > 0
    assert repo["written_bytes"] + repo["resumed_bytes"] + repo["present_bytes"] == repo["content_bytes"]
    check_complete(house.second, house.repo)


def test_a_ref_that_stands_elsewhere_is_moved_only_with_force(house):
    house.export(REPO)
    house.run("import", house.folder / "out.tar", "--to", "secondary")
    main = repo_folder(house.second, REPO) / "refs" / "main"
    (main.parent.parent / "snapshots" / ("e" * 40)).mkdir()
    main.write_text("e" * 40)
    error = house.run("import", house.folder / "out.tar", "--to", "secondary", code=1)["error"]
    assert error["code"] == "failed_precondition" and "main of org/model" in error["message"]
    assert main.read_text() == "e" * 40
    done = house.run("import", house.folder / "out.tar", "--to", "secondary", "--force")
    assert done["repos"][0]["refs"] == [{"name": "main", "commit": house.repo.commit, "before": "e" * 40}]
    assert main.read_text() == house.repo.commit


def test_a_hostile_member_is_named_and_nothing_of_it_is_written(house):
    house.export(REPO)
    outside = house.folder / "outside"
    with tarfile.open(house.folder / "out.tar") as good, tarfile.open(house.folder / "bad.tar", "w") as bad:
        for index, member in enumerate(good.getmembers()):
            bad.addfile(member, good.extractfile(member) if member.isfile() else None)
            if index == 0:
                evil = tarfile.TarInfo("models--org--model/blobs/../../../../outside")
                evil.size = 4
                bad.addfile(evil, io.BytesIO(b"evil"))
    error = house.run("import", house.folder / "bad.tar", "--to", "secondary", code=1)["error"]
    assert error["code"] == "data_loss" and "blobs/../../../../outside" in error["message"]
    assert not outside.exists() and not list(house.second.rglob("snapshots"))


def test_an_archive_that_another_program_wrote_anew_is_read(house):
    """The same members, in pax form, with folders between them."""
    house.export(REPO)
    with tarfile.open(house.folder / "out.tar") as good, \
            tarfile.open(house.folder / "pax.tar", "w", format=tarfile.PAX_FORMAT) as pax:
        for index, member in enumerate(good.getmembers()):
            pax.addfile(member, good.extractfile(member) if member.isfile() else None)
            if index == 0:
                folder = tarfile.TarInfo("models--org--model/blobs")
                folder.type = tarfile.DIRTYPE
                pax.addfile(folder)
    house.run("import", house.folder / "pax.tar", "--to", "secondary")
    check_complete(house.second, house.repo)


def test_what_does_not_fit_the_limit_is_refused_before_the_first_byte(house):
    house.export(REPO)
    house.env["SECONDARY_CACHE_LIMIT_GB"] = "0.0001"
    error = house.run("import", house.folder / "out.tar", "--to", "secondary", code=1)["error"]
    assert error["code"] == "resource_exhausted" and "limit" in error["message"]
    assert not house.second.exists()


def test_the_trash_gives_way_to_the_limit_and_only_as_far_as_needed(house):
    content = house.export(REPO)["content_bytes"]
    trash = house.second / ".locks" / ".homelab-llm" / "trash"
    for day in (1, 2):
        record = trash / f"2025010{day}T000000.000000Z-0000000{day}"
        record.mkdir(parents=True)
        (record / "0").write_bytes(random_bytes(1_000_000, day))
    house.env["SECONDARY_CACHE_LIMIT_GB"] = str((content + 1_200_000) / 1024**3)
    house.run("import", house.folder / "out.tar", "--to", "secondary", "--dry-run")
    assert len(list(trash.iterdir())) == 2
    house.run("import", house.folder / "out.tar", "--to", "secondary")
    assert [record.name[:8] for record in trash.iterdir()] == ["20250102"]
    check_complete(house.second, house.repo)


@pytest.mark.parametrize("words, code", [(("org/nothing",), 1), (("org/model@nowhere",), 1), (("../x",), 2)])
def test_what_is_not_there_is_said(house, words, code):
    assert "error" in house.export(*words, code=code)
    assert not (house.folder / "out.tar").exists()


def test_an_older_file_stays_when_an_export_fails(house):
    (house.folder / "out.tar").write_bytes(b"older")
    blob = max((repo_folder(house.cache, REPO) / "blobs").iterdir(), key=lambda path: path.stat().st_size)
    blob.write_bytes(random_bytes(blob.stat().st_size, 99))
    assert house.export(REPO, code=1)["error"]["code"] == "data_loss"
    assert (house.folder / "out.tar").read_bytes() == b"older"
    assert not list(house.folder.glob("*.part"))
