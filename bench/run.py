"""`make bench`: every benchmark, each side by side with its peer in the same run. `bench/run.py NAME...` runs some."""

import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
PARTS = {"startup": "startup.py", "decode": "decode.py", "download": "download/run.py", "cache": "cache/ls.py",
         "verify": "cache/verify.py", "move": "cache/move.py", "engine_load": "engine/load.py",
         "engine": "engine/speed.py", "analytics": "analytics.py"}


def main() -> int:
    names = sys.argv[1:] or list(PARTS)
    if unknown := [name for name in names if name not in PARTS]:
        print(f"unknown benchmark {unknown[0]}; there are: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    if "decode" in names:
        subprocess.run([HERE.parent / "tools" / "build.sh", "dev", "llama-bench"], check=True)
    failed = 0
    for name in names:
        failed |= subprocess.run([sys.executable, HERE / PARTS[name]]).returncode
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
