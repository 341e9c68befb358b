"""Interruptions at random points of the real program (interruptions.py), and proofs that what makes them works.

The number and the seed can be chosen: HOMELAB_LLM_INTERRUPTIONS=1000 HOMELAB_LLM_SEED=7 pytest tests/crash/...
"""

import os
import random
import subprocess
import sys
from pathlib import Path

import interruptions
import pytest
from fault_hub import FaultHub
from interrupted_work import SCENARIOS, House, look
from power_cut import Disk
from seed import chosen_seed

DRIVER = Path(interruptions.__file__)
COUNT = int(os.environ.get("HOMELAB_LLM_INTERRUPTIONS", "150"))
SEED = chosen_seed()


def drive(*words, before=()):
    done = subprocess.run([*before, sys.executable, DRIVER, *map(str, words)], capture_output=True, text=True, timeout=3000)
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5000:]
    return done.stdout


def test_whatever_interrupts_nothing_complete_is_lost_and_the_next_run_finishes(tmp_path):
    shown = drive("--count", COUNT, "--seed", SEED, "--folder", tmp_path)
    struck = int(shown.splitlines()[-1].split(" trials, ")[1].split()[0])
    assert struck >= COUNT // 2, "most faults must strike"


def test_a_really_full_disk_stops_a_command_cleanly_and_the_next_run_finishes(tmp_path):
    """On small file systems of its own; where none can be mounted, with a budget of bytes instead."""
    alone = ("unshare", "--user", "--map-root-user", "--mount")
    can_mount = subprocess.run([*alone, "mount", "-t", "tmpfs", "-o", "size=8m", "none", tmp_path],
                               capture_output=True, check=False).returncode == 0
    count = max(1, COUNT // 5)
    if can_mount:
        drive("--small-disk", "--count", count, "--seed", SEED, "--folder", tmp_path, before=alone)
    else:
        print("no file system can be mounted here: full disks are imitated")
        drive("--kind", "enospc", "--count", count, "--seed", SEED, "--folder", tmp_path)


class Least(random.Random):
    """Every choice about what survives a power cut is the worst: what was not synced is gone."""

    def choice(self, options):
        return options[0]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_what_a_command_said_is_done_survives_a_power_cut_that_keeps_only_what_was_synced(scenario, tmp_path):
    with FaultHub() as hub:
        house = House(tmp_path / "house", [tmp_path / "disk", tmp_path / "other"], hub)
        if scenario.name.endswith("-copy"):
            house.roots[1] = house.other = Path(subprocess.run(["mktemp", "-d", "-p", "/dev/shm"], check=True, text=True,
                                                               capture_output=True).stdout.strip())
        scenario.prepare(house)
        house.save()
        disk = Disk(*house.roots)
        journal = house.folder / "journal"
        done = interruptions.run(house, scenario.words(house),
                                 interruptions.fault_settings(house, "count", JOURNAL=journal))
        assert done.returncode == 0, done.stderr
        disk.replay(journal)
        disk.cut(Least())
        look(scenario, house, done=True, end=True)


@pytest.mark.parametrize("way", [[], ["--now"]], ids=["trash", "now"])
def test_prune_removes_no_revision_while_the_disk_does_not_say_what_a_ref_names(way, tmp_path):
    """Once it took the newest revision then, because no ref was seen to name it."""
    (scenario,) = [one for one in SCENARIOS if one.name == "prune"]
    with FaultHub() as hub:
        house = House(tmp_path / "house", [tmp_path / "disk", tmp_path / "other"], hub)
        scenario.prepare(house)
        before = sorted((house.first / "hub" / "models--org--prune").rglob("*"))
        done = interruptions.run(house, [*scenario.words(house), *way],
                                 interruptions.fault_settings(house, "eio_read", CHANCE=1_000_000))
        assert done.returncode in (0, 1), done.stderr
        assert [line[:2] for line in interruptions.report_of(house)][0] == ["fault", "read"]
        assert sorted((house.first / "hub" / "models--org--prune").rglob("*")) == before


WRITE_AND_RENAME = """
import os, sys
os.chdir(sys.argv[1])
folder = os.open('.', os.O_RDONLY)
file = os.open('new.part', os.O_WRONLY | os.O_CREAT, 0o666)
os.write(file, b'y' * 10000)
if 'data' in sys.argv: os.fsync(file)
os.rename('new.part', 'name')
if 'folder' in sys.argv: os.fsync(folder)
os.kill(os.getpid(), 9)
"""


def survivors(tmp_path, *synced):
    """What `name` holds after 80 power cuts behind the end of a program that replaces it."""
    seen = set()
    for number in range(80):
        root, journal = tmp_path / f"{number}", tmp_path / f"{number}.journal"
        root.mkdir()
        (root / "name").write_bytes(b"x" * 10000)
        disk = Disk(root)
        subprocess.run([sys.executable, "-S", "-E", "-c", WRITE_AND_RENAME, root, *synced], check=False, env={
            "LD_PRELOAD": str(interruptions.LAYER), "FAULT_DISK_ROOTS": str(root), "FAULT_DISK_KIND": "count",
            "FAULT_DISK_JOURNAL": str(journal)})
        disk.replay(journal)
        disk.cut(random.Random(number))
        content = (root / "name").read_bytes()
        seen.add({b"x" * 10000: "old", b"y" * 10000: "new"}.get(content, "broken"))
    return seen


def test_the_model_of_a_power_cut_punishes_every_sync_that_is_left_out(tmp_path):
    ways = {(): {"old", "new", "broken"}, ("folder",): {"new", "broken"}, ("data",): {"old", "new"},
            ("data", "folder"): {"new"}}
    for number, (synced, wanted) in enumerate(ways.items()):
        place = tmp_path / str(number)
        place.mkdir()
        assert survivors(place, *synced) == wanted, synced


def test_a_change_that_the_layer_does_not_see_is_noticed(tmp_path):
    (tmp_path / "name").write_bytes(b"before")
    disk = Disk(tmp_path)
    (tmp_path / "name").write_bytes(b"behind its back")
    with pytest.raises(AssertionError, match="unseen"):
        disk.replay("/nowhere")


@pytest.mark.parametrize("settings, wanted", [
    ({"KIND": "eio", "AT": 2}, "OSError 5 after 0"), ({"KIND": "eio", "AT": 3}, "OSError 5 after 4000"),
    ({"KIND": "enospc", "BYTES": 5000}, "OSError 28 after 5000"), ({"KIND": "enospc", "BYTES": 8000}, "done 8000"),
    ({"KIND": "eio_read", "AT": 1}, "OSError 5 after 8000"), ({"KIND": "count"}, "done 8000"),
    ({"KIND": "eio", "CHANCE": 1_000_000}, "OSError 5 after 0")])
def test_the_layer_breaks_exactly_the_call_it_was_told_to(tmp_path, settings, wanted):
    code = """
import os, sys
written = 0
try:
    file = os.open(sys.argv[1] + '/name', os.O_RDWR | os.O_CREAT, 0o666)
    for _ in range(2):
        left = 4000
        while left:
            done = os.write(file, bytes(left))
            left -= done
            written += done
    os.pread(file, 10, 0)
    print('done', written)
except OSError as error:
    print('OSError', error.errno, 'after', written)
"""
    env = {"LD_PRELOAD": str(interruptions.LAYER), "FAULT_DISK_ROOTS": str(tmp_path),
           **{f"FAULT_DISK_{name}": str(value) for name, value in settings.items()}}
    done = subprocess.run([sys.executable, "-S", "-E", "-c", code, tmp_path], env=env, capture_output=True, text=True,
                          check=True)
    assert done.stdout.strip() == wanted
