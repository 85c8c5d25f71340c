"""The cache of features under faults: its rows are right or absent, whatever happens."""

import json
import os
import shutil
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile

from skaudio import FeatureCache, MFCCTransformer
from skaudio._engine import digest

SETTINGS = {"n_mfcc": 4, "n_mels": 16, "n_fft": 256, "hop_length": 128, "device": "cpu"}

# what every process begins with
BEGIN = """
import json, os, sys, traceback, warnings
from pathlib import Path
import numpy as np
import soundfile
from skaudio import FeatureCache, MFCCTransformer
from tests.faults.processes import files_below, full_disk, kill_at_random
def mfcc(memory=None):
    return MFCCTransformer(
        n_mfcc=4, n_mels=16, n_fft=256, hop_length=128, device="cpu", memory=memory
    )
def same(Z, expected):
    return bool(np.allclose(Z, expected, rtol=1e-4, atol=1e-4))
def noise(n_clips, seed=0):
    rng = np.random.default_rng(seed)
    return [0.1 * rng.standard_normal(int(n)) for n in rng.integers(600, 3000, n_clips)]
"""


def mfcc(memory=None):
    return MFCCTransformer(**SETTINGS, memory=memory)


def same(Z, expected):
    """Equal up to the rounding of sums in batches of another make-up."""
    return np.allclose(Z, expected, rtol=1e-4, atol=1e-4)


@pytest.fixture
def files(tmp_path, rng):
    paths = [tmp_path / f"{i}.wav" for i in range(8)]
    for i, path in enumerate(paths):
        soundfile.write(path, 0.1 * rng.standard_normal(1000 + 100 * i), 16000)
    return paths


def rows_of(folder):
    return [path for path in Path(folder, "skaudio").glob("*/*") if not path.is_dir()]


KILLS = """
memory, n = sys.argv[1], int(sys.argv[2])
clips = noise(60)
expected = mfcc().fit_transform(clips)
extractor = mfcc(memory).fit(clips)
seen, cache = [], FeatureCache(memory)
def work(number):
    extractor.transform(clips)
def check(number):
    seen.append(len(cache))
    if number % 5 == 0:
        assert same(extractor.transform(clips), expected), number
    cache.clear()
n_killed = kill_at_random(work, n, check)
assert same(extractor.transform(clips), expected)
assert same(mfcc(memory).fit(clips).transform(clips), expected)
cache.clear()
print(json.dumps({"killed": n_killed, "left": len(files_below(memory)), "seen": seen}))
"""


def test_killed_while_rows_are_written(tmp_path, run_python, many):
    n_times = many(25, 1500)
    out = json.loads(run_python(BEGIN + KILLS, tmp_path / "cache", n_times, seconds=1200))
    assert out["killed"] > n_times // 5 and out["left"] == 0
    assert len({*out["seen"]}) > 2  # some were killed half-way


FULL = """
memory, n = Path(sys.argv[1]), int(sys.argv[2])
clips = noise(12)
expected = mfcc().fit_transform(clips)
extractor = mfcc(memory).fit(clips)
size = 60 + 4 * expected.shape[1]
for n_bytes in np.linspace(0, size - 1, n).astype(int):
    with full_disk(int(n_bytes)), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Z = extractor.transform(clips)
    assert same(Z, expected)
    assert len(caught) == 1 and "File too large" in str(caught[0].message), caught
    assert not files_below(memory), files_below(memory)
with full_disk(1 << 20):
    assert same(extractor.transform(clips), expected)
assert len(files_below(memory)) == len(clips)
print(len(files_below(memory)))
"""


def test_a_full_disk(tmp_path, run_python, many):
    assert int(run_python(BEGIN + FULL, tmp_path / "cache", many(20, 180))) == 12


def rewriting(path, contents, stop):
    """Put one content after the other in a file's place, until told to stop."""
    turn = 0
    while not stop.is_set():
        turn += 1
        unfinished = path.with_suffix(".part")
        unfinished.write_bytes(contents[turn % len(contents)])
        os.replace(unfinished, path)


def test_a_file_that_changes_while_it_is_read(tmp_path, rng, many):
    """Each row belongs to the content that it is filed under, not to the one that came next."""
    sources = [tmp_path / f"source{i}.wav" for i in range(2)]
    for path, scale in zip(sources, (0.5, 0.01), strict=True):
        soundfile.write(path, scale * rng.standard_normal(4000), 16000)
    changing = tmp_path / "changing.wav"
    shutil.copy(sources[0], changing)
    extractor = mfcc(tmp_path / "cache").fit(sources)
    truth, stop = mfcc().fit(sources).transform(sources), threading.Event()
    contents = [path.read_bytes() for path in sources]
    writer = threading.Thread(target=rewriting, args=(changing, contents, stop))
    writer.start()
    try:
        for turn in range(many(150, 4000)):
            FeatureCache(tmp_path / "cache").clear()
            (row,) = extractor.transform([changing])
            assert any(same(row, each) for each in truth)
            assert same(extractor.transform(sources), truth), f"a wrong row in turn {turn}"
    finally:
        stop.set()
        writer.join()


def flipped(path, rng):
    content = bytearray(path.read_bytes())
    content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
    path.write_bytes(content)


def truncated(path, rng):
    os.truncate(path, int(rng.integers(path.stat().st_size)))


def lengthened(path, rng):
    with open(path, "ab") as file:
        file.write(bytes(int(rng.integers(1, 100))))


def swapped(path, rng):
    others = [other for other in path.parent.iterdir() if other != path and other.is_file()]
    if others:
        shutil.copy(others[int(rng.integers(len(others)))], path)


def giant(path, rng):
    os.truncate(path, 1 << 40)


def folder(path, rng):
    path.unlink()
    path.mkdir()


def unreadable_link(path, rng):
    path.unlink()
    path.symlink_to(path)  # to itself


@pytest.mark.parametrize(
    "damage", [flipped, truncated, lengthened, swapped, giant, folder, unreadable_link]
)
@pytest.mark.filterwarnings("ignore:features are not")
def test_damaged_rows_are_as_good_as_none(tmp_path, files, rng, damage, many):
    extractor, expected = mfcc(tmp_path / "cache").fit(files), mfcc().fit_transform(files)
    n_samples = [1000 + 100 * i for i in range(len(files))]
    for _ in range(many(10, 300)):
        extractor.transform(files)
        for path in rows_of(tmp_path / "cache"):
            if rng.random() < 0.7:
                damage(path, rng)
        assert same(extractor.transform(files), expected)
    assert [soundfile.info(path).frames for path in files] == n_samples


PIPES = """
memory = Path(sys.argv[1])
clips = noise(4)
expected = mfcc().fit_transform(clips)
warnings.simplefilter("ignore")
for damage in (os.mkfifo, lambda path: path.symlink_to("/dev/zero")):
    mfcc(memory).fit_transform(clips)
    for path in files_below(memory):
        path.unlink()
        damage(path)
    assert same(mfcc(memory).fit_transform(clips), expected)
print("right")
"""


def test_rows_that_are_no_files(tmp_path, run_python):
    """Neither a pipe, which would be waited for, nor a device without an end is opened."""
    out = run_python(BEGIN + PIPES, tmp_path / "cache", seconds=60, memory=1 << 33)
    assert out == "right\n"


SHARED = """
memory, n = Path(sys.argv[1]), int(sys.argv[2])
clips = noise(20)
expected = mfcc().fit_transform(clips)
warnings.filterwarnings("ignore", "features are not")
extractor = mfcc(memory).fit(clips)
children = []
for number in range(3):
    child = os.fork()
    if child == 0:
        status = 1
        try:
            for turn in range(n):
                if number == 0 and turn < n // 2:
                    FeatureCache(memory).clear()
                cache = FeatureCache(memory)
                assert same(extractor.transform(clips), expected)
                assert len(cache) <= 3 * len(clips) and cache.size >= 0
            status = 0
        except BaseException:
            traceback.print_exc()
        os._exit(status)
    children.append(child)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
assert codes == [0, 0, 0], codes
assert same(extractor.transform(clips), expected)
print(len(FeatureCache(memory)), len(files_below(memory)))
"""


def test_processes_share_a_cache_and_clear_it(tmp_path, run_python, many):
    out = run_python(BEGIN + SHARED, tmp_path / "cache", many(30, 3000), seconds=1200)
    rows, n_files = map(int, out.split())
    assert rows == n_files == 20


def test_digests_follow_the_content(tmp_path, many):
    """A file's digest is that of what it holds just then, however quickly it changes."""
    path = tmp_path / "clip"
    expected = {}
    for turn in range(many(300, 20_000)):
        content = bytes([turn % 251]) * 64
        path.write_bytes(content)
        found = digest.file_digest(path)
        assert expected.setdefault(content, found) == found
    assert len({*expected.values()}) == len(expected)


def test_clips_that_differ_in_one_bit_have_rows_of_their_own(tmp_path, rng, many):
    clip = (0.1 * rng.standard_normal(1000)).astype(np.float32)
    extractor, seen = mfcc(tmp_path / "cache").fit([clip]), []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(many(50, 2000)):
            other = clip.copy()
            other[rng.integers(len(clip))] *= -1
            seen.append(other)
            extractor.transform([other])
    assert len(rows_of(tmp_path / "cache")) == len({other.tobytes() for other in seen})
    assert same(extractor.transform(seen), mfcc().fit(seen).transform(seen))
