"""Makes a hub folder with many small repositories, shaped like those that the Python client leaves."""

import hashlib
import os
import pathlib
import sys


def make_repository(hub: pathlib.Path, number: int, files: int) -> None:
    """`files` blobs and as many links, one revision, every fifth file in a sub-folder."""
    repo = hub / f"models--organisation--model-{number:05}"
    commit = hashlib.sha1(repo.name.encode()).hexdigest()
    snapshot = repo / "snapshots" / commit
    for folder in (repo / "blobs", repo / "refs", snapshot / "onnx"):
        folder.mkdir(parents=True)
    (repo / "refs" / "main").write_text(commit)
    for at in range(files):
        content = f"{number} {at}\n".encode()
        blob = hashlib.sha256(content).hexdigest()
        (repo / "blobs" / blob).write_bytes(content)
        if at % 5 == 0:
            os.symlink(f"../../../blobs/{blob}", snapshot / "onnx" / f"part-{at:05}.safetensors")
        else:
            os.symlink(f"../../blobs/{blob}", snapshot / f"model-{at:05}-of-{files:05}.safetensors")


def make_cache(hub: pathlib.Path, repositories: int, files: int) -> None:
    hub.mkdir(parents=True)
    for number in range(repositories):
        make_repository(hub, number, files)


if __name__ == "__main__":
    make_cache(pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
