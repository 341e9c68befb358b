"""Decode speed of the engine through its own HTTP beside llama-bench on the same libraries, model and threads.

    build/venv/bin/python bench/engine/decode.py MODEL.gguf [--threads N] [--tokens N] [--repeat N]

Alternates the two, so that both see the same disturbances; prints min and median of each and the ratio of the best.
Needs build/bin/homelab-llm-engine and llama-bench beside it (`ninja -C build/release llama-bench`).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "engine"))
from engine_process import BIN, Engine  # noqa: E402


def llama_bench(model: Path, threads: int, tokens: int) -> float:
    # llama-bench looks for back ends in the current folder.
    done = subprocess.run(
        [BIN / "llama-bench", "-m", model, "-t", str(threads), "-p", "0", "-n", str(tokens), "-r", "1", "-o", "json"],
        capture_output=True, text=True, check=True, cwd=BIN.parent / "lib" / "engine",
    )  # fmt: skip
    return json.loads(done.stdout)[0]["avg_ts"]


def own(engine: Engine, tokens: int) -> float:
    body = {"prompt": "Once", "n_predict": tokens, "ignore_eos": True, "temperature": 0, "cache_prompt": False}
    return engine.post("/completion", body)["timings"]["predicted_per_second"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--threads", type=int, default=max(1, len(os.sched_getaffinity(0)) - 1))
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    model = options.model.resolve()
    rates: dict[str, list[float]] = {"engine": [], "llama-bench": []}
    with Engine(model, "-t", str(options.threads)) as engine:
        own(engine, 8)
        for _ in range(options.repeat):
            rates["llama-bench"].append(llama_bench(model, options.threads, options.tokens))
            rates["engine"].append(own(engine, options.tokens))
    print(f"{'':12} {'min':>8} {'median':>8} {'max':>8}  tokens/s")
    for name, values in rates.items():
        print(f"{name:12} {min(values):8.1f} {statistics.median(values):8.1f} {max(values):8.1f}")
    print(f"ratio of the best: {max(rates['engine']) / max(rates['llama-bench']):.3f}")


if __name__ == "__main__":
    main()
