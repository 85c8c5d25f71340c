"""Saved estimators under faults: what comes back is right, or one line says why it does not."""

import json

BEGIN = """
import copy, hashlib, json, os, random, re, sys, warnings
from pathlib import Path
import numpy as np
import safetensors.numpy
import skops.io
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
import skaudio
from skaudio import MFCCTransformer, RandomCNNTransformer, load
from tests.faults.processes import files_below, full_disk, kill_at_random
warnings.simplefilter("ignore")
SMALL = {"n_fft": 256, "hop_length": 64, "n_mels": 16, "sample_rate": 8000, "device": "cpu"}
rng = np.random.default_rng(0)
clips = [0.1 * rng.standard_normal(n) for n in (3000, 1700, 900, 2100)]
"""

TAMPERED = """
folder, n = Path(sys.argv[1]), int(sys.argv[2])
cnn = RandomCNNTransformer(**SMALL, n_filters=2, random_state=0).fit(clips)
cnn.save(folder)
text, data = folder / "estimator.json", folder / "arrays.safetensors"
intact = text.read_bytes(), data.read_bytes()
right = cnn.transform(clips)
HOSTILE = [
    None, True, -1, 0, 2**31, 2**63, 10**30, -0.0, 1e308, float("nan"), float("inf"), "", "cuda",
    "\\x00", "../../etc", "/dev/zero", "a" * 10**6, [], [[]], [0] * 10**5, {}, {"tuple": []},
    {"tuple": [10**9] * 4}, {"dict": {"a": 1}}, {"array": "float32 (2,)"}, {"object": ["a"]},
    {"str": ["x"] * 10}, {"transposed": "float32 (0,)"}, {"__reduce__": "os.system"},
]

def seal_again():
    digest = hashlib.sha256(data.read_bytes()).hexdigest()
    seal = b'"sha256": "%s"' % digest.encode()
    text.write_bytes(re.sub(rb'"sha256": "[0-9a-f]*"', seal, text.read_bytes()))

def flip(rng, path):
    content = bytearray(path.read_bytes())
    for _ in range(rng.choice([1, 1, 1, 8])):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)

def cut(rng, path):
    os.truncate(path, rng.randrange(path.stat().st_size))

def swap(rng):
    arrays = safetensors.numpy.load(data.read_bytes())
    one, other = rng.sample(sorted(arrays), 2)
    arrays[one], arrays[other] = arrays[other], arrays[one]
    data.write_bytes(safetensors.numpy.save(arrays))

def places(value, path=()):
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items if isinstance(value, dict | list) else ():
        yield (*path, key)
        if isinstance(item, dict | list):
            yield from places(item, (*path, key))

def rewrite(rng):
    document = json.loads(text.read_text())
    *above, last = rng.choice([*places(document)])
    inner = document
    for key in above:
        inner = inner[key]
    inner[last] = rng.choice(HOSTILE)
    text.write_text(json.dumps(document))

DAMAGES = {
    "flip text": (lambda rng: flip(rng, text), False),
    "flip arrays": (lambda rng: flip(rng, data), False),
    "flip sealed arrays": (lambda rng: flip(rng, data), True),
    "cut text": (lambda rng: cut(rng, text), False),
    "cut arrays": (lambda rng: cut(rng, data), True),
    "swap": (swap, True),
    "rewrite": (rewrite, False),
    "rewrite more": (lambda rng: [rewrite(rng) for _ in range(3)], False),
}
counts = {name: [0, 0] for name in DAMAGES}
for turn in range(n):
    draw, name = random.Random(turn), [*DAMAGES][turn % len(DAMAGES)]
    text.write_bytes(intact[0]); data.write_bytes(intact[1])
    damage, sealed = DAMAGES[name]
    damage(draw)
    if sealed:
        seal_again()
    try:
        loaded = load(folder)
    except ValueError as error:
        line = str(error)
        assert line.startswith(f"{folder} cannot be loaded: ") and "\\n" not in line, (turn, line)
        counts[name][0] += 1
        continue
    assert type(loaded) in {type(cnn), MFCCTransformer}, turn
    # what comes back can be used: it gives features, or one error says which parameter is wrong
    try:
        Z = loaded.transform(clips)
    except (ValueError, TypeError) as error:
        assert "\\n" not in str(error), (turn, error)
        counts[name][0] += 1
        continue
    assert Z.dtype == np.float32 and len(Z) == len(clips), turn
    assert np.isfinite(Z).all(), turn
    counts[name][1] += 1
text.write_bytes(intact[0]); data.write_bytes(intact[1])
assert np.array_equal(load(folder).transform(clips), right)
assert {path.name for path in folder.parent.iterdir()} == {folder.name}
print(json.dumps(counts))
"""


def test_tampered_folders(tmp_path, run_python, many):
    folder = tmp_path / "parent" / "cnn"
    folder.parent.mkdir()
    n = many(100, 1200)
    out = run_python(BEGIN + TAMPERED, folder, n, seconds=1200, memory=1 << 33)
    counts = json.loads(out)
    for name in ("flip arrays", "cut text", "cut arrays"):
        assert counts[name][0] >= n // 8 and counts[name][1] == 0, (name, counts[name])
    assert counts["rewrite"][0] > n // 32
    assert sum(map(sum, counts.values())) == n


KILLS = """
folder, n = Path(sys.argv[1]), int(sys.argv[2])
cnns = [
    RandomCNNTransformer(**SMALL, n_filters=2, random_state=seed).fit(clips) for seed in (0, 1)
]
expected = [cnn.transform(clips) for cnn in cnns]
cnns[0].save(folder)
missing = 0

def work(number):
    for turn in range(6):
        cnns[turn % 2].save(folder)

def right(path):
    assert {file.name for file in path.iterdir()} == {"estimator.json", "arrays.safetensors"}
    Z = load(path).transform(clips)
    assert any(np.array_equal(Z, each) for each in expected), path

def loads(path):
    try:
        return load(path) is not None
    except (ValueError, OSError):  # one that was being written when an earlier process was killed
        return False

def check(number):
    global missing
    if folder.exists():
        right(folder)
    else:  # killed between two renames: the earlier and the new one are beside it, hidden
        missing += 1
        whole = [path for path in folder.parent.iterdir() if loads(path)]
        assert whole
        for path in whole:
            right(path)
        cnns[0].save(folder)
    cnns[number % 2].save(folder)
    assert np.array_equal(load(folder).transform(clips), expected[number % 2])

n_killed = kill_at_random(work, n, check)
visible = [path.name for path in folder.parent.iterdir() if not path.name.startswith(".")]
print(json.dumps({"killed": n_killed, "missing": missing, "visible": visible}))
"""


def test_killed_while_saving(tmp_path, run_python, many):
    n_times = many(20, 1200)
    out = json.loads(run_python(BEGIN + KILLS, tmp_path / "cnn", n_times, seconds=1200))
    assert out["killed"] > n_times // 5 and out["visible"] == ["cnn"]
    assert out["missing"] <= n_times // 5


FULL = """
folder, n = Path(sys.argv[1]), int(sys.argv[2])
cnns = [
    RandomCNNTransformer(**SMALL, n_filters=2, random_state=seed).fit(clips) for seed in (0, 1)
]
expected = cnns[0].transform(clips)
cnns[0].save(folder)
largest = max(path.stat().st_size for path in files_below(folder))
before = {path: path.read_bytes() for path in files_below(folder.parent)}
for target in (folder, folder.with_name("new")):
    for n_bytes in np.linspace(0, largest - 1, n).astype(int):
        try:
            with full_disk(int(n_bytes)):
                cnns[1].save(target)
        except OSError as error:
            assert "File too large" in str(error)
        else:
            raise AssertionError(n_bytes)
        found = {path: path.read_bytes() for path in files_below(folder.parent)}
        assert found == before, sorted({*found} ^ {*before})
        assert [path.name for path in folder.parent.iterdir()] == [folder.name]
assert np.array_equal(load(folder).transform(clips), expected)
print("right")
"""


def test_a_full_disk(tmp_path, run_python, many):
    folder = tmp_path / "parent" / "cnn"
    folder.parent.mkdir()
    assert run_python(BEGIN + FULL, folder, many(8, 200), seconds=1200) == "right\n"


WINNER = """
from skaudio.compare._report import save_winner
path, n, y = Path(sys.argv[1]), int(sys.argv[2]), ["a", "b", "a", "b"]
mfcc, forest = MFCCTransformer(**SMALL, n_mfcc=4), RandomForestClassifier(3, random_state=0)
save_winner(path, mfcc, forest, clips, y)
before = path.read_bytes()
for n_bytes in np.linspace(0, len(before) - 1, n).astype(int):
    try:
        with full_disk(int(n_bytes)):
            save_winner(path, mfcc, forest, clips, y)
    except OSError as error:
        assert "File too large" in str(error)
    else:
        raise AssertionError(n_bytes)
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]
assert load(path).predict(clips).tolist() == y
print("right")
"""


def test_a_disk_that_is_full_when_the_winner_is_saved(tmp_path, run_python, many):
    path = tmp_path / "out" / "winner.skops"
    path.parent.mkdir()
    assert run_python(BEGIN + WINNER, path, many(8, 200), seconds=1200) == "right\n"


SKOPS = """
path, n = Path(sys.argv[1]), int(sys.argv[2])
mfcc, forest = MFCCTransformer(**SMALL, n_mfcc=4), RandomForestClassifier(2, random_state=0)
pipeline = make_pipeline(mfcc, forest).fit(clips, ["a", "b", "a", "b"])
skops.io.dump(pipeline, path)
intact, counts = path.read_bytes(), [0, 0]
for turn in range(n):
    draw, content = random.Random(turn), bytearray(intact)
    for _ in range(draw.choice([1, 1, 4, 64])):
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    if turn % 4 == 3:
        del content[draw.randrange(len(content)) :]
    path.write_bytes(content)
    try:
        loaded = load(path)
    except ValueError as error:
        line = str(error)
        assert line.startswith(f"{path} cannot be loaded: ") and "\\n" not in line, (turn, line)
        counts[0] += 1
    else:
        counts[1] += 1
        assert loaded.predict(clips).tolist() == pipeline.predict(clips).tolist(), turn
assert [each.name for each in path.parent.iterdir()] == [path.name]
print(json.dumps(counts))
"""


def test_tampered_files_of_skops(tmp_path, run_python, many):
    n = many(60, 2000)
    refused, whole = json.loads(
        run_python(BEGIN + SKOPS, tmp_path / "winner.skops", n, seconds=1200, memory=1 << 33)
    )
    assert refused + whole == n and refused > n // 2
