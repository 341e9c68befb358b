"""The cache as a Hub, used by the real huggingface_hub client."""

import hashlib
import json
import os
import subprocess
import sys

import httpx
import pytest

NOTE = "sub dir/nöte+#.txt"
COMMIT = "89abcdef0123456789abcdef0123456789abcdef"


def git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@pytest.fixture(scope="module")
def repo(house):
    """A snapshot as the Hub's client writes it; gives {path: content}."""
    files = {"config.json": b'{"model_type": "llama"}', "tokenizer.json": b"{}", NOTE: b"note",
             "model.safetensors": os.urandom(300_000)}
    folder = house.cache / "hub" / "models--org--mirrored"
    (folder / "blobs").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(COMMIT)
    listing = {}
    for path, content in files.items():
        large = path.endswith(".safetensors")
        blob = hashlib.sha256(content).hexdigest() if large else git_oid(content)
        (folder / "blobs" / blob).write_bytes(content)
        listing[path] = {"size": len(content), "blob_id": git_oid(content)}
        if large:
            listing[path].update(lfs_sha256=blob, lfs_size=len(content))
        link = folder / "snapshots" / COMMIT / path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to("../" * (2 + path.count("/")) + f"blobs/{blob}")
    (folder / "trees").mkdir()
    (folder / "trees" / f"{COMMIT}.json").write_text(json.dumps({"format_version": 1, "files": listing}, indent=1, sort_keys=True))
    return files


def test_resolve_gives_content_and_metadata(house, repo):
    content = repo["model.safetensors"]
    url = "/hub/org/mirrored/resolve/main/model.safetensors"
    head = house.http.head(url)
    assert head.status_code == 200
    assert head.headers["x-repo-commit"] == COMMIT
    assert head.headers["etag"] == f'"{hashlib.sha256(content).hexdigest()}"'
    assert head.headers["content-length"] == str(len(content))
    assert head.headers["accept-ranges"] == "bytes"
    assert house.http.get(url).content == content
    part = house.http.get(url, headers={"range": "bytes=100-199"})
    assert part.status_code == 206 and part.content == content[100:200]
    assert part.headers["content-range"] == f"bytes 100-199/{len(content)}"
    assert house.http.get(url, headers={"range": "bytes=999999-"}).status_code == 416


def test_missing_things_are_named_as_the_hub_names_them(house, repo):
    for path, code in [("/hub/api/models/org/none", "RepoNotFound"), ("/hub/org/none/resolve/main/a", "RepoNotFound"),
                       ("/hub/org/mirrored/resolve/v9/config.json", "RevisionNotFound")]:
        for method in ["GET"] if "/api/" in path else ["GET", "HEAD"]:
            answer = house.http.request(method, path)
            assert answer.status_code == 404
            assert answer.headers["x-error-code"] == code, path


@pytest.mark.parametrize("path", ["..%2f..%2frefs%2fmain", "%2e%2e/%2e%2e/refs/main", "a%00b"])
def test_no_path_leads_out_of_the_snapshot(house, repo, path):
    answer = httpx.get(f"{house.url}/hub/org/mirrored/resolve/main/{path}", trust_env=False)
    assert 400 <= answer.status_code < 500


def client_script(house, tmp_path, script):
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "HF_HOME": str(tmp_path / "hf"), "HF_ENDPOINT": f"{house.url}/hub",
           "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "NO_PROXY": "*"}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_real_client_downloads_files(house, repo, tmp_path):
    out = client_script(house, tmp_path, """
from huggingface_hub import hf_hub_download, HfApi
print(hf_hub_download("org/mirrored", "model.safetensors"))
print(hf_hub_download("org/mirrored", "sub dir/n\\u00f6te+#.txt"))
print(HfApi().model_info("org/mirrored").sha)
""").splitlines()
    assert open(out[0], "rb").read() == repo["model.safetensors"]
    assert open(out[1], "rb").read() == b"note"
    assert out[2] == COMMIT


def test_the_real_client_downloads_a_whole_snapshot(house, repo, tmp_path):
    out = client_script(house, tmp_path, """
from huggingface_hub import snapshot_download
print(snapshot_download("org/mirrored"))
""").strip()
    for path, content in repo.items():
        with open(os.path.join(out, path), "rb") as file:
            assert file.read() == content


def test_the_real_client_sees_that_a_file_is_not_there(house, repo, tmp_path):
    out = client_script(house, tmp_path, """
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError
for arguments, error in [(("org/none", "a"), RepositoryNotFoundError)]:
    try:
        hf_hub_download(*arguments)
    except error:
        print("refused")
try:
    hf_hub_download("org/mirrored", "config.json", revision="v9")
except RevisionNotFoundError:
    print("refused")
""")
    assert out.split() == ["refused", "refused"]
