"""`cache verify` against the processor's own SHA-256: the same bytes, out of memory, in as many threads. The files are in
the page cache, so the disk is not what is measured."""

import hashlib
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import common  # noqa: E402

FILES = 8
FILE_BYTES = 192 << 20
ROUNDS = 7
GOAL = 0.9
THREADS = len(os.sched_getaffinity(0))


def make_cache(hub: pathlib.Path):
    """One repository of large blobs; the contents differ in their first bytes only, the hash does not mind."""
    body = os.urandom(FILE_BYTES)
    blobs = hub / "models--bench--verify" / "blobs"
    blobs.mkdir(parents=True)
    for number in range(FILES):
        content = number.to_bytes(8, "big") + body[8:]
        (blobs / hashlib.sha256(content).hexdigest()).write_bytes(content)
    return body


def hash_in_memory(body) -> float:
    """Seconds for the same number of bytes; hashlib is OpenSSL without the interpreter's lock."""
    left = iter(range(FILES))
    lock = threading.Lock()

    def work():
        while True:
            with lock:
                if next(left, None) is None:
                    return
            # In pieces that stay in the processor's cache: this is the limit, not the memory's.
            digest, piece = hashlib.sha256(), body[:128 << 10]
            for _ in range(FILE_BYTES // len(piece)):
                digest.update(piece)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begin


def verify(folder, *flags) -> float:
    environment = {"PATH": os.environ["PATH"], "HOME": folder, "PRIMARY_CACHE_PATH": folder, "HF_HUB_OFFLINE": "1"}
    begin = time.perf_counter()
    subprocess.run([common.SERVER, "cache", "verify", "--location", "primary", "--json", *flags], env=environment,
                   cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begin


def main() -> int:
    table = common.Table(f"cache verify: {FILES} files of {FILE_BYTES >> 20} MiB, {THREADS} threads")
    with tempfile.TemporaryDirectory(prefix="homelab-bench-") as folder:
        body = make_cache(pathlib.Path(folder) / "hub")
        pairs = []
        for number in range(ROUNDS):  # in turns, so that both see the same neighbours
            both = [lambda: verify(folder, "--all-again"), lambda: hash_in_memory(body)]
            seconds = [None, None]
            for which in ((0, 1) if number % 2 else (1, 0)):
                seconds[which] = both[which]()
            pairs.append(seconds)
        gigabytes = FILES * FILE_BYTES / 1e9
        ours = [gigabytes / pair[0] for pair in pairs]
        limit = [gigabytes / pair[1] for pair in pairs]
        ratio = statistics.median(pair[1] / pair[0] for pair in pairs)
        table.add("every byte, GB/s", common.spread(ours), common.spread(limit), f"{ratio:.2f}", f">= {GOAL}",
                  ratio >= GOAL)
        again = [verify(folder) for _ in range(3)]
        table.add("again, nothing touched, ms", common.spread([second * 1e3 for second in again]))
    table.show()
    return 0 if ratio >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
