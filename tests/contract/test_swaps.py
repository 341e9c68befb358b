"""A house with room for one model at a time, and two that are wanted in turn."""

import os
import pathlib
import re

import running

WARM_UP, SWAPS = 20, 100


class Holdings:
    """What a process holds, as the kernel counts it."""

    def __init__(self, pid: int):
        process = pathlib.Path(f"/proc/{pid}")
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        self.threads = int(status["Threads"])
        self.own_kib = int(status["RssAnon"].split()[0])
        # Without numbers: each engine's log has its own.
        self.descriptors = sorted(re.sub(r"\d+", "N", os.readlink(entry)) for entry in (process / "fd").iterdir())


def settled(house) -> Holdings:
    """After the last engine has gone: the old one is ended beside the answer to the load."""
    pid = house.server.process.pid
    house.unload()
    running.until(lambda: running.children(pid) == [], what="the last engine's end")
    before = None
    while before is None or before.descriptors != Holdings(pid).descriptors:
        before = Holdings(pid)
    return before


def swap(house, names, count):
    for turn in range(count):
        name = names[turn % 2]
        answer = house.http.post("/api/orchestrate/load", json={"model_name": name})
        assert answer.status_code == 200, answer.text
        assert house.http.get("/api/status").json()["loaded_model"] == name


def test_a_hundred_swaps_leave_nothing_behind(house):
    names = [house.register(hf_path=house.local_model())["model_name"] for _ in "AB"]
    swap(house, names, WARM_UP)
    before = settled(house)
    swap(house, names, SWAPS)
    after = settled(house)
    assert after.descriptors == before.descriptors
    assert after.threads == before.threads
    left = {file.suffix for file in house.folder.glob("home/homelab-llm-*/*")}
    assert left == {".log"}, "what each of the two wrote last can be read; no socket stays"
    assert len(list(house.folder.glob("home/homelab-llm-*/*.log"))) == 2
    # Lists that are bounded fill up to about 400 KiB, however many swaps there are.
    assert after.own_kib - before.own_kib < 10 * SWAPS
