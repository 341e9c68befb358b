"""check_sizes.py: the size gates of CONTRIBUTING.md. Exceptions stand in tools/size_exceptions.txt with a reason.

Hard stops: 800 lines per file; a function of ours: 80 code lines, cyclomatic complexity 15, 6 parameters.
"""

import pathlib
import subprocess
import sys

import lizard

MAX_FILE_LINES = 800
MAX_FUNCTION_LINES = 80
MAX_COMPLEXITY = 15
MAX_PARAMETERS = 6


def exceptions(root: pathlib.Path) -> set[str]:
    """Names "path" or "path:function" that may be larger; every line is NAME<two blanks>REASON."""
    names = set()
    for line in (root / "tools" / "size_exceptions.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, reason = line.partition("  ")
            if not reason.strip():
                sys.exit(f"tools/size_exceptions.txt: {name} has no reason")
            names.add(name)
    return names


def main() -> int:
    root = pathlib.Path(__file__).resolve().parent.parent
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--",
         "src", "engine", "tests", "tools", "bench", "fuzz"],
        cwd=root, check=True, capture_output=True, text=True).stdout.split()
    files = sorted(f for f in listed if f.endswith((".cpp", ".h", ".py", ".sh", ".js")) and (root / f).exists())
    allowed = exceptions(root)
    problems = []
    for name in files:
        lines = len((root / name).read_text().splitlines())
        if lines > MAX_FILE_LINES and name not in allowed:
            problems.append(f"{name}: {lines} lines (at most {MAX_FILE_LINES})")
    for info in lizard.analyze_files([str(root / f) for f in files if f.endswith((".cpp", ".h"))]):
        name = str(pathlib.Path(info.filename).relative_to(root))
        for function in info.function_list:
            key = f"{name}:{function.name}"
            if key in allowed or name in allowed:
                continue
            if function.nloc > MAX_FUNCTION_LINES:
                problems.append(f"{key}: {function.nloc} code lines (at most {MAX_FUNCTION_LINES})")
            if function.cyclomatic_complexity > MAX_COMPLEXITY:
                problems.append(f"{key}: complexity {function.cyclomatic_complexity} (at most {MAX_COMPLEXITY})")
            if len(function.parameters) > MAX_PARAMETERS:
                problems.append(f"{key}: {len(function.parameters)} parameters (at most {MAX_PARAMETERS})")
    for problem in problems:
        print(problem)
    print(f"{len(files)} files checked, {len(problems)} over a gate")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
