"""`cache mv` between two file systems, and `cache dedup` of equal blobs, against what a careful person does by hand: `cp -a`,
the copy synced to the disk and read again for its SHA-256, the source removed; both files read for their SHA-256, `ln`.

HOMELAB_BENCH_OTHER names a folder on another file system than the temporary one (default: /dev/shm).
"""

import hashlib
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import common  # noqa: E402

FILES = 4
FILE_BYTES = 256 << 20
DEDUP_BYTES = 1 << 30
ROUNDS = 7
GOAL = 0.8
REPO = "bench/move"
FOLDER = "models--bench--move"
COMMIT = "c" * 40
OTHER = pathlib.Path(os.environ.get("HOMELAB_BENCH_OTHER", "/dev/shm"))


def write_repo(hub: pathlib.Path, name: str, contents) -> pathlib.Path:
    """As Python leaves it."""
    folder = hub / name
    snapshot = folder / "snapshots" / COMMIT
    for path in (folder / "blobs", folder / "refs", snapshot):
        path.mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    for number, content in enumerate(contents):
        blob = folder / "blobs" / hashlib.sha256(content).hexdigest()
        blob.write_bytes(content)
        (snapshot / f"model-{number}.safetensors").symlink_to(f"../../blobs/{blob.name}")
    return folder


def blobs_of(number_of_files: int, size: int):
    body = os.urandom(size - 8)
    return [number.to_bytes(8, "big") + body for number in range(number_of_files)]


def sha256_of(path: pathlib.Path) -> str:
    """OpenSSL, one file after the other, in pieces that stay in the processor's cache."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        piece = bytearray(128 << 10)
        while got := file.readinto(piece):
            digest.update(memoryview(piece)[:got])
    return digest.hexdigest()


def sync_tree(folder: pathlib.Path):
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)


def program(home: pathlib.Path, *words):
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "PRIMARY_CACHE_PATH": str(home / "hf"),
                   "SECONDARY_CACHE_PATH": str(home / "second"), "DATABASE_PATH": str(home / "models.db"),
                   "HOMELAB_LLM_PORT": "1", "HF_HUB_OFFLINE": "1"}
    if "HOMELAB_LLM_ENGINE" in os.environ:      # a build without one
        environment["HOMELAB_LLM_ENGINE"] = os.environ["HOMELAB_LLM_ENGINE"]
    subprocess.run([common.SERVER, "cache", *words, "--json"], env=environment, cwd=home, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def processor_seconds() -> float:
    """Of this process and of the programs that it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def seconds_of(work):
    """(by the clock, of processors)"""
    begin, used = time.perf_counter(), processor_seconds()
    work()
    return time.perf_counter() - begin, processor_seconds() - used


class Move:
    """There and back, so that both begin with what the other left; the tree goes from `here` to `there`."""

    def __init__(self, home: pathlib.Path, here: pathlib.Path, there: pathlib.Path):
        self.home, self.here, self.there = home, here, there

    def ours(self):
        program(self.home, "mv", REPO, "--path", str(self.there), "--yes")

    def by_hand(self):
        source, target = self.here / "hub" / FOLDER, self.there / "hub" / FOLDER
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", source, target], check=True)
        sync_tree(target)
        for blob in (target / "blobs").iterdir():
            assert sha256_of(blob) == blob.name
        shutil.rmtree(source)

    def back(self):
        target = self.here / "hub" / FOLDER
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.there / "hub" / FOLDER, target, symlinks=True)
        shutil.rmtree(self.there / "hub" / FOLDER)
        sync_tree(target)


class Dedup:
    def __init__(self, home: pathlib.Path):
        self.home = home
        hub = home / "hf" / "hub"
        (content,) = blobs_of(1, DEDUP_BYTES)
        self.blobs = [next((write_repo(hub, f"models--bench--{name}", [content]) / "blobs").iterdir())
                      for name in ("one", "two")]
        sync_tree(hub)

    def ours(self):
        program(self.home, "dedup")

    def by_hand(self):
        assert all(sha256_of(blob) == blob.name for blob in self.blobs)
        temporary = self.blobs[1].with_suffix(".new")
        os.link(self.blobs[0], temporary)
        temporary.rename(self.blobs[1])
        sync_tree(self.blobs[1].parent)

    def back(self):
        content = self.blobs[0].read_bytes()
        self.blobs[1].unlink()
        self.blobs[1].write_bytes(content)
        sync_tree(self.blobs[1].parent)


def measure(table: common.Table, what: str, one, size: int) -> bool:
    pairs = []
    for number in range(ROUNDS):  # in turns, so that both see the same neighbours
        seconds = [None, None]
        for which in ((0, 1) if number % 2 else (1, 0)):
            seconds[which] = seconds_of((one.ours, one.by_hand)[which])
            one.back()
        pairs.append(seconds)
    ours, peer = ([size / 1e9 / pair[which][0] for pair in pairs] for which in (0, 1))
    ratio = statistics.median(pair[1][0] / pair[0][0] for pair in pairs)
    table.add(f"{what}, GB/s", common.spread(ours), common.spread(peer), f"{ratio:.2f}", f">= {GOAL}", ratio >= GOAL)
    # Neighbours do not count here: on a busy machine this is the firmer number.
    ours, peer = ([pair[which][1] / (size / 1e9) for pair in pairs] for which in (0, 1))
    table.add("  processor seconds per GB", common.spread(ours), common.spread(peer), f"{min(peer) / min(ours):.2f}")
    return ratio >= GOAL


def main() -> int:
    table = common.Table(f"cache mv ({FILES} files of {FILE_BYTES >> 20} MiB) and dedup (2 of {DEDUP_BYTES >> 30} GiB) "
                         "against cp/ln and reading for SHA-256")
    reached = True
    with tempfile.TemporaryDirectory(prefix="homelab-bench-") as disk, \
            tempfile.TemporaryDirectory(prefix="homelab-bench-", dir=OTHER) as other:
        disk, other = pathlib.Path(disk), pathlib.Path(other)
        if disk.stat().st_dev == other.stat().st_dev:
            print(f"{OTHER} is the same file system as {disk}; set HOMELAB_BENCH_OTHER", file=sys.stderr)
            return 1
        # The database and settings are at the source's side; a custom root is the target.
        for what, home, target in (("mv, disk to memory", disk / "a", other / "x"),
                                   ("mv, memory to disk", other / "b", disk / "y")):
            write_repo(home / "hf" / "hub", FOLDER, blobs_of(FILES, FILE_BYTES))
            sync_tree(home)
            reached &= measure(table, what, Move(home, home / "hf", target), FILES * FILE_BYTES)
            shutil.rmtree(home)
        (disk / "c").mkdir()
        reached &= measure(table, "dedup, both blobs", Dedup(disk / "c"), 2 * DEDUP_BYTES)
    table.show()
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
