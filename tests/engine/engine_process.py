"""Runs homelab-llm-engine and engine_probe, and talks HTTP to the engine's Unix socket."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("HOMELAB_BIN_DIR", ROOT / "build" / "bin"))
ENGINE = BIN / "homelab-llm-engine"
PROBE = BIN / "engine_probe"
PATIENCE_S = 120


def run_engine(*arguments, **options) -> subprocess.CompletedProcess:
    """To the end; text output."""
    return subprocess.run(
        [ENGINE, *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE_S, **options
    )


def last_line(text: str) -> str:
    return text.rstrip("\n").rsplit("\n", 1)[-1]


def describe(path: Path) -> dict:
    done = run_engine("describe", path)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def probe(
    model: Path,
    requests: list[dict],
    vocab_only: bool = False,
    quantised: str | None = None,
    load_mode: str | None = None,
) -> tuple[list[list[int]], np.ndarray]:
    """Token ids of each request, and the logits of those that ask for them, as one flat array.

    `quantised`: the engine's --load-quantized; `load_mode`: its --load-mode.
    """
    with tempfile.TemporaryDirectory() as folder:
        logits = Path(folder) / "logits"
        environment = os.environ | {"LOGITS_FILE": str(logits)}
        if vocab_only:
            environment["VOCAB_ONLY"] = "1"
        if quantised:
            environment["LOAD_QUANTIZED"] = quantised
        if load_mode:
            environment["LOAD_MODE"] = load_mode
        lines = "".join(json.dumps(request) + "\n" for request in requests)
        done = subprocess.run(
            [PROBE, model], input=lines, capture_output=True, text=True, timeout=PATIENCE_S, env=environment
        )
        assert done.returncode == 0, done.stderr[-2000:]
        tokens = [json.loads(line)["tokens"] for line in done.stdout.splitlines()]
        return tokens, np.fromfile(logits, dtype="<f4")


def ends_of_generation(model: Path) -> list[int]:
    environment = os.environ | {"VOCAB_ONLY": "1"}
    done = subprocess.run(
        [PROBE, model], input='{"ends": true}\n', capture_output=True, text=True, timeout=PATIENCE_S, env=environment
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)["ends"]


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path):
        super().__init__("localhost", timeout=PATIENCE_S)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class Engine:
    """A running engine; use as a context manager."""

    def __init__(self, model: Path, *arguments: str, at: Path | None = None):
        self.folder = Path(tempfile.mkdtemp(prefix="engine-"))
        self.socket = at or self.folder / "e.sock"
        self.lifeline_read, self.lifeline_write = os.pipe()
        self.log = open(self.folder / "log", "w+")
        self.process = subprocess.Popen(
            [ENGINE, "--lifeline-fd", str(self.lifeline_read), "-m", model, "--host", self.socket, "-c", "2048",
             "-np", "2", *arguments],
            stderr=self.log, stdout=self.log, pass_fds=[self.lifeline_read],
        )  # fmt: skip
        os.close(self.lifeline_read)

    def __enter__(self) -> "Engine":
        deadline = time.monotonic() + PATIENCE_S
        while not self.healthy():
            assert self.process.poll() is None, self.log_text()[-2000:]
            assert time.monotonic() < deadline, "the engine does not become healthy"
            time.sleep(0.02)
        return self

    def __exit__(self, *_):
        self.cut_lifeline()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder)

    def cut_lifeline(self):
        if self.lifeline_write >= 0:
            os.close(self.lifeline_write)
            self.lifeline_write = -1

    def log_text(self) -> str:
        return (self.folder / "log").read_text()

    def healthy(self) -> bool:
        try:
            return self.request("GET", "/health")[0] == 200
        except OSError:
            return False

    def request(self, method: str, path: str, body: dict | None = None) -> tuple[int, str]:
        connection = UnixConnection(self.socket)
        connection.request(method, path, json.dumps(body) if body is not None else None)
        response = connection.getresponse()
        return response.status, response.read().decode()

    def post(self, path: str, body: dict) -> dict:
        status, text = self.request("POST", path, body)
        assert status == 200, text
        return json.loads(text)
