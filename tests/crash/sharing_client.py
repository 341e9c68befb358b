"""A user of huggingface_hub, whatever its version, beside our program: downloads, reads, scans and deletes at random.

    python sharing_client.py SETTINGS.json SEED   prints one JSON object at the end: what was done, what was wrong
"""

import collections
import hashlib
import json
import os
import random
import sys
import time
import traceback
from pathlib import Path

SETTINGS = json.loads(Path(sys.argv[1]).read_text())
os.environ.update({"HF_ENDPOINT": SETTINGS["endpoint"], "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1",
                   "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HOME": SETTINGS["home"]})

import huggingface_hub  # noqa: E402
from huggingface_hub import hf_hub_download, scan_cache_dir, snapshot_download  # noqa: E402
from huggingface_hub.utils import LocalEntryNotFoundError  # noqa: E402

# Newer versions refuse a snapshot of which files are missing; the reason is a class of its own there.
NOT_COMPLETE = (LocalEntryNotFoundError, *([huggingface_hub.errors.IncompleteSnapshotError]
                                           if hasattr(huggingface_hub.errors, "IncompleteSnapshotError") else []))

HUB, OTHER_HUB = SETTINGS["hubs"]
WANTED = SETTINGS["sha256"]           # repository -> commit -> path -> sha256
MINE = SETTINGS["private"][sys.argv[2]]
OLD = int(huggingface_hub.__version__.split(".")[0]) < 1
chance = random.Random(f"{SETTINGS['seed']}/{sys.argv[2]}")
wrong, counts = [], collections.Counter()


def folder_name(repo):
    return "models--" + repo.replace("/", "--")


def digest_of(path):
    """Old clients remove a link that another client has just made, and make it again: for a moment there is none."""
    for _ in range(20):
        try:
            return hashlib.sha256(path.read_bytes()).hexdigest()
        except FileNotFoundError:
            time.sleep(0.01)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check(repo, folder, all_files):
    folder = Path(folder)
    wanted = WANTED[repo][folder.name]
    found = {}
    for path in folder.rglob("*"):
        try:
            if not path.is_dir():
                found[str(path.relative_to(folder))] = digest_of(path)
        except FileNotFoundError:
            if all_files:
                raise
    for path, digest in found.items():
        if wanted.get(path) != digest:
            wrong.append(f"{folder}/{path}: wrong content")
    if repo == SETTINGS["moving"] and set(found) < set(wanted):
        raise FileNotFoundError("it was moved away after its path was told; read_moving() looks again")
    if all_files and set(found) != set(wanted):
        wrong.append(f"{folder}: {sorted(set(wanted) ^ set(found))} missing or too many")


def download():
    repo = chance.choice([*SETTINGS["shared"], MINE])
    check(repo, snapshot_download(repo, cache_dir=HUB), all_files=True)


def download_file():
    repo = chance.choice(SETTINGS["shared"])
    path = chance.choice(sorted(next(iter(WANTED[repo].values()))))
    found = Path(hf_hub_download(repo, path, cache_dir=HUB))
    commit = found.relative_to(Path(HUB, folder_name(repo), "snapshots")).parts[0]
    if digest_of(found) != WANTED[repo][commit][path]:
        wrong.append(f"{found}: wrong content")


def read_offline():
    """Of a revision that is being downloaded files may be missing; of what is complete nothing may."""
    repo = chance.choice([*SETTINGS["shared"], *SETTINGS["ours"]])
    try:
        folder = snapshot_download(repo, cache_dir=HUB, local_files_only=True)
    except NOT_COMPLETE:
        if repo in SETTINGS["ours"]:
            raise
        return
    if Path(folder).name == "snapshots" and repo in SETTINGS["shared"]:
        return      # an old client was writing the ref in place, so it was empty: a revision named ""
    check(repo, folder, all_files=repo in SETTINGS["ours"])


def read_moving():
    """It is in one of the two caches at every moment; looking in both takes more than a moment."""
    for hub in (HUB, OTHER_HUB) * 5:
        try:
            return check(SETTINGS["moving"], snapshot_download(SETTINGS["moving"], cache_dir=hub, local_files_only=True),
                         all_files=True)
        except (*NOT_COMPLETE, FileNotFoundError):
            continue
    raise AssertionError("in neither cache")


def place_of_moving(hub):
    try:
        found = os.stat(Path(hub, folder_name(SETTINGS["moving"])))
        return found.st_ino, found.st_ctime_ns
    except FileNotFoundError:
        return None


def scan():
    restless = [*SETTINGS["shared"], *SETTINGS["private"].values()]
    for hub in (HUB, OTHER_HUB):
        before = place_of_moving(hub)
        try:
            report = scan_cache_dir(hub)
        except FileNotFoundError:     # what the scanner was looking at was deleted, or moved away
            continue
        moved = before != place_of_moving(hub)
        for warning in map(str, report.warnings):
            # Python writes refs before folders, and deletes one after the other; what is moved away (by one rename) while
            # the scanner looks is missing then. Old scanners do not know the tag of the new ones. All else is wrong.
            known = any(folder_name(repo) in warning for repo in restless)
            known = known or (moved and folder_name(SETTINGS["moving"]) in warning)
            if not known and not (OLD and "CACHEDIR.TAG" in warning):
                wrong.append(f"scan: {warning}")


def delete():
    """The whole of a repository that only this client uses; our program looks at it all the time."""
    try:
        report = scan_cache_dir(HUB)
    except FileNotFoundError:         # as in scan()
        return
    for repo in report.repos:
        if repo.repo_id == MINE:
            report.delete_revisions(*[revision.commit_hash for revision in repo.revisions]).execute()


ACTIONS = {download: 5, download_file: 4, read_offline: 6, read_moving: 5, scan: 5, delete: 2}

end = time.monotonic() + SETTINGS["seconds"]
while time.monotonic() < end and len(wrong) < 20:
    action = chance.choices(list(ACTIONS), weights=ACTIONS.values())[0]
    try:
        action()
        counts[action.__name__] += 1
    except Exception:  # whatever goes wrong is the result
        wrong.append(f"{action.__name__}: {traceback.format_exc()}")
print(json.dumps({"version": huggingface_hub.__version__, "done": counts, "wrong": wrong}))
