"""Decode speed and first token through our server, side by side with the engine alone, same process, model and threads.

Decode: /api/generate/stream against llama-bench of the same libraries, and against the engine's own HTTP, for one model
in two sizes, 90 MB and half a gigabyte: llama-bench neither samples nor hands tokens to anybody, which costs the
engine's core the same time per token whatever the model, so the smallest model shows it most. First token: /api/generate/stream against /completion on the engine's own socket, no prompt
reuse. What is compared runs in turn in random order; ratios are medians over the turns.
"""

import http.client
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

import common

sys.path.insert(0, str(common.ROOT / "tests" / "engine"))
from model_maker import SmolLm2  # noqa: E402

ROUNDS = 50
FIRST_TOKEN_ROUNDS = 200
# One word: the time of a long prefill varies by far more than the milliseconds that are looked for.
PROMPT = "Hello"


def events(answer):
    """Data lines of an event stream with the time at which each arrived."""
    for line in answer:
        if line.startswith(b"data: "):
            yield time.perf_counter(), json.loads(line[6:])


def timed(begin: float, arrivals: list[float], count: int):
    """Gives (ms to the first text, tokens/s between the first text and the last)."""
    if len(arrivals) < 2:
        raise RuntimeError("the stream ended without text")
    return (arrivals[0] - begin) * 1000, (count - 1) / (arrivals[-1] - arrivals[0])


def ours(port: int, model: str, tokens: int):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    begin = time.perf_counter()
    connection.request("POST", "/api/generate/stream",
                       json.dumps({"model_name": model, "prompt": PROMPT, "max_tokens": tokens, "do_sample": False}),
                       {"Content-Type": "application/json"})
    arrivals, count = [], 0
    # Read to the end: a client that leaves early makes whoever comes next wait for the step that was running.
    for at, event in events(connection.getresponse()):
        if event["type"] == "error":
            raise RuntimeError(event["error"])
        if event["type"] == "token" and event["text"]:
            arrivals.append(at)
        if event["type"] == "done":
            count = event["output_tokens"]
    connection.close()
    assert count == tokens, f"{count} tokens instead of {tokens}"
    return timed(begin, arrivals, count)


def engine(socket_path: str, tokens: int):
    connection = common.UnixConnection(socket_path)
    begin = time.perf_counter()
    connection.request("POST", "/completion",
                       json.dumps({"prompt": PROMPT, "n_predict": tokens, "temperature": 0, "stream": True,
                                   "cache_prompt": False}),
                       {"Content-Type": "application/json"})
    arrivals = [at for at, event in events(connection.getresponse()) if event.get("content")]
    connection.close()
    return timed(begin, arrivals, tokens)


def llama_bench(model: pathlib.Path, threads: int, tokens: int) -> float:
    program = common.ROOT / "build" / "bin" / "llama-bench"
    out = subprocess.run([program, "-m", model, "-t", str(threads), "-p", "0", "-n", str(tokens), "-r", "1", "-o", "json"],
                         check=True, capture_output=True, text=True,
                         cwd=common.ROOT / "build" / "lib" / "engine").stdout  # it looks for back ends there
    return json.loads(out)[0]["avg_ts"]


def in_turn(rounds: int, parts: dict) -> dict[str, list[float]]:
    results = {name: [] for name in parts}
    for _ in range(rounds):
        for name in random.sample(list(parts), k=len(parts)):
            results[name].append(parts[name]())
    return results


def ratio(results, one: str, other: str) -> float:
    return statistics.median(a / b for a, b in zip(results[one], results[other]))


def measure(table, name: str, model: pathlib.Path, threads: int, tokens: int):
    with common.running_server({"HOMELAB_LLM_THREADS": str(threads)}) as (port, _, folder, _):
        status, answer = common.call(port, "POST", "/api/models", {
            "model_name": "bench", "hf_path": str(model), "cache_location": "custom", "cache_path": str(folder)})
        assert status == 201, answer
        status, answer = common.call(port, "POST", "/api/orchestrate/load", {"model_name": "bench"})
        assert status == 200, answer
        socket_path = str(next(folder.glob("homelab-llm-*/*.sock")))
        ours(port, "bench", tokens)
        speed = in_turn(ROUNDS, {"ours": lambda: ours(port, "bench", tokens)[1],
                                 "engine": lambda: engine(socket_path, tokens)[1],
                                 "llama-bench": lambda: llama_bench(model, threads, tokens)})
        first = in_turn(FIRST_TOKEN_ROUNDS, {"ours": lambda: ours(port, "bench", 2)[0],
                                             "engine": lambda: engine(socket_path, 2)[0]})
    for peer, least in (("llama-bench", 0.98), ("engine", None)):
        value = ratio(speed, "ours", peer)
        table.add(f"{name} decode, tokens/s, against {peer}", common.spread(speed["ours"]), common.spread(speed[peer]),
                  f"{value:.3f}", f">= {least}" if least else "", value >= (least or 0))
    overhead = statistics.median(a - b for a, b in zip(first["ours"], first["engine"]))
    table.add(f"{name} first token, ms, against engine", common.spread(first["ours"]), common.spread(first["engine"]),
              f"+{overhead:.2f} ms", "<= +2 ms", overhead <= 2)


def main():
    model = common.test_model()
    threads = max(1, len(os.sched_getaffinity(0)) - 1)
    table = common.Table(f"SmolLM2-135M, {threads} thread(s) (min / median / max)")
    with tempfile.TemporaryDirectory(prefix="homelab-bench-") as folder:
        measure(table, "Q4_1", model, threads, 64)
        measure(table, "F32", SmolLm2(model).write_gguf(pathlib.Path(folder) / "f32.gguf", "F32"), threads, 24)
    table.show()


if __name__ == "__main__":
    sys.exit(main())
