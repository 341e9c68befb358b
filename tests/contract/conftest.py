"""A real server with an imitated engine: what a client of the HTTP interface sees, without a model.

HOMELAB_LLM_BIN names the program (default build/bin/homelab-llm), HOMELAB_LLM_FAKE_ENGINE the imitated engine
(default: where the same build puts it).
"""

import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "functional"))

from contract_house import House  # noqa: E402
from secret_token import SECRET  # noqa: E402


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    made = House(tmp_path_factory.mktemp("house"))
    yield made
    made.http.close()
    log = made.server.log.read_text()
    assert made.server.stop() == 0, log
    assert SECRET not in log


@pytest.fixture
def loaded(house):
    """The house with a well-behaved model loaded."""
    house.model = house.load()
    yield house
    house.unload()


@pytest.fixture
def idle(house):
    """The house with nothing loaded."""
    house.unload()
    return house
