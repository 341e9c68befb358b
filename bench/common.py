"""Shared by the benchmarks: starting our server, small HTTP clients, statistics, the table."""

import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SERVER = ROOT / "build" / "bin" / "homelab-llm"
ENGINE = ROOT / "build" / "bin" / "homelab-llm-engine"


def test_model() -> pathlib.Path:
    """The GGUF of `make run`; fetched when it is not there."""
    hub = ROOT / "build" / "offline-hub"
    found = sorted(hub.glob("hub/models--*/snapshots/*/*.gguf"))
    if not found:
        subprocess.run([ROOT / "tools" / "fetch_offline_model.sh"], check=True)
        found = sorted(hub.glob("hub/models--*/snapshots/*/*.gguf"))
    return found[0]


class UnixConnection(http.client.HTTPConnection):
    """HTTP to the engine's own socket."""

    def __init__(self, path: str):
        super().__init__("localhost")
        self.socket_path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self.socket_path)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running_server(extra_environment=None):
    """A server with an empty home in a folder of its own; yields (port, process, folder, seconds to first /health)."""
    with tempfile.TemporaryDirectory(prefix="homelab-bench-") as folder:
        port = free_port()
        environment = {
            "PATH": os.environ["PATH"], "HOME": folder, "XDG_RUNTIME_DIR": folder,
            "PRIMARY_CACHE_PATH": f"{folder}/cache", "DATABASE_PATH": f"{folder}/models.db",
            "HF_HUB_OFFLINE": "1", **(extra_environment or {}),
        }
        begin = time.perf_counter()
        process = subprocess.Popen([SERVER, "serve", "--port", str(port)], env=environment, cwd=folder,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while True:
                try:
                    if call(port, "GET", "/health")[0] == 200:
                        break
                except OSError:
                    if process.poll() is not None:
                        raise RuntimeError("the server ended at start") from None
                    time.sleep(0.0005)
            yield port, process, pathlib.Path(folder), time.perf_counter() - begin
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def call(port: int, method: str, path: str, body=None):
    """One JSON request to our server; gives (status, decoded answer)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text)


def resident_mb(pid: int) -> float:
    pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


def spread(values) -> str:
    return f"{min(values):.2f} / {statistics.median(values):.2f} / {max(values):.2f}"


class Table:
    """Rows of (what, ours, peer, ratio, goal, reached), printed aligned at the end."""

    def __init__(self, title: str):
        self.title = title
        self.rows = []

    def add(self, what: str, ours: str, peer: str = "", ratio: str = "", goal: str = "", reached=None):
        verdict = "" if reached is None else ("yes" if reached else "NO")
        self.rows.append((what, ours, peer, ratio, goal, verdict))

    def show(self):
        rows = [("what", "ours", "peer", "ratio", "goal", "reached"), *self.rows]
        widths = [max(len(row[i]) for row in rows) for i in range(6)]
        print(f"\n{self.title}")
        for row in rows:
            print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
