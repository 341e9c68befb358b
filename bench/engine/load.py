"""A load from safetensors against a load of a GGUF of the same type, and against transformers with the same files.

From the start of the process to the first token, everything in the page cache; and the most memory each took. Also a
load of the safetensors that copies (--load-mode none), to see what leaving the weights in their files is worth.
"""

import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import common  # noqa: E402
import gguf  # noqa: E402
from processes import first_token, running, wait_until_healthy  # noqa: E402
from random_llama import RandomLlama, Vocabulary  # noqa: E402

ROUNDS = 7
TRANSFORMERS_ROUNDS = 3
TOKENS = 4096
THREADS = 1
PROMPT = "The capital of France is"
PYTHON = common.ROOT / "build" / "venv-reference" / "bin" / "python"


class Run:
    """Seconds to health and to the first token, and memory in bytes."""

    def __init__(self, healthy: float, first: float, memory: dict[str, int]):
        self.healthy, self.first, self.memory = healthy, first, memory
        self.processor = 0.0  # seconds, user and system, of the whole run


def memory_of(pid: int) -> dict[str, int]:
    fields = {}
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("VmHWM", "RssAnon", "RssFile"):
            fields[name] = int(value.split()[0]) * 1024
    return fields


def ours(model: pathlib.Path, *arguments) -> Run:
    with running(common.ENGINE, "-m", model, "-c", TOKENS, "-np", 1, "-t", THREADS, *arguments) as started:
        process, socket, begin = started
        wait_until_healthy(process, socket)
        healthy = time.perf_counter() - begin
        first_token(socket, PROMPT)
        return Run(healthy, time.perf_counter() - begin, memory_of(process.pid))


def transformers(folder: pathlib.Path) -> Run:
    script = pathlib.Path(__file__).with_name("transformers_first_token.py")
    begin = time.perf_counter()
    with subprocess.Popen([PYTHON, script, folder, str(THREADS)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True) as process:
        process.stdout.readline()
        seconds = time.perf_counter() - begin
        peak = int(process.stdout.readline())
    return Run(seconds, seconds, {"VmHWM": peak, "RssAnon": 0, "RssFile": 0})


def processor_seconds() -> float:
    """Of all programs that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def in_turn(parts: dict) -> dict[str, list[Run]]:
    """Each so often as it says; alternating, so that all see the same neighbours."""
    results = {name: [] for name in parts}
    for number in range(max(rounds for rounds, _ in parts.values())):
        for name, (rounds, run) in parts.items():
            if number < rounds:
                before = processor_seconds()
                results[name].append(run())
                results[name][-1].processor = processor_seconds() - before
    return results


def first_seconds(runs: list[Run]) -> list[float]:
    return [run.first for run in runs]


def report(results: dict[str, list[Run]], weights: int, kv: int) -> bool:
    table = common.Table(f"load of {weights / 1e9:.2f} GB in BF16, {THREADS} thread(s) (min / median / max)")
    times = {name: first_seconds(runs) for name, runs in results.items()}
    reached = True
    for peer, goal, fits in (("GGUF", "<= 1.3", lambda x: x <= 1.3), ("transformers", "<= 0.2", lambda x: x <= 0.2),
                             ("copied", "", None)):
        ratio = statistics.median(times["safetensors"]) / statistics.median(times[peer])
        good = fits(ratio) if fits else None
        reached &= good is not False
        table.add(f"first token, s, against {peer}", common.spread(times["safetensors"]), common.spread(times[peer]),
                  f"{ratio:.2f}", goal, good)
    needed = weights + kv
    for name, runs in results.items():
        table.add(f"processor seconds, {name}", common.spread([run.processor for run in runs]))
        peak = max(run.memory["VmHWM"] for run in runs)
        ours_too = name == "safetensors"
        reached &= not ours_too or peak <= 1.1 * needed
        table.add(f"peak of memory, {name}, MB", f"{peak / 1e6:.0f}", f"{needed / 1e6:.0f}", f"{peak / needed:.2f}",
                  "<= 1.1" if ours_too else "", peak <= 1.1 * needed if ours_too else None)
        table.add("  of that now: own / of files, MB",
                  f"{runs[-1].memory['RssAnon'] / 1e6:.0f} / {runs[-1].memory['RssFile'] / 1e6:.0f}")
    table.show()
    return reached


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="homelab-bench-") as folder:
        model = RandomLlama(Vocabulary.of(gguf.GGUFReader(common.test_model())))
        folder_form = model.write_folder(pathlib.Path(folder) / "safetensors")
        gguf_form = model.write_gguf(pathlib.Path(folder) / "model.gguf")
        for file in (folder_form / "model.safetensors", gguf_form):
            with open(file, "rb") as data:  # into the page cache
                while data.read(1 << 24):
                    pass
        results = in_turn({"safetensors": (ROUNDS, lambda: ours(folder_form)),
                           "GGUF": (ROUNDS, lambda: ours(gguf_form)),
                           "copied": (ROUNDS, lambda: ours(folder_form, "--load-mode", "none")),
                           "transformers": (TRANSFORMERS_ROUNDS, lambda: transformers(folder_form))})
    return 0 if report(results, 2 * model.parameters(), model.kv_bytes(TOKENS)) else 1


if __name__ == "__main__":
    sys.exit(main())
