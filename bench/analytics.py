"""Questions about 1,000,000 recorded runs, and how long a row of an upgraded file takes to be counted."""

import datetime
import http.client
import random
import sqlite3
import statistics
import sys
import tempfile
import time

import common

RUNS = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
GOAL_MS = 100
ROUNDS = 9
QUESTIONS = {
    "summary of everything": "/api/analytics/summary",
    "summary by model": "/api/analytics/summary?by=model",
    "summary by revision, last 30 days": "/api/analytics/summary?by=revision&since=30d",
    "one model, last 90 minutes": "/api/analytics/summary?model=model-3&since=90m",
    "series by day, all models": "/api/analytics/series?bucket=day&by=model",
    "series by hour, last 7 days": "/api/analytics/series?bucket=hour&since=7d",
    "two revisions": "/api/analytics/compare?model=model-1&a=commit-0&b=commit-1",
    "slower than before, all models": "/api/analytics/regressions",
    "newest 100 runs": "/api/analytics/runs?limit=100",
}


def rows():
    """Runs of five models over a year, two revisions and three endpoints each."""
    rng = random.Random(7)
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    for i in range(RUNS):
        when = now - datetime.timedelta(days=364) * (1 - i / RUNS)
        model = rng.randrange(5)
        speed = rng.lognormvariate(4, 0.4)
        yield (when.strftime("%Y-%m-%d %H:%M:%S.%f"), model + 1, f"model-{model}", f"commit-{2 * i // RUNS}", "b1",
               rng.choice(["/api/generate", "/v1/chat/completions", "/ollama/api/chat"]), 50, 100, 1e5 / speed,
               rng.lognormvariate(4, 1), speed, speed * 20, rng.random() < 0.02)


def fill(folder):
    """A database of RUNS rows; none of them is counted yet."""
    settings = {"DATABASE_PATH": f"{folder}/models.db"}
    with common.running_server(settings) as (port, *_):
        for i in range(5):
            common.call(port, "POST", "/api/models", {"model_name": f"model-{i}", "hf_path": "org/model"})
    database = sqlite3.connect(f"{folder}/models.db")
    with database:
        database.execute("PRAGMA synchronous = OFF")
        database.execute("UPDATE modelregistry SET total_inferences = 1")
        database.executemany(
            "INSERT INTO performancelog (timestamp, model_registry_id, model_name, model_version, engine_version, "
            "endpoint, input_tokens, output_tokens, total_inference_ms, time_to_first_token_ms, "
            "decode_tokens_per_second, prefill_tokens_per_second, error_occurred) VALUES "
            "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows())
    database.close()
    return settings


def ask(connection, path):
    begin = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200, body
    return (time.perf_counter() - begin) * 1000, len(body)


def main() -> int:
    table = common.Table(f"Analytics over {RUNS:,} runs (min / median / max of {ROUNDS})")
    reached = True
    with tempfile.TemporaryDirectory(prefix="homelab-bench-") as folder:
        settings = fill(folder)
        with common.running_server(settings) as (port, process, *_):
            begin = time.perf_counter()
            while not common.call(port, "GET", "/api/analytics/summary")[1]["complete"]:
                time.sleep(0.2)
            table.add("counting all rows once (s)", f"{time.perf_counter() - begin:.1f}")
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
            for what, path in QUESTIONS.items():
                times = [ask(connection, path)[0] for _ in range(ROUNDS)]
                good = statistics.median(times) <= GOAL_MS
                reached = reached and good
                table.add(f"{what} (ms)", common.spread(times), goal=f"<= {GOAL_MS}", reached=good)
            before = common.resident_mb(process.pid)
            took, size = ask(connection, "/api/analytics/export?format=csv")
            table.add("export as CSV (s)", f"{took / 1000:.1f}", f"{size / 1e6:.0f} MB")
            table.add("memory before and after it (MB)", f"{before:.0f} / {common.resident_mb(process.pid):.0f}")
    table.show()
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
