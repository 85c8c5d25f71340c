"""Separate processes: for jobs whose time and memory are measured, and for Dask on one host.

A job is a function below that prepares everything, including one run on short clips, and returns
the function to measure. Its memory is the highest resident memory of the process, minus what was
resident before, minus the result. Before the job starts, memory that the preparation has freed is
returned to the system, and the highest value so far is forgotten. Otherwise small arrays would go
unnoticed in freed memory, or the peak would be that of an import. All this needs Linux's ``/proc``.
"""

import ctypes
import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import soundfile


def measure(job, *, threads=1, **arguments):
    """Measure a job in a fresh process.

    Parameters
    ----------
    job : str
        Name of a function of this module.
    threads : int
        Threads that it may compute with.
    **arguments
        Of the function; JSON must be able to represent them.

    Returns
    -------
    seconds : float
        Wall time.
    n_bytes : int
        Highest resident memory, minus that before the job and that of the result.
    """
    command = [sys.executable, __file__, job, json.dumps(arguments)]
    variables = os.environ | {"OMP_NUM_THREADS": str(threads)}
    printed = subprocess.check_output(command, text=True, env=variables)
    seconds, n_bytes = json.loads(printed.splitlines()[-1])
    return seconds, n_bytes


def main():
    """Run the job that the command line names, and print its time and memory."""
    job = globals()[sys.argv[1]](**json.loads(sys.argv[2]))
    _forget_peak()
    before, begin = _resident("VmRSS"), time.perf_counter()
    result = job()
    seconds = time.perf_counter() - begin
    peak = _resident("VmHWM")
    print(json.dumps([seconds, peak - before - getattr(result, "nbytes", 0)]))


def _forget_peak():
    """Return freed memory to the system, and let VmHWM begin anew from VmRSS."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
    if trim is not None:
        trim(0)
    Path("/proc/self/clear_refs").write_text("5")


def _resident(name):
    """Resident memory of this process in bytes: now (VmRSS), or the highest value (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))


def extraction(extractor, folder, n_clips, **params):
    """Features of files.

    Parameters
    ----------
    extractor : str
        Name of a class of skaudio, or of a rival in ``_rivals.py``.
    folder : str
        Where the files are.
    n_clips : int
        Number of clips; if there are fewer files, each is used several times.
    **params
        Of the extractor.

    Returns
    -------
    transform : callable
        Without arguments; returns the features.
    """
    import skaudio

    module = skaudio if extractor in skaudio.__all__ else import_module("_rivals")
    clips = [*islice(cycle(sorted(Path(folder).iterdir())), n_clips)]
    extractor = getattr(module, extractor)(**params)
    with tempfile.TemporaryDirectory() as other:
        short = write_noise(Path(other, "short.wav"), 1, soundfile.info(clips[0]).samplerate)
        extractor.fit([short]).transform([short] * 8)
    return partial(extractor.transform, clips)


def learning(n_samples, n_features, n_hidden):
    """`fit` of an extreme learning machine on two random classes."""
    from skaudio import ELMClassifier

    rng = np.random.default_rng(0)
    X = rng.random((n_samples, n_features), dtype=np.float32)
    y = rng.integers(2, size=n_samples)
    ELMClassifier(10).fit(X[:100], y[:100])
    return partial(ELMClassifier(n_hidden, random_state=0).fit, X, y)


def write_noise(path, seconds, sample_rate, seed=0):
    """Write a sound file of noise, minute by minute; returns its path."""
    rng, n_samples = np.random.default_rng(seed), round(seconds * sample_rate)
    with soundfile.SoundFile(path, "w", sample_rate, 1) as file:
        for start in range(0, n_samples, 60 * sample_rate):
            file.write(0.1 * rng.standard_normal(min(60 * sample_rate, n_samples - start)))
    return path


@contextmanager
def dask_processes(folder):
    """Start a Dask scheduler and two workers of one thread as separate processes.

    Parameters
    ----------
    folder : str or path-like
        Where their files are written.

    Yields
    ------
    client : distributed.Client
        Connected to them.
    """
    from distributed import Client

    address = Path(folder, "scheduler.json")
    common = ["--scheduler-file", str(address), "--no-dashboard"]
    scheduler = _dask("scheduler", "--host", "127.0.0.1", "--port", "0", *common)
    options = ["--nthreads", "1", "--no-nanny", "--local-directory", str(folder), *common]
    workers = [_dask("worker", *options) for _ in range(2)]
    try:
        with Client(scheduler_file=str(address)) as client:
            client.wait_for_workers(2)
            yield client
    finally:
        for process in (*workers, scheduler):
            process.terminate()
            process.wait()


def _dask(*words):
    """Start a Dask process that finds this module."""
    command = [sys.executable, "-m", "dask", *words]
    variables = os.environ | {"OMP_NUM_THREADS": "1"}  # a nanny would set it
    home = Path(__file__).parent
    return subprocess.Popen(command, stderr=subprocess.DEVNULL, env=variables, cwd=home)


class FatalPath(os.PathLike):
    """A path that kills the first process that opens it.

    Parameters
    ----------
    path : path-like
        The file.
    mark : Path
        File whose existence tells later processes not to be killed.
    """

    def __init__(self, path, mark):
        self.path, self.mark = path, mark

    def __fspath__(self):
        if not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return os.fspath(self.path)


if __name__ == "__main__":
    main()
