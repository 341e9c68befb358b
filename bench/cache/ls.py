"""`cache ls`, first (nothing remembered) and again, against `du -s` and `hf cache ls` on the same tree; with --large also
on 5,000 repositories with a million entries (made in some minutes, 2 GB of small files), where the memory counts."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from common import ROOT, SERVER, Table, spread  # noqa: E402
from make_cache import make_cache  # noqa: E402

HF = ROOT / "build" / "venv" / "bin" / "hf"
ROUNDS = 10


class Command:
    """One command with its times: on the clock and on the processors, in milliseconds, and its memory at most."""

    def __init__(self, words, environment, before=lambda: None):
        self.words, self.environment, self.before = words, environment, before
        self.clock, self.processor, self.peak_mb = [], [], 0.0

    def run(self) -> None:
        self.before()
        begin = time.perf_counter()
        process = subprocess.Popen(self.words, env=self.environment, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        self.clock.append((time.perf_counter() - begin) * 1e3)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, self.words
        self.processor.append((usage.ru_utime + usage.ru_stime) * 1e3)
        self.peak_mb = max(self.peak_mb, usage.ru_maxrss * 1024 / 1e6)


def environment_for(root: pathlib.Path) -> dict:
    return {"PATH": os.environ["PATH"], "HOME": str(root), "PRIMARY_CACHE_PATH": str(root),
            "SECONDARY_CACHE_PATH": str(root / "none"), "HOMELAB_LLM_PORT": "1", "HF_HUB_CACHE": str(root / "hub"),
            "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": "1"}


def compare(table: Table, root: pathlib.Path, what: str, rounds: int, with_python: bool) -> None:
    """Each command once per round, so that a busy machine is busy for all of them."""
    environment = environment_for(root)  # HF_HUB_CACHE names the hub folder for all of them
    ls = [SERVER, "cache", "ls"]
    first = Command(ls, environment, lambda: shutil.rmtree(root / "hub" / ".locks", ignore_errors=True))
    again = Command(ls, environment)
    du = Command(["du", "-s", root / "hub"], environment)
    hf = Command([HF, "cache", "ls"], environment)
    for _ in range(rounds):
        for command in (first, again, du) + ((hf,) if with_python else ()):
            command.run()

    def row(name, ours, peer, peer_name, goal=None):
        ratio = min(peer.clock) / min(ours.clock)
        table.add(f"{what}, {name}, ms", spread(ours.clock), f"{peer_name}: {spread(peer.clock)}", f"{ratio:.1f}",
                  f">= {goal}" if goal else "", ratio >= goal if goal else None)

    row("first", first, du, "du", 1)
    row("again", again, du, "du")
    if with_python:
        row("first", first, hf, "hf", 12)
        row("again", again, hf, "hf", 50)
        ratio = min(hf.processor) / min(again.processor)
        table.add("again, processor ms", spread(again.processor), f"hf: {spread(hf.processor)}", f"{ratio:.1f}")
    else:
        for command, name in ((first, "first"), (again, "again")):
            table.add(f"{what}, {name}, peak MB", f"{command.peak_mb:.0f}", "", "", "<= 64", command.peak_mb <= 64)


def main() -> int:
    table = Table("cache ls: min / median / max")
    with tempfile.TemporaryDirectory(prefix="homelab-bench-") as folder:
        root = pathlib.Path(folder)
        make_cache(root / "small" / "hub", 300, 20)
        compare(table, root / "small", "300 repositories x 20 files", ROUNDS, True)
        if "--large" in sys.argv[1:]:
            make_cache(root / "large" / "hub", 5000, 100)
            compare(table, root / "large", "5,000 repositories, 1,000,000 entries", 3, False)
            peak = Command([SERVER, "cache", "du"], environment_for(root / "large"))
            peak.run()
            table.add("the same, cache du, peak MB", f"{peak.peak_mb:.0f}", "", "", "<= 64", peak.peak_mb <= 64)
    table.show()
    return 0


if __name__ == "__main__":
    sys.exit(main())
