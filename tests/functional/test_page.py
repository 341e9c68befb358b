"""The page in a real browser: register, load, generate, unload, delete, by keyboard where it matters."""

import shutil
import subprocess

import pytest
import running

UI = running.ROOT / "tests" / "ui"


@pytest.fixture(scope="module")
def browser_driver():
    """playwright-core from its lock file; it drives Debian's Chromium and downloads no browser of its own."""
    if not (UI / "node_modules").exists():
        subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=UI, check=True)
    return UI / "page_check.mjs"


def test_the_page_does_what_a_user_expects(browser_driver, tmp_path):
    subprocess.run([running.ROOT / "tools" / "fetch_offline_model.sh"], check=True)
    shutil.copytree(running.ROOT / "build" / "offline-hub", tmp_path / "cache", symlinks=True)
    server = running.Server(tmp_path, running.environment(
        tmp_path / "home", PRIMARY_CACHE_PATH=tmp_path / "cache", HF_HUB_OFFLINE="1"))
    try:
        done = subprocess.run(["node", browser_driver, f"http://127.0.0.1:{server.port}", f"{running.REPO}:Q4_1"],
                              capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "the page works" in done.stdout
    finally:
        server.stop()
