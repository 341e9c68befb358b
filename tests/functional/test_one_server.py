"""One server for one registry, on the host and in a container (docs/decisions/0023)."""

import re
import signal
import subprocess

import pytest
from running import Server, command
from test_container import MISSION, House


@pytest.fixture
def house(tmp_path, fault_hub):
    return House(tmp_path, fault_hub)


def test_a_second_server_is_refused_and_told_who_has_the_registry(house):
    first = Server(house.data, house.env)
    try:
        mounts = [(house.cache, MISSION)]
        refused = subprocess.run(house.container_words(mounts, "serve", "--port", "0"), env=house.container_env(),
                                 capture_output=True, text=True, timeout=120)
        assert refused.returncode == 1
        assert re.search(rf"in use by the server with process id {first.process.pid} on .*127\.0\.0\.1:{first.port}",
                         refused.stderr), refused.stderr
        assert house.on_host("ls") == [], "commands still work beside it"
    finally:
        first.stop(signal.SIGKILL)
    inside = subprocess.Popen(house.container_words(mounts, "serve", "--port", "0"), env=house.container_env(),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert any(line.startswith("listening on") for line in inside.stdout), "a killed holder stops nobody"
        refused = command(house.env, house.data, "serve", "--port", "0")
        assert refused.returncode == 1 and "in container" in refused.stderr, refused.stderr
    finally:
        inside.terminate()
        inside.wait(timeout=30)
