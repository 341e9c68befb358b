"""Decode and prefill of our engine and of our server against the genuine llama-server: same libraries, same flags.

1, 4 and 8 requests at a time, for SmolLM2 in Q4_1, Q8_0 and BF16 (a GGUF and safetensors). All programs stand loaded
side by side and are asked in turn, in random order; ratios are medians over the turns. The flags are those our server
gives to its engine.
"""

import contextlib
import http.client
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import common  # noqa: E402
from processes import LLAMA_SERVER, complete, running, wait_until_healthy  # noqa: E402

sys.path.insert(0, str(common.ROOT / "tests" / "engine"))
from model_maker import SmolLm2  # noqa: E402

ROUNDS = int(os.environ.get("HOMELAB_BENCH_ROUNDS", "15"))
STREAMS = (1, 4, 8)
TOKENS = 48
SLOTS, CONTEXT = 8, 1024
THREADS = max(1, len(os.sched_getaffinity(0)) - 1)
FLAGS = ("-c", SLOTS * CONTEXT, "-np", SLOTS, "-t", THREADS, "--cache-ram", 256)
GOAL = 0.98
LONG = " ".join(f"word{number}" for number in range(128))  # about 500 tokens


def at_once(count: int, ask) -> float:
    """Seconds until the last of `count` calls has its answer."""
    threads = [threading.Thread(target=ask, args=(number,)) for number in range(count)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begin


def socket_decode(socket: pathlib.Path, count: int) -> float:
    def ask(number: int):
        answer = complete(socket, {"prompt": f"Number {number} is", "n_predict": TOKENS, "temperature": 0,
                                   "ignore_eos": True, "cache_prompt": False})
        assert answer["tokens_predicted"] == TOKENS, answer

    return count * TOKENS / at_once(count, ask)


def socket_prefill(socket: pathlib.Path) -> float:
    begin = time.perf_counter()
    answer = complete(socket, {"prompt": LONG, "n_predict": 1, "temperature": 0, "cache_prompt": False})
    return answer["tokens_evaluated"] / (time.perf_counter() - begin)


def server_decode(port: int, count: int) -> float:
    def ask(number: int):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        body = {"model": "bench", "prompt": f"Number {number} is", "max_tokens": TOKENS, "temperature": 0,
                "ignore_eos": True, "cache_prompt": False}
        connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read())
        assert answer["usage"]["completion_tokens"] == TOKENS, answer

    return count * TOKENS / at_once(count, ask)


@contextlib.contextmanager
def our_server(model: pathlib.Path):
    settings = {"HOMELAB_LLM_THREADS": str(THREADS), "HOMELAB_LLM_SLOTS": str(SLOTS),
                "HOMELAB_LLM_CONTEXT": str(CONTEXT)}
    with common.running_server(settings) as (port, _, folder, _):
        row = {"model_name": "bench", "hf_path": str(model), "cache_location": "custom", "cache_path": str(folder)}
        status, answer = common.call(port, "POST", "/api/models", row)
        assert status == 201, answer
        status, answer = common.call(port, "POST", "/api/orchestrate/load", {"model_name": "bench"})
        assert status == 200, answer
        yield port


def in_turn(parts: dict) -> dict[str, list[float]]:
    results = {name: [] for name in parts}
    for _ in range(ROUNDS):
        for name in random.sample(list(parts), k=len(parts)):
            results[name].append(parts[name]())
    return results


def compare(table, what: str, results, peer: str) -> bool:
    reached = True
    for name in results:
        if name == peer:
            continue
        ratio = statistics.median(a / b for a, b in zip(results[name], results[peer]))
        reached &= ratio >= GOAL
        table.add(f"{what}, {name}", common.spread(results[name]), common.spread(results[peer]), f"{ratio:.3f}",
                  f">= {GOAL}", ratio >= GOAL)
    return reached


def measure(table, name: str, model: pathlib.Path, peer_model: pathlib.Path) -> bool:
    reached = True
    with (running(common.ENGINE, "-m", model, *FLAGS) as ours, running(LLAMA_SERVER, "-m", peer_model, *FLAGS) as peer,
          contextlib.ExitStack() as stack):
        for process, socket, _ in (ours, peer):
            wait_until_healthy(process, socket)
        # A registration of a folder names a repository; the server is measured with the files.
        port = stack.enter_context(our_server(model)) if model.is_file() else None
        for count in STREAMS:
            parts = {"engine": lambda: socket_decode(ours[1], count),
                     "llama-server": lambda: socket_decode(peer[1], count)}
            if port:
                parts["server"] = lambda: server_decode(port, count)
            reached &= compare(table, f"{name}, {count} at once, tokens/s", in_turn(parts), "llama-server")
        prefill = in_turn({"engine": lambda: socket_prefill(ours[1]), "llama-server": lambda: socket_prefill(peer[1])})
        reached &= compare(table, f"{name}, prefill, tokens/s", prefill, "llama-server")
    return reached


def main() -> int:
    if not LLAMA_SERVER.exists():
        subprocess.run([common.ROOT / "tools" / "build.sh", "dev", "llama-server"], check=True)
    table = common.Table(f"SmolLM2-135M, {THREADS} thread(s), {ROUNDS} rounds (min / median / max)")
    reached = True
    with tempfile.TemporaryDirectory(prefix="homelab-bench-") as folder:
        made = pathlib.Path(folder)
        model = SmolLm2(common.test_model())
        q8 = model.write_gguf(made / "q8.gguf", "Q8_0")
        bf16 = model.write_gguf(made / "bf16.gguf", "BF16")
        safetensors = model.write_folder(made / "safetensors", "BF16")
        for name, ours, peer in (("Q4_1", common.test_model(), common.test_model()), ("Q8_0", q8, q8),
                                 ("BF16", bf16, bf16), ("BF16 safetensors", safetensors, bf16)):
            reached &= measure(table, name, ours, peer)
    table.show()
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
