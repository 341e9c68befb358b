"""What the engine says about folders that it does not load."""

import json

from engine_process import last_line, run_engine


def refused(folder) -> str:
    """The one line with which the engine refuses to load the folder."""
    done = run_engine("-m", folder, "--host", folder / "never.sock")
    assert done.returncode == 1, done.stderr
    line = last_line(done.stderr)
    assert line.startswith("error: "), done.stderr
    return line


def edit_config(folder, **changes):
    path = folder / "config.json"
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))
