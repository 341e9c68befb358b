"""What tests/crash/interruptions.py interrupts: caches prepared for each command, what must stay whole meanwhile, what
must be there at the end; and the oracle that looks at the disk with Python only."""

import contextlib
import hashlib
import shutil
import sqlite3
from pathlib import Path

from downloads import model_files
from fault_hub import git_oid, random_bytes
from huggingface_hub import scan_cache_dir, snapshot_download
from huggingface_hub.errors import IncompleteSnapshotError, LocalEntryNotFoundError
from running import PROGRAM, command, environment
from test_cli import FAKE_ENGINE

OLD = "a" * 40
SCRATCH = (".part", ".incomplete", ".downloadInProgress")     # names in blobs/ that no reader opens
NO_SNAPSHOT_YET = "Snapshots dir doesn't exist in cached repo"


class Missing(Exception):
    """Content that must be there is not."""


class House:
    """Folders of one user on one or two file systems; restore() brings back the moment of save(), at the same paths."""

    def __init__(self, folder, roots, hub):
        self.folder, self.roots, self.server = folder, roots, hub
        self.state, self.template = folder / "state", folder / "template"
        for path in (self.state, *self.roots):
            path.mkdir(parents=True)
        self.disk, self.other = self.roots
        self.first, self.second = self.disk / "hf", self.disk / "second"
        self.env = environment(self.state / "home", PRIMARY_CACHE_PATH=self.first, SECONDARY_CACHE_PATH=self.second,
                               DATABASE_PATH=self.state / "models.db", HF_ENDPOINT=hub.endpoint,
                               HOMELAB_LLM_PORT="1", HOMELAB_LLM_ENGINE=FAKE_ENGINE)

    @property
    def hubs(self):
        return [hub for root in (self.first, self.second, self.other / "hf") for hub in (root / "hub", root)
                if any(not path.is_symlink() for path in hub.glob("models--*"))]

    def parts(self):
        return dict(enumerate((self.state, *self.roots)))

    def save(self):
        for number, path in self.parts().items():
            shutil.copytree(path, self.template / str(number), symlinks=True)

    def restore(self):
        for number, path in self.parts().items():
            for entry in path.iterdir():
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()
            shutil.copytree(self.template / str(number), path, symlinks=True, dirs_exist_ok=True)

    def keep(self, target):
        for number, path in self.parts().items():
            shutil.copytree(path, target / str(number), symlinks=True)

    def run(self, *words, code=0):
        done = command(self.env, self.folder, *words, timeout=120)
        if done.returncode != code:
            raise AssertionError(f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done


def folder_name(repo):
    return "models--" + repo.replace("/", "--")


def blob_name(path, content):
    return hashlib.sha256(content).hexdigest() if path.endswith((".gguf", ".safetensors")) else git_oid(content)


def write_repo(hub, repo, revisions, ref="main"):
    """As Python leaves it; `ref` is the last revision."""
    folder = hub / folder_name(repo)
    for commit, files in revisions.items():
        for path, content in files.items():
            blob = folder / "blobs" / blob_name(path, content)
            link = folder / "snapshots" / commit / path
            blob.parent.mkdir(parents=True, exist_ok=True)
            link.parent.mkdir(parents=True, exist_ok=True)
            blob.write_bytes(content)
            link.symlink_to("../" * (2 + path.count("/")) + f"blobs/{blob.name}")
    (folder / "refs").mkdir(exist_ok=True)
    (folder / "refs" / ref).write_text(commit)
    return folder


def files_of(seed, **more):
    """A safetensors repository whose files all belong to the plan of a download."""
    files = model_files(weight_bytes=0, small=2)
    files = {path: content if len(content) < 1000 else content[:30_000] for path, content in files.items()}
    for number, path in enumerate(path for path in files if path.endswith(".safetensors")):
        files[path] = random_bytes(120_000 + number, 100 * seed + number)
    return {**files, "config.json": b'{"model_type": "llama", "seed": %d}' % seed, **more}


def whole(hub, repo, commit, files):
    """True when huggingface_hub finds this revision offline, complete; wrong content is never acceptable."""
    try:
        path = Path(snapshot_download(repo, revision=commit, cache_dir=hub, local_files_only=True))
    except (LocalEntryNotFoundError, IncompleteSnapshotError, FileNotFoundError):
        return False
    found = {str(entry.relative_to(path)): entry.read_bytes() for entry in path.rglob("*") if not entry.is_dir()}
    assert all(files.get(name) == content for name, content in found.items()), f"{path}: wrong content"
    return found == files


def check_visible(hub, bad_blobs=(), excused=lambda _: False):
    """Whatever is visible is right. `bad_blobs`: known to be wrong or away for now; `excused`: of the scanner's warnings."""
    for folder in hub.glob("models--*"):
        for blob in (folder / "blobs").glob("*"):
            if blob.name.endswith(SCRATCH) or blob.name[0] == "." or blob.name in bad_blobs:
                continue
            content = blob.read_bytes()
            wanted = hashlib.sha256(content).hexdigest() if len(blob.name) == 64 else git_oid(content)
            assert blob.name == wanted, f"{blob} has other content ({len(content)} bytes, {content.count(0)} zeros)"
        for link in (folder / "snapshots").rglob("*"):
            assert link.exists() or link.readlink().name in bad_blobs, f"{link} dangles"
        for ref in (folder / "refs").rglob("*"):
            if ref.is_file():
                assert (folder / "snapshots" / ref.read_text()).is_dir(), f"{ref} leads nowhere: {ref.read_text()!r}"
    if hub.name != "hub":      # ROOT of a bridge: the scanner dislikes ROOT/hub (docs/cli.md)
        return
    for warning in map(str, scan_cache_dir(hub).warnings):
        assert excused(warning) or any(name in warning for name in bad_blobs), warning


class Scenario:
    """A command on a prepared cache."""

    weight = 10
    bad_blobs = ()        # until the goal is reached
    unfinished = ()       # repositories that have never been complete, which the scanner need not like yet

    def __init__(self, name):
        self.name = name
        self.repo = f"org/{name}"

    def prepare(self, house):
        """Fills the house."""

    def words(self, house):
        """The command."""

    def kept(self, house):
        """[(repo, commit, files)] that must be whole in some hub at every moment."""
        return []

    def reached(self, house):
        """The goal; only asked when everything visible is right."""

    def promises(self, kind):
        """Exit code 0 means that all was done, also when a fault of this kind struck. What cannot be read is left as it is
        by gc, and counts as not downloaded for update; both say so and have done nothing wrong."""
        return kind != "eio_read"

    def excused(self, warning):
        """Of the scanner, before the goal is reached."""
        return NO_SNAPSHOT_YET in warning and any(folder_name(repo) in warning for repo in self.unfinished)

    def complete(self, house):
        """What must be true at the very end."""
        return self.reached(house)

    def also(self, house):
        """More that must hold at every moment."""

    def finish(self, house):
        if not self.reached(house):
            house.run(*self.words(house))

    def anywhere(self, house, repo, commit, files):
        return any([whole(hub, repo, commit, files) for hub in house.hubs])


def look(scenario, house, done=False, end=False):
    """The oracle. `done`: the command said that it did its work."""
    reached = scenario.reached(house)
    for hub in house.hubs:
        if reached:
            check_visible(hub)
        else:
            check_visible(hub, scenario.bad_blobs, scenario.excused)
    for repo, commit, files in scenario.kept(house):
        if not scenario.anywhere(house, repo, commit, files):
            raise Missing(f"{repo}@{commit[:8]} is nowhere whole")
    scenario.also(house)
    if done and not reached:
        raise Missing(f"{scenario.name}: the command ended well, its work is not done")
    if end and not scenario.complete(house):
        raise Missing(f"{scenario.name}: not finished by the last run")


class Pull(Scenario):
    """Into an empty cache, beside another revision, or with a part of it already there."""

    weight = 14

    def __init__(self, name, beside=False, partly=False):
        super().__init__(name)
        self.beside, self.partly = beside, partly
        self.files, self.old_files = files_of(2), files_of(1)
        self.unfinished = () if beside else (self.repo,)

    def prepare(self, house):
        self.served = house.server.add(self.repo, self.old_files if self.beside else self.files)
        self.old = self.served.commit
        if self.beside:
            house.run("pull", self.repo)
            self.served.files, self.served.commit = self.files, hashlib.sha1(b"new").hexdigest()
        if self.partly:
            name = "model-00001-of-00002.safetensors"
            house.server.fault(name, drop_after=70_000)
            house.server.fault(name, status=404, times=None)
            house.run("pull", self.repo, code=1)
            house.server.faults.pop(name)

    def words(self, house):
        return ["pull", f"{self.repo}@v1" if self.beside else self.repo]

    def kept(self, house):
        return [(self.repo, self.old, self.old_files)] if self.beside else []

    def reached(self, house):
        folder = house.first / "hub" / folder_name(self.repo)
        ref = folder / "refs" / ("v1" if self.beside else "main")
        if not ref.exists():
            return False
        assert ref.read_text() == self.served.commit
        assert whole(house.first / "hub", self.repo, self.served.commit, self.files), "a ref to what is not whole"
        return True


class Move(Scenario):
    """way: rename (same file system), link (the target has other revisions), copy (another file system), rows (a registered
    model: both sides are whole until its row has changed)."""

    weight = 9

    def __init__(self, name, way):
        super().__init__(name)
        self.way = way
        self.revisions = {OLD: files_of(1), "b" * 40: {**files_of(2), "sub/more.gguf": random_bytes(5000, 7)}}
        self.unfinished = (self.repo,) if way in ("copy", "rows") else ()      # at the target

    def prepare(self, house):
        write_repo(house.first / "hub", self.repo, self.revisions)
        if self.way == "rows":
            house.run("register", self.name, self.repo)
        if self.way == "link":
            write_repo(house.second / "hub", self.repo, {"c" * 40: files_of(3)}, "other")

    def words(self, house):
        to = ["--path", house.other / "hf"] if self.way == "copy" else ["--to", "secondary"]
        return ["cache", "mv", self.repo, *to, "--yes"]

    def kept(self, house):
        more = [("c" * 40, files_of(3))] if self.way == "link" else []
        return [(self.repo, commit, files) for commit, files in [*self.revisions.items(), *more]]

    def also(self, house):
        """The registration never leads to a place where the model is not whole."""
        if self.way == "rows" and not all(whole(self.row_hub(house), self.repo, *one) for one in self.revisions.items()):
            raise Missing(f"{self.repo} is not whole where it is registered")

    def row_hub(self, house):
        with contextlib.closing(sqlite3.connect(house.state / "models.db")) as database:
            (row,) = database.execute("SELECT cache_path FROM modelregistry WHERE model_name = ?", (self.name,))
        return Path(row[0]) / "hub"

    def reached(self, house):
        folder = house.first / "hub" / folder_name(self.repo)
        target = (house.other / "hf" if self.way == "copy" else house.second) / "hub"
        return not folder.exists() and all(whole(target, self.repo, *one) for one in self.revisions.items())


class Collect(Scenario):
    """gc: nothing that is needed goes, what nobody needs does."""

    weight = 16

    def __init__(self, name, *flags):
        super().__init__(name)
        self.flags = flags
        self.revisions = {OLD: files_of(1), "b" * 40: files_of(2)}

    def prepare(self, house):
        folder = write_repo(house.first / "hub", self.repo, self.revisions)
        for seed in range(3):
            orphan = random_bytes(5000, 900 + seed)
            (folder / "blobs" / hashlib.sha256(orphan).hexdigest()).write_bytes(orphan)
        (folder / "blobs" / f"{'c' * 64}.1234abcd.incomplete").write_bytes(b"half")
        (folder / "blobs" / f"{'d' * 64}.homelab.part").write_bytes(b"half")
        (folder / "refs" / "main.1234abcd.tmp").write_text("b" * 40)
        (folder / "trees").mkdir()
        (folder / "trees" / f"{'d' * 40}.json").write_text("{}")

    def words(self, house):
        return ["cache", "gc", "--older-than", "0s", "--partials", "--yes", *self.flags]

    def kept(self, house):
        return [(self.repo, commit, files) for commit, files in self.revisions.items()]

    def reached(self, house):
        folder = house.first / "hub" / folder_name(self.repo)
        needed = {blob_name(*item) for files in self.revisions.values() for item in files.items()}
        return {blob.name for blob in (folder / "blobs").iterdir()} == needed


class Update(Scenario):
    """A registered model to its newest revision, or back."""

    weight = 14

    def __init__(self, name, back=False):
        super().__init__(name)
        self.back = back
        self.files = {}

    def prepare(self, house):
        served = house.server.add(self.repo, files_of(1))
        house.run("register", self.name, self.repo)
        house.run("pull", self.repo)
        self.files[served.commit] = served.files
        self.goal = served.commit
        served.files, served.commit = files_of(2), hashlib.sha1(self.name.encode() + b"new").hexdigest()
        self.files[served.commit] = served.files
        self.path = house.first / "hub" / folder_name(self.repo)
        if self.back:
            house.run("update", self.name)
        else:
            self.goal = served.commit

    def words(self, house):
        return ["update", self.name, *(["--rollback"] if self.back else [])]

    def kept(self, house):
        ref = (self.path / "refs" / "main").read_text()
        commits = list(self.files) if self.back else {next(iter(self.files)), ref}
        return [(self.repo, commit, self.files[commit]) for commit in commits]

    def reached(self, house):
        return (self.path / "refs" / "main").read_text() == self.goal


class Adopt(Scenario):
    """Loose files by link, by rename, or copied from another file system."""

    weight = 9

    def __init__(self, name, way):
        super().__init__(name)
        self.way = way
        self.files = {"a.Q4.gguf": b"GGUF" + random_bytes(100_000, 1), "b.Q8.gguf": b"GGUF" + random_bytes(50_000, 2),
                      "config.json": b"{}"}
        self.unfinished = (self.repo,)

    def source(self, house):
        return (house.other if self.way == "copy" else house.disk) / "loose"

    def prepare(self, house):
        self.source(house).mkdir()
        for name, content in self.files.items():
            (self.source(house) / name).write_bytes(content)

    def words(self, house):
        flags = {"link": [], "move": ["--move"], "copy": ["--copy"]}[self.way]
        return ["cache", "adopt", self.source(house), "--as", self.repo, *flags]

    def also(self, house):
        """Every file is where it was, or a blob under its own name."""
        blobs = house.first / "hub" / folder_name(self.repo) / "blobs"
        for name, content in self.files.items():
            places = [self.source(house) / name, blobs / blob_name(name, content)]
            if self.way != "move":
                assert places[0].read_bytes() == content
            if not any(place.exists() and place.read_bytes() == content for place in places):
                raise Missing(f"{name} is gone")

    def reached(self, house):
        return whole(house.first / "hub", self.repo, "main", self.files) and (
            self.way != "move" or not any(self.source(house).iterdir()))

    def finish(self, house):
        # Of a killed move some files are blobs already; the command takes those that are left and completes the rest.
        if not self.reached(house):
            house.run(*self.words(house))


class Dedup(Scenario):
    weight = 5

    def promises(self, kind):
        return False      # files that were passed over are told, and the exit code is 0

    def __init__(self, name):
        super().__init__(name)
        shared = random_bytes(120_000, 5)
        self.repos = {f"org/{n}": {"model.gguf": shared, "name.json": n.encode()} for n in ("one", "two", "three")}

    def prepare(self, house):
        for repo, files in self.repos.items():
            write_repo(house.first / "hub", repo, {OLD: files})

    def words(self, house):
        return ["cache", "dedup"]

    def kept(self, house):
        return [(repo, OLD, files) for repo, files in self.repos.items()]

    def reached(self, house):
        blobs = [(house.first / "hub").glob("models--*/snapshots/*/model.gguf")]
        found = [path.stat() for paths in blobs for path in paths]
        return len({one.st_ino for one in found}) == 1


class Remove(Scenario):
    """rm of a revision, or prune; into the trash or at once. Another revision and another repository stay."""

    weight = 4

    def __init__(self, name, *words):
        super().__init__(name)
        self.command = words
        self.revisions = {OLD: {**files_of(1), "sub/old.gguf": random_bytes(9000, 3)}, "b" * 40: files_of(2)}

    def prepare(self, house):
        write_repo(house.first / "hub", self.repo, self.revisions)
        write_repo(house.first / "hub", "org/other", {OLD: files_of(1)})

    def words(self, house):
        return ["cache", *self.command, "--yes"]

    def kept(self, house):
        return [(self.repo, "b" * 40, self.revisions["b" * 40]), ("org/other", OLD, files_of(1))]

    def _folder(self, house):
        return house.first / "hub" / folder_name(self.repo)

    def reached(self, house):
        return not (self._folder(house) / "snapshots" / OLD).exists()

    def complete(self, house):
        needed = {blob_name(*item) for item in self.revisions["b" * 40].items()}
        return self.reached(house) and {blob.name for blob in (self._folder(house) / "blobs").iterdir()} == needed

    def finish(self, house):
        if not self.reached(house):
            house.run(*self.words(house))
        if not self.complete(house):     # the revision is out of sight; the rest of it is garbage
            house.run("cache", "gc", "--older-than", "0s", "--yes", "--now")


class Undo(Scenario):
    weight = 4

    def __init__(self, name):
        super().__init__(name)
        self.revisions = {OLD: files_of(1), "b" * 40: files_of(2)}

    def prepare(self, house):
        write_repo(house.first / "hub", self.repo, self.revisions)
        house.run("cache", "rm", f"{self.repo}@{OLD}", "--yes")

    def words(self, house):
        return ["cache", "undo"]

    def kept(self, house):
        return [(self.repo, "b" * 40, self.revisions["b" * 40])]

    def reached(self, house):
        return whole(house.first / "hub", self.repo, OLD, self.revisions[OLD])


class Repair(Scenario):
    weight = 3

    def __init__(self, name, *flags):
        super().__init__(name)
        self.flags = flags

    def prepare(self, house):
        self.served = house.server.add(self.repo, files_of(1))
        house.run("pull", self.repo)
        name = "model-00001-of-00002.safetensors"
        self.good = self.served.files[name]
        self.bad = b"?" + self.good[1:]
        self.blob = (house.first / "hub" / folder_name(self.repo) / "blobs" /
                     self.served.blob_name(name))
        self.blob.write_bytes(self.bad)
        self.bad_blobs = (self.blob.name,)

    def words(self, house):
        return ["cache", "verify", "--repair", *self.flags]

    def also(self, house):
        """The bad content is kept until the good one is there, with --keep-bad for ever."""
        seen = self.blob.read_bytes() if self.blob.exists() else None
        assert seen in (None, self.bad, self.good), self.blob
        quarantine = house.first / "hub/.locks/.homelab-llm/quarantine"
        kept = [path.read_bytes() for path in quarantine.rglob("*") if path.is_file()]
        if (seen != self.good or self.flags) and self.bad not in (seen, *kept):
            raise Missing("the bad content is gone")

    def reached(self, house):
        return self.blob.exists() and self.blob.read_bytes() == self.good


class Bridge(Scenario):
    """ROOT/models--* and ROOT/hub/models--* become one."""

    weight = 5

    def __init__(self, name):
        super().__init__(name)
        self.mine, self.theirs = files_of(1), {**files_of(1), "more.gguf": random_bytes(20_000, 8)}

    def prepare(self, house):
        write_repo(house.first, self.repo, {OLD: self.mine})
        write_repo(house.first / "hub", self.repo, {"b" * 40: self.theirs})
        write_repo(house.first, "org/only", {OLD: self.mine})

    def words(self, house):
        return ["cache", "bridge"]

    def kept(self, house):
        return [(self.repo, OLD, self.mine), (self.repo, "b" * 40, self.theirs), ("org/only", OLD, self.mine)]

    def anywhere(self, house, repo, commit, files):
        """A reader finds it where it looked before."""
        return whole(house.first / "hub" if commit != OLD else house.first, repo, commit, files)

    def excused(self, warning):
        """For a moment hub/NAME is the link that then changes places with ROOT/NAME; the next run makes the exchange."""
        folder = Path(warning.rpartition(": ")[2])
        return ("Repo path is not a directory" in warning and folder.is_symlink() and
                str(folder.readlink()) == f"hub/{folder.name}" and (folder.parent.parent / folder.name).is_dir())

    def reached(self, house):
        return all((house.first / folder_name(repo)).is_symlink() and
                   whole(house.first / "hub", repo, OLD, self.mine) for repo in (self.repo, "org/only"))


SCENARIOS = [
    Pull("pull-new"), Pull("pull-beside", beside=True), Pull("pull-rest", partly=True),
    Move("mv-rename", "rename"), Move("mv-link", "link"), Move("mv-copy", "copy"),
    Move("mv-rows", "rows"),
    Collect("gc"), Collect("gc-now", "--now"),
    Update("update"), Update("rollback", back=True),
    Adopt("adopt-link", "link"), Adopt("adopt-move", "move"), Adopt("adopt-copy", "copy"),
    Dedup("dedup"), Repair("repair"), Repair("repair-keep", "--keep-bad"), Bridge("bridge"), Undo("undo"),
    Remove("rm", "rm", f"org/rm@{OLD}"), Remove("rm-now", "rm", f"org/rm-now@{OLD}", "--now"),
    Remove("prune", "prune"), Remove("prune-now", "prune", "--now"),
]
