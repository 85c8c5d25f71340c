"""Times of several ways to compute the same, measured in turn, and limits of the machine."""

import statistics
import time
from typing import NamedTuple

import torch
from threadpoolctl import threadpool_limits

from skaudio.networks.convolutions import channels_last

LEAST, MOST = 3, 9  # rounds
PAUSE = 0.1  # seconds; idle threads of other libraries keep a core busy for a while


class Timing(NamedTuple):
    """Seconds of one way.

    Attributes
    ----------
    median, low, high : float
        Of all rounds: the middle, the fastest and the slowest.
    """

    median: float
    low: float
    high: float


def in_turn(ways, seconds=8.0, clock=time.perf_counter):
    """Time functions, one after the other in each round, so that all see the same machine.

    Parameters
    ----------
    ways : dict of str to callable
        Called without arguments; once before the measurement.
    seconds : float
        About how long the rounds may take together; there are at least 3 and at most 9.
    clock : callable
        `time.process_time` for ways of one thread on a machine that others use, too.

    Returns
    -------
    timings : dict of str to Timing
        Of each function.
    """
    threads = torch.get_num_threads()
    for way in ways.values():
        way()
    times, begin = {name: [] for name in ways}, time.perf_counter()
    for rounds in range(MOST):
        if rounds >= LEAST and time.perf_counter() - begin > seconds:
            break
        for name, way in ways.items():
            set_threads(threads)  # some libraries, such as numba, have changed the number
            time.sleep(PAUSE)
            times[name].append(_timed(way, clock))
    set_threads(threads)
    return {name: Timing(statistics.median(t), min(t), max(t)) for name, t in times.items()}


def _timed(way, clock):
    begin = clock()
    way()
    return clock() - begin


def set_threads(n):
    """Set the number of threads of torch, and of the libraries that numpy and scipy call.

    Parameters
    ----------
    n : int
        Number of threads.
    """
    torch.set_num_threads(n)
    threadpool_limits(n)


def product(dtype, size=4096, device="cpu"):
    """Make a product of square matrices, the usual measure of what a processor can do.

    Parameters
    ----------
    dtype : torch.dtype
        Of the matrices.
    size : int
        Rows.
    device : str
        Where to compute.

    Returns
    -------
    way : callable
        Multiplies; 2 size^3 operations.
    """
    a = torch.ones(size, size, dtype=dtype, device=device)

    def way():
        c = a @ a
        return c[0, 0].item()  # waits for a GPU, which computes asynchronously

    return way


def convolution(dtype, channels=512, steps=4096):
    """Make a convolution of width 3, channels last: on some processors torch is faster at these.

    Parameters
    ----------
    dtype : torch.dtype
        Of maps and kernels.
    channels, steps : int
        Size of the maps.

    Returns
    -------
    way : callable
        Convolves; 6 steps channels^2 operations.
    """
    x = channels_last(torch.ones(1, channels, steps + 2, dtype=dtype))
    weight = channels_last(torch.ones(channels, channels, 3, dtype=dtype))
    return torch.inference_mode()(lambda: torch.conv2d(x, weight))
