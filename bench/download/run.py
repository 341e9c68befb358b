"""Downloads measured: ours, huggingface_hub, and the single stages (hash, synced disk, wire), side by side.

nginx on loopback plays the Hub: it serves the API answers and the files with a Hub's headers. Repositories of random
bytes: 2 GiB in four files, and 1,000 small files. Prints a table and, with --json FILE, writes the numbers.
"""

import argparse
import concurrent.futures
import contextlib
import getpass
import hashlib
import json
import os
import pathlib
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
COMMIT = "1234567890abcdef1234567890abcdef12345678"
MIB = 1 << 20
PYTHON_CLIENT = """
import json, resource, sys, time
from huggingface_hub import snapshot_download
begin = time.perf_counter()
snapshot_download(sys.argv[1], cache_dir=sys.argv[2])
seconds = time.perf_counter() - begin
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"seconds": seconds, "peak_resident_mb": used.ru_maxrss / 1024,
                  "user_seconds": used.ru_utime, "system_seconds": used.ru_stime}))
"""


class Repository:
    """Random files below `folder`, and what a Hub says about them."""

    def __init__(self, folder: pathlib.Path, name: str):
        self.folder = folder / name
        self.folder.mkdir(parents=True)
        self.id = f"bench/{name}"
        self.entries = []

    def add(self, path: str, size: int, seed: int, lfs: bool):
        generator = random.Random(seed)
        # A large file is named by its sha256, a small one by its git id; only the name that counts is computed.
        hasher = hashlib.sha256() if lfs else hashlib.sha1(b"blob %d\0" % size)
        with open(self.folder / path, "wb") as file:
            for at in range(0, size, MIB):
                block = generator.randbytes(min(MIB, size - at))
                file.write(block)
                hasher.update(block)
        entry = {"type": "file", "path": path, "size": size, "oid": hasher.hexdigest()[:40]}
        if lfs:
            entry["lfs"] = {"oid": hasher.hexdigest(), "size": size, "pointerSize": 134}
        self.entries.append(entry)

    def total_bytes(self) -> int:
        return sum(entry["size"] for entry in self.entries)


def make_repositories(folder: pathlib.Path, large_mib: int, small_files: int):
    large = Repository(folder, "large")
    for i in range(4):
        large.add(f"model-{i + 1:05}-of-00004.safetensors", large_mib * MIB // 4, i, True)
    small = Repository(folder, "small")
    sizes = random.Random(5)
    for i in range(small_files):
        small.add(f"part_{i:04}.json", sizes.randrange(1_000, 40_000), 1000 + i, False)
    for repository in (large, small):
        repository.add("config.json", 900, 7, False)
        repository.add("tokenizer.json", 200_000, 8, False)
    small.add("model.safetensors", 10_000, 9, True)
    return large, small


def nginx_configuration(folder: pathlib.Path, port: int, repositories) -> str:
    etags = "\n".join(
        f'    "/{r.id}/resolve/{COMMIT}/{e["path"]}" \'"{e.get("lfs", e)["oid"]}"\';' for r in repositories for e in r.entries)
    return f"""
worker_processes 1;
{f"user {getpass.getuser()};" if os.geteuid() == 0 else ""}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 100000;
  default_type application/octet-stream;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  map_hash_max_size 8192; map_hash_bucket_size 256;
  map $uri $hub_etag {{
{etags}
  }}
  server {{
    listen 127.0.0.1:{port};
    location /api/ {{ root {folder}; default_type application/json; }}
    location ~ ^/(bench/[a-z]+)/resolve/{COMMIT}/(.+)$ {{
      alias {folder}/$1/$2;
      etag off;
      add_header ETag $hub_etag;
      add_header X-Repo-Commit {COMMIT};
    }}
  }}
}}
"""


@contextlib.contextmanager
def nginx(folder: pathlib.Path, repositories):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for r in repositories:
        api = folder / "api" / "models" / r.id
        (api / "revision").mkdir(parents=True)
        (api / "tree").mkdir()
        info = {"id": r.id, "sha": COMMIT, "private": False, "gated": False, "tags": [], "downloads": 0, "likes": 0,
                "siblings": [{"rfilename": e["path"]} for e in r.entries]}
        (api / "revision" / "main").write_text(json.dumps(info))
        (api / "tree" / COMMIT).write_text(json.dumps(sorted(r.entries, key=lambda e: e["path"])))
    (folder / "nginx.conf").write_text(nginx_configuration(folder, port, repositories))
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if not program:
        sys.exit("nginx is missing; install the package nginx-light")
    process = subprocess.Popen([program, "-c", folder / "nginx.conf", "-p", folder, "-e", folder / "error.log"])
    try:
        until = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if process.poll() is not None or time.monotonic() > until:
                sys.exit(f"nginx does not start: {(folder / 'error.log').read_text()}")
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def settle(*folders):
    """Removes what a run wrote and waits until the disk is quiet, so that no run pays for another."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    os.sync()


def run_json(command, **environment) -> dict:
    environment = {"PATH": os.environ["PATH"], "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1",
                   "HF_HUB_DISABLE_PROGRESS_BARS": "1", **environment}
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{command[0]} failed: {done.stdout}{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def ours(fetch, endpoint, repository, folder) -> dict:
    result = run_json([fetch, endpoint, folder / "ours", repository.id, "--everything"])
    assert result["downloaded_bytes"] == repository.total_bytes()
    return result


def python_client(endpoint, repository, folder) -> dict:
    result = run_json([sys.executable, "-c", PYTHON_CLIENT, repository.id, folder / "python"], HF_ENDPOINT=endpoint,
                      HF_HOME=str(folder / "python-home"), HOME=str(folder))
    return result


def machine_cpu() -> float:
    """Seconds that all cores together were busy since boot: the client, nginx, and the kernel's own threads."""
    user, nice, system, _, _, irq, softirq = map(int, open("/proc/stat").readline().split()[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def with_machine_cpu(run) -> dict:
    before = machine_cpu()
    result = run()
    result["machine_cpu_seconds"] = machine_cpu() - before
    return result


def in_threads(work, items) -> float:
    """Seconds for `work` on all items, two at a time as our own writers do."""
    begin = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(work, items))
    return time.perf_counter() - begin


def hash_alone(repository) -> dict:
    block = os.urandom(MIB)

    def work(entry):
        hasher = hashlib.sha256()
        for _ in range(0, entry["size"], MIB):
            hasher.update(block)

    return {"seconds": in_threads(work, repository.entries)}


def disk_alone(repository, folder) -> dict:
    block = os.urandom(MIB)
    (folder / "disk").mkdir()

    def work(entry):
        with open(folder / "disk" / entry["path"], "wb", buffering=0) as file:
            for at in range(0, entry["size"], MIB):
                file.write(block[:min(MIB, entry["size"] - at)])
            os.fdatasync(file.fileno())

    return {"seconds": in_threads(work, repository.entries)}


def wire_alone(endpoint, repository) -> dict:
    config = "".join(f'url = "{endpoint}/{repository.id}/resolve/{COMMIT}/{e["path"]}"\noutput = /dev/null\n'
                     for e in repository.entries)
    begin = time.perf_counter()
    subprocess.run(["curl", "-sfZ", "--no-progress-meter", "--parallel-max", "8", "-K", "-"], input=config, text=True, check=True)
    return {"seconds": time.perf_counter() - begin}


def table(title, results, base) -> str:
    reference = statistics.median(r["seconds"] for r in results[base])
    lines = [title, f"{'':34}{'min s':>8}{'median s':>10}{'ratio':>8}{'RSS MB':>8}{'CPU s':>8}{'machine':>9}"]
    for name, runs in results.items():
        seconds = [r["seconds"] for r in runs]
        memory = max((r.get("peak_resident_mb", 0) for r in runs), default=0)
        cpu = statistics.median(r.get("user_seconds", 0) + r.get("system_seconds", 0) for r in runs)
        middle = statistics.median(seconds)
        lines.append(f"{name:34}{min(seconds):8.2f}{middle:10.2f}{reference / middle:8.2f}"
                     f"{f'{memory:.0f}' if memory else '':>8}{f'{cpu:.2f}' if cpu else '':>8}"
                     f"{statistics.median(r['machine_cpu_seconds'] for r in runs):9.2f}")
    return "\n".join(lines)


def measure(arguments, work: pathlib.Path) -> dict:
    large, small = make_repositories(work / "bench", arguments.large_mib, arguments.small_files)
    os.sync()
    all_results = {}
    with nginx(work, (large, small)) as endpoint:
        for name, repository, title in (("large", large, f"{arguments.large_mib} MiB in 4 files"),
                                        ("small", small, f"{len(small.entries)} small files")):
            steps = {
                "ours": lambda r=repository: ours(arguments.fetch, endpoint, r, work),
                "huggingface_hub (plain HTTP)": lambda r=repository: python_client(endpoint, r, work),
                "hash alone, 2 threads": lambda r=repository: hash_alone(r),
                "synced disk alone, 2 threads": lambda r=repository: disk_alone(r, work),
                "wire alone (curl)": lambda r=repository: wire_alone(endpoint, r),
            }
            results = {step: [] for step in steps}
            for _ in range(arguments.repeat):  # in turn, so that other load on the machine hits all alike
                for step, run in steps.items():
                    results[step].append(with_machine_cpu(run))
                    settle(*(work / name for name in ("ours", "python", "python-home", "disk")))
            all_results[name] = results
            print(table(f"{title} (ratio: times faster than huggingface_hub)", results,
                        "huggingface_hub (plain HTTP)"), flush=True)
            stages = list(steps)[2:]
            mine = statistics.median(r["seconds"] for r in results["ours"])
            slowest = max(statistics.median(r["seconds"] for r in results[s]) for s in stages)
            print(f"ours against the slowest single stage: {slowest / mine:.2f} (goal 0.8)")
            # Each stage alone may keep every core busy; then no program can do all three in the time of one.
            cores = len(os.sched_getaffinity(0))
            together = sum(statistics.median(r["machine_cpu_seconds"] for r in results[s]) for s in stages) / cores
            print(f"the stages' processor time over {cores} cores: {together:.2f} s, ours against that: "
                  f"{together / mine:.2f}\n", flush=True)
    return all_results


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--large-mib", type=int, default=2048)
    parser.add_argument("--small-files", type=int, default=1000)
    parser.add_argument("--json", type=pathlib.Path, help="also write the numbers here")
    parser.add_argument("--fetch", type=pathlib.Path, help="a hub_fetch built elsewhere")
    arguments = parser.parse_args()
    if not arguments.fetch:
        subprocess.run([ROOT / "tools" / "build.sh", "dev", "hub_fetch"], check=True)
        arguments.fetch = ROOT / "build" / "bin" / "hub_fetch"
    with tempfile.TemporaryDirectory(prefix="homelab-bench-") as folder:
        results = measure(arguments, pathlib.Path(folder))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
