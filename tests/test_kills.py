"""Every long command, killed at twenty random moments, ends as if nobody had killed it."""

import os
import sys
from pathlib import Path

import pytest

pytest.importorskip("psutil")
pytest.importorskip("tensorflow", reason="needs the extra `train`")
sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

import reliability


@pytest.fixture(scope="module")
def commands():
    running = reliability.Commands()
    yield running
    running.close()


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
@pytest.mark.parametrize("name", reliability.LONG)
def test_killed_at_random_moments_a_command_ends_the_same(commands, name):
    found = reliability.kills(commands, name, 20)
    assert found["kills"] == 20
    assert (found["processes_left"], found["differences"]) == (0, 0)
