"""`cache ls` against `du -s` and `hf cache ls` on the same tree; with --large also on 5,000 repositories with a million
entries (made in some minutes, 2 GB of small files), where the memory counts."""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from common import ROOT, SERVER, Table, spread  # noqa: E402
from make_cache import make_cache  # noqa: E402

HF = ROOT / "build" / "venv" / "bin" / "hf"
ROUNDS = 10


def seconds(command, environment) -> float:
    begin = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begin


def in_turns(commands, environment, rounds) -> list[list[float]]:
    """Each command once per round, so that a busy machine is busy for all of them; in milliseconds."""
    times = [[] for _ in commands]
    for _ in range(rounds):
        for at, command in enumerate(commands):
            times[at].append(seconds(command, environment) * 1e3)
    return times


def environment_for(root: pathlib.Path) -> dict:
    return {"PATH": os.environ["PATH"], "HOME": str(root), "PRIMARY_CACHE_PATH": str(root),
            "SECONDARY_CACHE_PATH": str(root / "none"), "HOMELAB_LLM_PORT": "1", "HF_HUB_CACHE": str(root / "hub"),
            "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": "1"}


def compare(table: Table, root: pathlib.Path, what: str, rounds: int, with_python: bool) -> None:
    # HF_HUB_CACHE names the hub folder for all three.
    commands = [[SERVER, "cache", "ls"], ["du", "-s", root / "hub"]] + ([[HF, "cache", "ls"]] if with_python else [])
    times = in_turns(commands, environment_for(root), rounds)
    ours, best = spread(times[0]), min(times[0])
    ratio = min(times[1]) / best
    table.add(f"{what}, ms", ours, f"du: {spread(times[1])}", f"{ratio:.2f}", ">= 1", ratio >= 1)
    if with_python:
        ratio = min(times[2]) / best
        table.add(f"{what}, ms", ours, f"hf: {spread(times[2])}", f"{ratio:.1f}", ">= 12", ratio >= 12)
        table.add(f"{what}, again, ms", ours, f"hf: {spread(times[2])}", f"{ratio:.1f}", ">= 50", ratio >= 50)


def peak_mb(root: pathlib.Path) -> float:
    """Of one `cache du`, which reads everything."""
    process = subprocess.Popen([SERVER, "cache", "du"], env=environment_for(root), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss * 1024 / 1e6


def main() -> int:
    table = Table("cache ls: min / median / max")
    with tempfile.TemporaryDirectory(prefix="homelab-bench-") as folder:
        root = pathlib.Path(folder)
        make_cache(root / "small" / "hub", 300, 20)
        compare(table, root / "small", "300 repositories x 20 files", ROUNDS, True)
        if "--large" in sys.argv[1:]:
            make_cache(root / "large" / "hub", 5000, 100)
            compare(table, root / "large", "5,000 repositories, 1,000,000 entries", 3, False)
            peak = peak_mb(root / "large")
            table.add("the same, cache du, peak MB", f"{peak:.0f}", "", "", "<= 64", peak <= 64)
    table.show()
    return 0


if __name__ == "__main__":
    sys.exit(main())
