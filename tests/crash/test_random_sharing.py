"""The newest huggingface_hub and one of 2024 use a cache while our program pulls, updates, moves, verifies and collects
garbage in it, everything at random: reads are always right, the scanner never warns, nothing dangles.

HOMELAB_LLM_SHARING_SECONDS and HOMELAB_LLM_SEED choose how long and which.
"""

import hashlib
import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from fault_hub import FaultHub, random_bytes
from interrupted_work import files_of, folder_name
from running import ROOT, command, environment
from seed import chosen_seed
from test_cli import FAKE_ENGINE

SECONDS = float(os.environ.get("HOMELAB_LLM_SHARING_SECONDS", "20"))
SEED = chosen_seed()
OLD_PYTHON = ROOT / "build" / "venv-old-client" / "bin" / "python"
CLIENTS = {"new": sys.executable, "old": OLD_PYTHON}
SHARED, MOVING, OURS = ["org/one", "org/two"], "org/moving", "org/ours"
PRIVATE = {name: f"org/private-{name}" for name in CLIENTS}
REVISIONS = 8
JUDGE = """
import json, sys
from huggingface_hub import scan_cache_dir
print(json.dumps([str(warning) for hub in sys.argv[1:] for warning in scan_cache_dir(hub).warnings]))
"""


def revisions(seed):
    """[(commit, files)]; some files stay, some change."""
    shared = {"tokenizer.json": random_bytes(30_000, seed), "fixed.json": random_bytes(60_000, seed + 1)}
    return [(hashlib.sha1(b"%d/%d" % (seed, number)).hexdigest(), files_of(seed + number, **shared))
            for number in range(REVISIONS)]


class Place:
    def __init__(self, folder: Path, server: FaultHub):
        self.folder, self.server = folder, server
        self.first, self.second = folder / "hf", folder / "second"
        self.hubs = [self.first / "hub", self.second / "hub"]
        self.env = environment(folder / "home", PRIMARY_CACHE_PATH=self.first, SECONDARY_CACHE_PATH=self.second,
                               DATABASE_PATH=folder / "models.db", HF_ENDPOINT=server.endpoint, HOMELAB_LLM_PORT="1",
                               HOMELAB_LLM_ENGINE=FAKE_ENGINE)
        self.chance = random.Random(SEED)
        self.history = {repo: revisions(1000 * number) for number, repo in
                        enumerate([*SHARED, MOVING, OURS, *PRIVATE.values()])}
        self.wrong, self.done, self.orphans, self.refused = [], [], [], []
        for hub in self.hubs:
            hub.mkdir(parents=True)
        for repo, commits in self.history.items():
            server.add(repo, commits[0][1], commit=commits[0][0])
        for repo in (MOVING, OURS, SHARED[0]):
            self.ours("pull", repo)
        self.ours("register", "one", SHARED[0])
        assert self.wrong == []
        self.done.clear()

    def settings(self):
        digests = {repo: {commit: {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
                          for commit, files in commits} for repo, commits in self.history.items()}
        path = self.folder / "settings.json"
        path.write_text(json.dumps({
            "endpoint": self.server.endpoint, "home": str(self.folder / "python-home"), "hubs": list(map(str, self.hubs)),
            "sha256": digests, "shared": SHARED, "ours": [OURS], "moving": MOVING, "private": PRIVATE, "seed": SEED,
            "seconds": SECONDS}))
        return path

    def ours(self, *words, codes=(0,)):
        done = command(self.env, self.folder, *words, timeout=120)
        self.done.append(words[0] if words[0] != "cache" else words[1])
        self.refused += [f"{words}: {done.stdout[-300:]}{done.stderr[-300:]}"] if done.returncode == 1 else []
        if done.returncode not in codes:
            self.wrong.append(f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def move_main(self):
        repo = self.chance.choice(SHARED)
        served = self.server.repos[repo]
        left = [one for one in self.history[repo] if one[0] not in (served.commit, *served.history)]
        if left:
            served.move(left[0][1], left[0][0])

    def plant_orphan(self):
        """A blob that nobody needs any more, old enough for gc."""
        repo = self.chance.choice([*SHARED, OURS])
        content = random_bytes(3000, self.chance.randrange(1 << 30))
        blobs = self.hubs[0] / folder_name(repo) / "blobs"
        if not blobs.exists():
            return
        blob = blobs / hashlib.sha256(content).hexdigest()
        blob.write_bytes(content)
        os.utime(blob, (time.time() - 90_000,) * 2)
        self.orphans.append(blob)

    def verify(self):
        """Bad may only be what other users are deleting at this moment; changed, what is moved or collected."""
        answer = json.loads(self.ours("cache", "verify", "--json", codes=(0, 1)).stdout)
        self.wrong += ["verify was cancelled"] if answer.get("cancelled") else []
        self.wrong += [str(finding) for repo in answer["repos"] if repo["repo"] not in PRIVATE.values()
                       for finding in repo["findings"] if finding["bad"] and finding["kind"] != "changed"
                       ] if "repos" in answer else [str(answer)]

    def move(self):
        to = "secondary" if (self.hubs[0] / "models--org--moving").exists() else "primary"
        self.ours("cache", "mv", MOVING, "--to", to, "--yes", codes=(0, 1))   # 1: busy

    def loop(self, end, actions):
        while time.monotonic() < end and not self.wrong:
            try:
                self.chance.choice(actions)()
            except Exception as error:  # a thread has nobody to raise to
                self.wrong.append(repr(error))


@pytest.fixture
def place(tmp_path):
    print(f"HOMELAB_LLM_SEED={SEED}")
    with FaultHub() as server:
        yield Place(tmp_path, server)


def test_two_generations_of_python_and_our_program_use_one_cache_at_the_same_time(place):
    assert OLD_PYTHON.exists(), "make venv makes the environment of the old client"
    settings = place.settings()
    clients = {name: subprocess.Popen([python, Path(__file__).with_name("sharing_client.py"), settings, name],
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                      env={"PATH": os.environ["PATH"], "HOME": str(place.folder / "python-home")})
               for name, python in CLIENTS.items()}
    end = time.monotonic() + SECONDS
    gets = [lambda: place.ours("pull", place.chance.choice(SHARED)), lambda: place.ours("update", "one"), place.verify,
            place.move_main, lambda: place.ours("cache", "ls")]
    care = [lambda: place.ours("cache", "gc", "--older-than", "1h", "--yes", codes=(0, 1)), place.plant_orphan, place.move,
            lambda: place.ours("cache", "dedup", codes=(0, 1))]
    ours = [threading.Thread(target=place.loop, args=(end, actions)) for actions in (gets, care)]
    for thread in ours:
        thread.start()
    for thread in ours:
        thread.join()
    reports = {}
    for name, process in clients.items():
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        reports[name] = json.loads(out.splitlines()[-1])
        print(reports[name]["version"], reports[name]["done"])
    print({word: place.done.count(word) for word in sorted(set(place.done))}, len(place.orphans), "orphans")
    print("\n".join(sorted(set(place.refused))))
    wrong = [f"{name}: {one}" for name, report in reports.items() for one in report["wrong"]] + place.wrong
    assert not wrong, "\n\n".join(wrong)
    assert reports["new"]["version"] >= "2" and reports["old"]["version"] < "1"
    assert {"download", "read_offline", "scan"} <= set(reports["old"]["done"]) & set(reports["new"]["done"])
    check_at_rest(place)


def check_at_rest(place):
    """Nobody works any more: now everything is right without exception."""
    place.ours("cache", "gc", "--older-than", "1h", "--yes")
    for blob in place.orphans:
        assert not blob.exists(), "gc took what nobody needs"
    for hub in place.hubs:
        for repo, commits in place.history.items():
            folder = hub / folder_name(repo)
            for snapshot in folder.glob("snapshots/*"):
                files = dict(commits)[snapshot.name]
                for path in snapshot.rglob("*"):
                    assert path.exists(), f"{path} dangles"
                    assert path.is_dir() or path.read_bytes() == files[str(path.relative_to(snapshot))], path
    assert place.ours("cache", "verify", "--all-again").returncode == 0
    assert place.wrong == []
    for name, python in CLIENTS.items():
        done = subprocess.run([python, "-c", JUDGE, *place.hubs], capture_output=True, text=True, check=True)
        warnings = [one for one in json.loads(done.stdout) if name != "old" or "CACHEDIR.TAG" not in one]
        assert warnings == []
