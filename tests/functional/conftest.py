"""Fixtures that several files of this folder use."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))


@pytest.fixture
def fault_hub():
    from fault_hub import FaultHub

    with FaultHub() as hub:
        yield hub
