"""Random interruptions of the real program: kills, power cuts, disk errors, full disks; then an oracle looks at the cache.

One trial: a cache as it was prepared, one command, one to three runs with a fault each, after each of them a look at the
disk; then the command once more without a fault, which must reach its end, and a last look.

    python tests/crash/interruptions.py --count 1000            prints the seed and a table; exit code 1 with failures
    python tests/crash/interruptions.py --seed S --only NUMBER  one trial again
    python tests/crash/interruptions.py --small-disk            instead of faults: really full file systems (tmpfs)

The same seed makes the same choices; what threads do at the same time may differ. A failed trial's folder is kept.
"""

import argparse
import collections
import ctypes
import dataclasses
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
TESTS = Path(__file__).resolve().parents[1]
os.environ.setdefault("HOMELAB_LLM_FAKE_ENGINE", str(TESTS.parent / "build/dev/tests/support/fake_engine/fake_engine"))
sys.path += [str(TESTS / "support"), str(TESTS / "functional"), str(TESTS / "crash")]

from fault_hub import FaultHub  # noqa: E402
from interrupted_work import SCENARIOS, House, Missing, look  # noqa: E402
from power_cut import Disk  # noqa: E402
from running import PROGRAM, command  # noqa: E402

LAYER = PROGRAM.with_name("libfault_disk.so")
KINDS = {"kill": 30, "cut": 35, "eio": 12, "eio_read": 5, "enospc": 18}
SECONDS_PER_RUN = 120


@dataclasses.dataclass
class Size:
    """What a run without faults does; measured once for each scenario."""

    changes: int
    reads: int
    written: int


def fault_settings(house, kind, **more):
    settings = {"LD_PRELOAD": LAYER, "FAULT_DISK_ROOTS": ":".join(map(str, house.roots)), "FAULT_DISK_KIND": kind,
                "FAULT_DISK_REPORT": house.folder / "report", **{f"FAULT_DISK_{k}": v for k, v in more.items()}}
    return {name: str(value) for name, value in settings.items()}


def report_of(house):
    path = house.folder / "report"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def run(house, words, settings):
    for name in ("report", "journal"):
        (house.folder / name).unlink(missing_ok=True)
    return command({**house.env, **settings}, house.folder, *words, timeout=SECONDS_PER_RUN)


def measure(scenario, house):
    """The scenario without a fault reaches its goal, and what it changed was seen by the layer."""
    house.restore()
    disk = Disk(*house.roots)
    done = run(house, scenario.words(house), fault_settings(house, "count", JOURNAL=house.folder / "journal"))
    assert done.returncode == 0, (scenario.name, done.stdout, done.stderr)
    disk.replay(house.folder / "journal")
    look(scenario, house, done=True, end=True)
    (end,) = report_of(house)
    return Size(*map(int, end[1:]))


class Trial:
    def __init__(self, scenario, house, size, chance):
        self.scenario, self.house, self.size, self.chance = scenario, house, size, chance
        self.story = []     # for people: what happened
        self.hits = []      # kinds of faults that struck

    def go(self, kinds):
        self.house.restore()
        for _ in range(self.chance.choice([1, 1, 1, 2, 3])):
            self.interrupt(self.chance.choices(list(kinds), weights=kinds.values())[0])
            if self.scenario.reached(self.house):
                break
        self.scenario.finish(self.house)
        look(self.scenario, self.house, done=True, end=True)

    def interrupt(self, kind):
        house, chance = self.house, self.chance
        disk = Disk(*house.roots) if kind == "cut" else None
        settings = getattr(self, f"_{kind}")()
        done = run(house, self.scenario.words(house), settings)
        struck = [line for line in report_of(house) if line[0] == "fault"]
        self.hits += [kind] if struck else []
        shown = {k.removeprefix("FAULT_DISK_"): v for k, v in settings.items() if k[-2:] in ("AT", "CE", "ES")}
        self.story.append(f"{kind} {shown}: {struck[:3]} -> exit {done.returncode} {done.stderr.strip()[-300:]}")
        allowed = (-9,) if kind in ("kill", "cut") and struck else (0, 1) if struck else (0,)
        assert done.returncode in allowed, done.stderr
        if disk:
            disk.replay(house.folder / "journal")
            disk.cut(chance)
        look(self.scenario, house, done=done.returncode == 0 and (self.scenario.promises(kind) or not struck))

    def _at(self, most):
        return self.chance.randint(1, most + 1)

    def _kill(self):
        return fault_settings(self.house, "kill", AT=self._at(self.size.changes))

    def _cut(self):
        return {**self._kill(), "FAULT_DISK_JOURNAL": str(self.house.folder / "journal")}

    def _eio(self, kind="eio"):
        if self.chance.random() < 0.6:
            return fault_settings(self.house, kind, AT=self._at(self.size.changes if kind == "eio" else self.size.reads))
        return fault_settings(self.house, kind, CHANCE=self.chance.choice([5_000, 30_000, 200_000, 1_000_000]),
                              SEED=self.chance.randrange(1 << 32))

    def _eio_read(self):
        return self._eio("eio_read")

    def _enospc(self):
        return fault_settings(self.house, "enospc", BYTES=self.chance.randint(0, self.size.written))


class SmallDiskTrial(Trial):
    """The house stands on two tmpfs of its own, which become nearly full for a moment. (A download refuses beforehand then,
    because it keeps a reserve free; the budget of the layer shows what it does when the disk fills up meanwhile.)"""

    def interrupt(self, kind):
        free = self.chance.randint(0, self.size.written + 200_000)
        for root in self.house.roots:
            space = os.statvfs(root)
            set_size(root.parent, (space.f_blocks - space.f_bfree) * space.f_frsize + free)
        done = run(self.house, self.scenario.words(self.house), fault_settings(self.house, "count"))
        for root in self.house.roots:
            set_size(root.parent, PLENTY)
        self.story.append(f"{free} bytes free -> exit {done.returncode} {done.stderr.strip()[-300:]}")
        self.hits += ["full"] if done.returncode else []
        assert done.returncode in (0, 1), done.stderr
        look(self.scenario, self.house, done=done.returncode == 0 and self.scenario.promises("enospc"))


class Driver:
    def __init__(self, seed, folder, disks, kinds=None, trial=Trial, names=None):
        self.seed, self.kinds, self.trial = seed, kinds or KINDS, trial
        self.hub = FaultHub()
        self.houses, self.sizes = {}, {}
        self.scenarios = [scenario for scenario in SCENARIOS if names is None or scenario.name in names]
        self.folder, self.disks = folder, disks
        self.table = collections.Counter()      # (scenario, kind) -> faults that struck
        self.failures = []
        self.most_failures = 20

    def house(self, scenario):
        if scenario.name not in self.houses:
            house = House(self.folder / scenario.name, [disk / scenario.name for disk in self.disks], self.hub)
            scenario.prepare(house)
            house.save()
            self.houses[scenario.name] = house
            self.sizes[scenario.name] = measure(scenario, house)
        return self.houses[scenario.name]

    def one(self, number):
        chance = random.Random(f"{self.seed}/{number}")
        scenario = chance.choices(self.scenarios, weights=[one.weight for one in self.scenarios])[0]
        house = self.house(scenario)
        trial = self.trial(scenario, house, self.sizes[scenario.name], chance)
        try:
            trial.go(self.kinds)
        except (AssertionError, Missing, OSError, subprocess.TimeoutExpired):
            kept = self.folder / f"failed-{number}"
            house.keep(kept)
            self.failures.append(f"--seed {self.seed} --only {number} ({scenario.name})\n" + "\n".join(trial.story) +
                                 f"\n{traceback.format_exc()}\nkept in {kept}")
        for kind in trial.hits:
            self.table[scenario.name, kind] += 1
        return trial

    def run(self, numbers, seconds=None):
        """Ends early only when `seconds` are over; says how many trials were made."""
        begin = time.monotonic()
        made = 0
        for number in numbers:
            self.one(number)
            made += 1
            if len(self.failures) >= self.most_failures or (seconds and time.monotonic() - begin > seconds):
                break
        self.hub.close()
        return made

    def summary(self):
        kinds = sorted({kind for _, kind in self.table})
        lines = [f"{'':16}" + "".join(f"{kind:>10}" for kind in kinds)]
        for name in sorted({name for name, _ in self.table}):
            lines.append(f"{name:16}" + "".join(f"{self.table[name, kind]:10}" for kind in kinds))
        lines.append(f"{'all':16}" + "".join(f"{sum(n for (_, k), n in self.table.items() if k == kind):10}"
                                             for kind in kinds))
        return "\n".join(lines)


PLENTY = 8 << 30      # of address space; a tmpfs takes what is written
MS_REMOUNT = 32


def set_size(folder, size_bytes, flags=MS_REMOUNT):
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"size={max(size_bytes, 4096)}".encode()
    if libc.mount(b"small", bytes(folder), b"tmpfs", flags, options) != 0:
        raise OSError(ctypes.get_errno(), f"mount {folder}: {os.strerror(ctypes.get_errno())}")


def mount_small_disks(folder):
    """Two file systems; only in a mount namespace of our own (`unshare -rm`)."""
    disks = [folder / "disk", folder / "other"]
    for disk in disks:
        disk.mkdir()
        set_size(disk, PLENTY, flags=0)
    return disks


def arguments(words):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", default=None)
    parser.add_argument("--only", type=int)
    parser.add_argument("--scenario", action="append", choices=[scenario.name for scenario in SCENARIOS])
    parser.add_argument("--kind", action="append", choices=list(KINDS))
    parser.add_argument("--folder", type=Path, help="where the trials are made (default: a temporary folder)")
    parser.add_argument("--small-disk", action="store_true")
    return parser.parse_args(words)


def main(words):
    chosen = arguments(words)
    seed = chosen.seed or str(random.SystemRandom().randrange(1 << 32))
    print(f"seed {seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="interruptions-", dir=chosen.folder))
    fast = None
    if chosen.small_disk:
        disks, trial = mount_small_disks(folder), SmallDiskTrial
    else:
        fast = Path(tempfile.mkdtemp(prefix="interruptions-", dir="/dev/shm"))
        disks, trial = [fast, folder / "disk"], Trial
    kinds = {kind: KINDS[kind] for kind in chosen.kind} if chosen.kind else None
    driver = Driver(seed, folder, disks, kinds, trial, chosen.scenario)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = driver.run([chosen.only] if chosen.only is not None else range(chosen.count))
    print(driver.summary())
    print(f"{made} trials, {sum(driver.table.values())} interruptions, {len(driver.failures)} failures")
    if driver.failures:
        print("\n\n".join(driver.failures))
        return 1
    shutil.rmtree(folder, ignore_errors=chosen.small_disk)  # its file systems go with the namespace
    if fast:
        shutil.rmtree(fast)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
