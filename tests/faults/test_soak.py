"""Long runs: memory, open files, threads and processes stay where they were."""

import json
import os

import pytest

pytestmark = pytest.mark.skipif(
    not os.path.exists("/proc/self/status"), reason="counts what is in use in /proc"
)

BEGIN = """
import gc, json, sys, time, warnings
from pathlib import Path
import numpy as np
import soundfile
from joblib.externals.loky import get_reusable_executor
from skaudio import MFCCTransformer, RandomCNNTransformer, VQTransformer, load
from tests.faults.processes import in_use
warnings.simplefilter("ignore")
folder, n_clips, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
SMALL = {"n_fft": 256, "hop_length": 128, "n_mels": 16, "sample_rate": 8000, "device": "cpu"}
rng = np.random.default_rng(0)
arrays = [0.1 * rng.standard_normal(int(n)) for n in rng.integers(200, 1200, 50)]
files = [folder / f"{i}.wav" for i in range(50)]
for path, clip in zip(files, arrays):
    soundfile.write(path, clip, 8000)
bad = folder / "bad.wav"
bad.write_bytes(b"no sound")

def used():
    for _ in range(3):
        gc.collect()
    return in_use()
"""

# Each turn does all of it once; what is in use is noted after a tenth and at the end of the turns.
TRANSFORMS = """
mixed = [*files[:10], bad, *arrays[:10], np.full(300, np.nan), folder / "missing.wav", *files[:5]]

def estimators():
    yield MFCCTransformer(**SMALL, n_mfcc=4), arrays
    yield MFCCTransformer(**SMALL, n_mfcc=4), files
    yield MFCCTransformer(**SMALL, n_mfcc=4, on_error="skip"), mixed
    yield MFCCTransformer(**SMALL, n_mfcc=4, memory=folder / "cache"), files
    yield RandomCNNTransformer("single", **SMALL, n_filters=2, kernel=(3, 5), random_state=0), files

def turn():
    done = 0
    for extractor, clips in estimators():
        Z = extractor.fit(clips).transform(clips)
        assert np.isnan(Z).any(axis=1).sum() == 3 * (clips is mixed)
        extractor.transform_frames(clips)
        done += 2 * len(clips)
    extractor.save(folder / "saved")
    load(folder / "saved").transform(arrays)
    for clip in arrays[:2]:  # rows of clips that were never seen before
        clip += 1e-3 * rng.standard_normal(len(clip))
    return done + len(arrays)

per_turn, start, done = turn(), time.monotonic(), 0
n_turns = max(10, n_clips // per_turn)
warm = n_turns // 10 + 2
noted = []
for number in range(n_turns):
    done += turn()
    if number >= warm and number % max(1, n_turns // 20) == 0:
        noted.append(used())
    if time.monotonic() - start > seconds and len(noted) > 4:
        break
noted.append(used())
print(json.dumps({"noted": noted, "done": done}))
"""


def growth(noted, name):
    return noted[-1][name] - noted[0][name]


def assert_flat(noted, most_memory):
    """Nothing in use grows; memory by no more than its allocator takes, in KiB."""
    for name in ("files", "threads", "children"):
        assert growth(noted, name) <= 0, (name, [each[name] for each in noted])
    assert growth(noted, "memory") < most_memory, [each["memory"] for each in noted]


def test_many_transforms(tmp_path, run_python, many):
    n_clips, seconds = many(2000, 300_000), many(10, 300)
    out = run_python(BEGIN + TRANSFORMS, tmp_path, n_clips, seconds, seconds=2 * seconds + 120)
    out = json.loads(out)
    assert out["done"] >= 1000
    # one array of 20,000 numbers that each call left behind would be 10 MB already
    assert_flat(out["noted"], many(2 << 10, 16 << 10))


TRAINED = """
clips = [0.1 * rng.standard_normal(2000) for _ in range(6)]

def turn(number):
    VQTransformer(sample_rate=8000, max_epochs=0, random_state=number, device="cpu").fit(clips[:2])
    cnn = RandomCNNTransformer("vgg", **SMALL, n_filters=48, random_state=number)
    assert np.isfinite(cnn.fit_transform(clips)).all()

for number in range(6):
    turn(number)
noted, start = [used()], time.monotonic()
for number in range(n_clips):
    turn(number)
    if number % max(1, n_clips // 10) == 0:
        noted.append(used())
    if time.monotonic() - start > seconds:
        break
noted.append(used())
print(json.dumps({"noted": noted, "done": number}))
"""


def test_estimators_that_come_and_go(tmp_path, run_python, many):
    """Networks are given back with their estimators."""
    n_turns, seconds = many(15, 1500), many(8, 120)
    out = run_python(BEGIN + TRAINED, tmp_path, n_turns, seconds, seconds=2 * seconds + 120)
    noted = json.loads(out)["noted"]
    assert_flat(noted, many(2 << 10, 16 << 10))


JOBS = """
extractor = MFCCTransformer(**SMALL, n_mfcc=4, n_jobs=2).fit(files)
expected = MFCCTransformer(**SMALL, n_mfcc=4).fit_transform(files)
for _ in range(2):
    extractor.transform(files)
noted, start = [used()], time.monotonic()
for number in range(n_clips):
    assert np.allclose(extractor.transform(files), expected, rtol=1e-4, atol=1e-4)
    if number % max(1, n_clips // 10) == 0:
        noted.append(used())
    if time.monotonic() - start > seconds:
        break
noted.append(used())
get_reusable_executor().shutdown(wait=True)
after = used()
print(json.dumps({"noted": noted, "after": after}))
"""


def test_two_jobs(tmp_path, run_python, many):
    n_turns, seconds = many(10, 1000), many(8, 90)
    out = run_python(BEGIN + JOBS, tmp_path, n_turns, seconds, seconds=2 * seconds + 180)
    out = json.loads(out)
    assert_flat(out["noted"], many(4 << 10, 16 << 10))
    assert out["after"]["children"] == out["noted"][0]["children"] - 2
