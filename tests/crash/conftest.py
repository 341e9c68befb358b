"""The folders whose modules the tests of this folder share."""

import pathlib
import sys

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path += [str(TESTS / "support"), str(TESTS / "functional"), str(TESTS / "crash")]
