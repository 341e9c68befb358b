"""Engines and llama-servers for the benchmarks, as processes on a Unix socket."""

import contextlib
import json
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import common  # noqa: E402

LLAMA_SERVER = common.ROOT / "build" / "bin" / "llama-server"


@contextlib.contextmanager
def running(program: pathlib.Path, *arguments):
    """Yields (process, path of its socket, when it was started)."""
    with tempfile.TemporaryDirectory(prefix="homelab-bench-") as folder:
        socket = pathlib.Path(folder) / "e.sock"
        begin = time.perf_counter()
        # llama-server looks for its back ends in the folder it runs in.
        process = subprocess.Popen([program, *map(str, arguments), "--host", socket], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, cwd=common.ROOT / "build" / "lib" / "engine")
        try:
            yield process, socket, begin
        finally:
            process.kill()
            process.wait()


def wait_until_healthy(process, socket: pathlib.Path):
    while True:
        with contextlib.suppress(OSError):
            connection = common.UnixConnection(str(socket))
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        if process.poll() is not None:
            raise RuntimeError("the engine ended at start")
        time.sleep(0.001)


def complete(socket: pathlib.Path, body: dict) -> dict:
    connection = common.UnixConnection(str(socket))
    connection.request("POST", "/completion", json.dumps(body), {"Content-Type": "application/json"})
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def first_token(socket: pathlib.Path, prompt: str):
    connection = common.UnixConnection(str(socket))
    connection.request("POST", "/completion", json.dumps({"prompt": prompt, "n_predict": 1, "stream": True}),
                       {"Content-Type": "application/json"})
    connection.getresponse().readline()
