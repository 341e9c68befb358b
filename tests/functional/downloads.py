"""What the download tests share: the fetch program, model repositories of random bytes, checks of the cache."""

import hashlib
import json
import os
import pathlib
import subprocess
import sys
import warnings

import huggingface_hub
from fault_hub import git_oid, random_bytes

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FETCH = pathlib.Path(os.environ.get("HUB_FETCH_BIN", ROOT / "build" / "bin" / "hub_fetch"))
REPO = "org/model"


def model_files(weight_bytes=3_000_000, shards=2, small=5) -> dict:
    """A safetensors repository in which every file belongs to the plan, so that Python finds the snapshot complete."""
    names = [f"model-{i + 1:05}-of-{shards:05}.safetensors" for i in range(shards)]
    files = {name: random_bytes(weight_bytes + i, i) for i, name in enumerate(names)}
    files["config.json"] = b'{"model_type": "llama"}'
    files["tokenizer.json"] = random_bytes(300_000, 77)
    files["README.md"] = b"# Model\n"
    files["model.safetensors.index.json"] = json.dumps(
        {"weight_map": {f"w{i}": name for i, name in enumerate(names)}}).encode()
    for i in range(small):
        files[f"extra_{i}.json"] = json.dumps({"number": i, "text": "é" * i}).encode()
    files["chat_template.jinja"] = b""
    return files


def fetch_environment(**settings) -> dict:
    return {"PATH": os.environ["PATH"], "HUB_FETCH_RETRY_UNIT_MS": "20", **settings}


def start_fetch(hub, folder, reference=REPO, *flags, stderr=subprocess.PIPE, **settings) -> subprocess.Popen:
    return subprocess.Popen([FETCH, hub.endpoint, str(folder), reference, *flags], env=fetch_environment(**settings),
                            stdout=subprocess.PIPE, stderr=stderr, text=True)


def finish(process, timeout=120):
    """(exit code, the JSON it printed)."""
    out, err = process.communicate(timeout=timeout)
    assert process.returncode in (0, 1), f"exit {process.returncode}: {err}"
    return process.returncode, json.loads(out)


def fetch(hub, folder, reference=REPO, *flags, **settings):
    return finish(start_fetch(hub, folder, reference, *flags, **settings))


def fetch_ok(hub, folder, reference=REPO, *flags, **settings) -> dict:
    code, answer = fetch(hub, folder, reference, *flags, **settings)
    assert code == 0, answer
    return answer


def size_now(path: pathlib.Path) -> int:
    """Bytes of a file that another program may be making, renaming or removing just now; 0 when there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def repo_folder(folder, repo=REPO) -> pathlib.Path:
    return pathlib.Path(folder) / ("models--" + repo.replace("/", "--"))


def check_visible_is_right(folder, repo):
    """Whatever is visible, complete or not, must be right: each blob has the hash of its name, each link a target."""
    root = repo_folder(folder, repo.id)
    for blob in (root / "blobs").glob("*"):
        if blob.name.endswith(".homelab.part"):
            continue
        content = blob.read_bytes()
        wanted = hashlib.sha256(content).hexdigest() if len(blob.name) == 64 else git_oid(content)
        assert blob.name == wanted, f"{blob.name} has other content"
    for link in (root / "snapshots").rglob("*"):
        if link.is_dir():
            continue
        path = str(link.relative_to(root / "snapshots" / repo.commit))
        assert link.exists(), f"{path} dangles"
        assert link.read_bytes() == repo.files[path]


def check_complete(folder, repo):
    """Complete for us, for Python offline and for Python's cache scanner."""
    check_visible_is_right(folder, repo)
    root = repo_folder(folder, repo.id)
    assert (root / "refs" / "main").read_bytes() == repo.commit.encode()
    snapshot = root / "snapshots" / repo.commit
    found = {str(p.relative_to(snapshot)) for p in snapshot.rglob("*") if not p.is_dir()}
    assert found == set(repo.files)
    assert not list((root / "blobs").glob("*.part")), "a partial is left over"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = huggingface_hub.snapshot_download(repo.id, cache_dir=folder, local_files_only=True)
        info = huggingface_hub.scan_cache_dir(folder)
    assert path == str(snapshot.resolve())
    assert not info.warnings, info.warnings
    (seen,) = [r for r in info.repos if r.repo_id == repo.id]
    assert seen.nb_files == len({repo.blob_name(path) for path in repo.files})


def python_client(folder, code, **settings) -> dict:
    """Runs `code` with the real huggingface_hub in a process of its own; it sees `folder` and prints one JSON object."""
    home = pathlib.Path(folder).parent / "python-home"
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "HF_HOME": str(home), "HF_HUB_OFFLINE": "1",
                   "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
                   **settings}
    done = subprocess.run([sys.executable, "-c", f"import json\nfolder = {str(folder)!r}\n{code}"], env=environment,
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])
