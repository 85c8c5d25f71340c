"""What the fault tests share.

They are run in two sizes: a slice with all other tests, and ``make soak``, which sets
SKAUDIO_SOAK=1, at full length. They break things on purpose in processes of their own, with
limits, so that a fault of the library is a failed test and no hanging or full machine.
"""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SOAK = os.environ.get("SKAUDIO_SOAK") == "1"
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def many():
    """Function that picks the size of a test: ``many(slice, soak)``."""
    return lambda few, soak: soak if SOAK else few


@pytest.fixture
def run_python():
    """Function that runs a snippet of Python in a process of its own.

    ``run_python(code, *args, seconds, memory)`` returns what the snippet printed. It may take so
    many seconds, and bytes of memory, before it is killed with all its children; a snippet that
    fails fails the test.
    """
    return _run_python


def _run_python(code, *args, seconds=120, memory=None):
    def limit():
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if memory is not None:
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
        preexec_fn=limit,
    )
    try:
        out, error = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        pytest.fail(f"the process was still running after {seconds} s")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert process.returncode == 0, f"exit status {process.returncode}\n{error[-3000:]}"
    return out
