"""Who downloads what, and how often, when a local server, a container and plain Python share a cache: every order, every way
of mounting, as root and as an ordinary user. In mount namespaces (tests/support/in_container.sh): what a container engine
does, on machines without one (run as root: two users take part). The Hub counts bytes, the disk inodes.

The table in docs/cache.md is what this file measured: HOMELAB_LLM_WRITE_DOCS=1 writes it anew."""

import functools
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest
from downloads import REPO, model_files, repo_folder
from fault_hub import FaultHub
from running import PROGRAM, environment

IN_CONTAINER = pathlib.Path(__file__).resolve().parent.parent / "support" / "in_container.sh"
PAGE = pathlib.Path(__file__).resolve().parent.parent.parent / "docs" / "cache.md"
MISSION = "/root/.cache/huggingface"
UID = 1000
# An ordinary user who may look everywhere (the tests' own files are in closed folders) and write only where allowed.
AS_USER = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--inh-caps=+dac_read_search",
           "--ambient-caps=+dac_read_search"]
PYTHON = f"import huggingface_hub as h; h.snapshot_download({REPO!r})"

ORDERS = {"local first": ["local", "container", "host Python", "container Python"],
          "container first": ["container", "local", "container Python", "host Python"],
          "both at once": ["local + container", "host Python", "container Python"],
          "Python on the host first": ["host Python", "container", "local", "container Python"],
          "Python in a container first": ["container Python", "local", "container", "host Python"]}
MOUNTS = ["at the original's place", "at the same path", "named volume"]
USERS = ["root", "1000"]


class Home:
    """A user's cache, what is mounted of it in the container, and everybody who uses it."""

    def __init__(self, mount, user, hub):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="homelab-parity-"))
        self.folder.chmod(0o755)
        self.house = self.folder / "house"  # in no container
        self.cache = self.house / "hf-cache"
        self.volume = self.folder / "volumes" / "models" / "_data"
        for one in (self.house, self.cache, self.volume):
            one.mkdir(parents=True)
            os.chown(one, UID, UID)
        self.source = self.volume if mount == "named volume" else self.cache
        self.point = {"at the original's place": MISSION, "at the same path": self.cache, "named volume": "/cache"}[mount]
        # Only a volume has no name on the host that .env could hold.
        self.named = self.point if mount == "named volume" else self.cache
        self.as_user = AS_USER if user == "1000" else []
        self.env = environment(self.folder / "home", HF_ENDPOINT=hub.endpoint, HF_HUB_DISABLE_XET="1",
                               HF_HUB_DISABLE_PROGRESS_BARS="1", SECONDARY_CACHE_PATH=self.folder / "none")
        os.chown(self.folder / "home", UID, UID)

    def start(self, who):
        local = {**self.env, "PRIMARY_CACHE_PATH": str(self.cache), "HF_HOME": str(self.cache)}
        # The original's compose file names the mount in HF_HOME and the host's path in PRIMARY_CACHE_PATH.
        inside = {**self.env, "PRIMARY_CACHE_PATH": str(self.named), "HF_HOME": str(self.point), "HOME": "/root",
                  "HOMELAB_LLM_CONTAINER": "1"}
        container = [str(IN_CONTAINER), str(self.house), f"{self.source}:{self.point}", "--", *self.as_user]
        words, env = {"local": ([*AS_USER, str(PROGRAM), "pull", REPO], local),
                      "container": ([*container, str(PROGRAM), "pull", REPO], inside),
                      "host Python": ([*AS_USER, sys.executable, "-c", PYTHON], local),
                      "container Python": ([*container, sys.executable, "-c", PYTHON], inside)}[who]
        return subprocess.Popen(words, env=env, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, together):
        for process in [self.start(who) for who in together.split(" + ")]:
            said, _ = process.communicate(timeout=120)
            assert process.returncode == 0, f"{together}: {said}"

    def blobs(self, root):
        return [blob.stat() for blob in repo_folder(root / "hub", REPO).joinpath("blobs").iterdir()]

    def owners(self):
        return {path.lstat().st_uid for root in (self.cache, self.volume) for path in root.rglob("*")}


@functools.cache
def cell(mount, user, order):
    """(how often the content was downloaded, how often it is on the disk, whose the files are)"""
    files = model_files(weight_bytes=400_000, small=1)
    weights = {name: len(content) for name, content in files.items() if name.endswith(".safetensors")}
    with FaultHub() as hub:
        hub.add(REPO, files)
        home = Home(mount, user, hub)
        try:
            for together in ORDERS[order]:
                home.run(together)
            sent = sum(one.sent for one in hub.gets() if one.path.rsplit("/", 1)[-1] in weights)
            blobs = {(one.st_dev, one.st_ino): one.st_size for root in (home.cache, home.volume)
                     if (root / "hub").is_dir() for one in home.blobs(root)}
            owners = home.owners()
        finally:
            shutil.rmtree(home.folder)
    content = sum(len(one) for one in set(files.values()))
    assert sent % sum(weights.values()) == 0, "a part was downloaded twice"
    assert sum(blobs.values()) % content == 0, "a part is on the disk twice, or something is left over"
    return sent // sum(weights.values()), sum(blobs.values()) // content, owners


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("mount", MOUNTS)
def test_every_file_is_downloaded_once_and_belongs_to_the_user(mount, user, order):
    downloads, copies, owners = cell(mount, user, order)
    # The host's programs cannot see into an engine's volume: one copy for each side.
    wanted = 2 if mount == "named volume" else 1
    assert (downloads, copies) == (wanted, wanted)
    # Python does not become anybody: what it writes as root is root's.
    assert owners <= {0, UID}
    assert (0 in owners) == (user == "root" and order == "Python in a container first")


def table():
    lines = ["| Cache in the container | Container's user | Who comes first | Downloads | Copies on disk | Files belong to |",
             "|---|---|---|---|---|---|"]
    for mount in MOUNTS:
        for user in USERS:
            for order in ORDERS:
                downloads, copies, owners = cell(mount, user, order)
                whose = "the user" if owners == {UID} else "root, where Python wrote"
                lines.append(f"| {mount} | {user} | {order} | {downloads} | {copies} | {whose} |")
    return "\n".join(lines)


def test_the_table_in_the_documentation_is_what_was_measured():
    begin, end = "<!-- measured by tests/functional/test_parity.py -->\n", "\n<!-- end of the measured table -->"
    page = PAGE.read_text()
    before, rest = page.split(begin)
    written, after = rest.split(end)
    if os.environ.get("HOMELAB_LLM_WRITE_DOCS"):
        PAGE.write_text(before + begin + table() + end + after)
    else:
        assert written == table()
