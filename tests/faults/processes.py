"""Helpers that run inside the processes of the fault tests."""

import contextlib
import os
import random
import resource
import signal
import time
import traceback
from pathlib import Path


def kill_at_random(work, n_times, after_each, seed=0):
    """Run a function in children that are killed at random moments.

    Parameters
    ----------
    work : callable
        What a child does; called with its number.
    n_times : int
        Children that are killed.
    after_each : callable
        Called with the number of each child after its end.
    seed : int
        Of the moments.

    Returns
    -------
    n_killed : int
        Children that had not finished when they were killed.
    """
    rng, n_killed = random.Random(seed), 0
    longest = 0.0
    for number in range(-2, 0):  # whole ones, to know how long they take
        longest = _ran_in(work, number)
        after_each(number)
    for number in range(n_times):
        child = _child(work, number)
        time.sleep(rng.uniform(0, longest))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        n_killed += os.WIFSIGNALED(status)
        # other programs come and go, and with them the time that a child takes
        longest *= 1.1 if os.WIFSIGNALED(status) else 0.7
        after_each(number)
    return n_killed


def _child(work, number):
    child = os.fork()
    if child == 0:
        try:
            work(number)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return child


def _ran_in(work, number):
    start, child = time.monotonic(), _child(work, number)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, "the work fails without being killed, too"
    return time.monotonic() - start


@contextlib.contextmanager
def full_disk(n_bytes):
    """Let no file grow beyond so many bytes, as on a disk that is full just then."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def in_use():
    """Memory in KiB, open files, threads and child processes of this process."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {
        "memory": int(status["VmRSS"].split()[0]),
        "files": len(os.listdir("/proc/self/fd")),
        "threads": int(status["Threads"]),
        "children": len(children),
    }


def files_below(folder):
    """Paths of all files below a folder, hidden ones too."""
    return sorted(path for path in Path(folder).rglob("*") if not path.is_dir())
