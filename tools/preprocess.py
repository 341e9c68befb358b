"""preprocess.py BUILD_FOLDER SOURCE: the preprocessed text of a source, as its compile command sees it, without line
markers. Used as the key of what clang-tidy has already looked at."""

import json
import pathlib
import shlex
import subprocess
import sys


def main() -> int:
    build, source = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
    for entry in json.loads((build / "compile_commands.json").read_text()):
        if pathlib.Path(entry["directory"], entry["file"]).resolve() == source:
            words = shlex.split(entry["command"])
            output = words.index("-o")
            words = words[:output] + words[output + 2:]
            words.remove("-c")
            return subprocess.run([*words, "-E", "-P"], cwd=entry["directory"]).returncode
    print(f"{source} is not compiled in {build}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
