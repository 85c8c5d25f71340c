import contextlib
import copy
import functools
import itertools
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
import soundfile
import torch
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from skorch.callbacks import EpochScoring

from skaudio import (
    AudioFile,
    FeatureCache,
    MFCCTransformer,
    RandomCNNTransformer,
    VQTransformer,
    Wav2VecTransformer,
    audio,
)
from skaudio._engine import digest, extract, forward
from skaudio._engine.cache import CachedRows
from skaudio.audio import Clips
from tests.by_hand import noise


def mfcc(**params):
    return MFCCTransformer(n_mfcc=4, n_mels=16, n_fft=256, hop_length=128, **params)


def same(Z, expected):
    """Equal up to the rounding of sums in batches of another make-up."""
    return np.allclose(Z, expected, rtol=1e-4, atol=1e-4)


@pytest.fixture
def computed(monkeypatch):
    """Numbers of the clips that are sent through the network, call by call."""
    calls, batches = [], extract.batches

    def counted(clips, *args, **kwargs):
        calls.append(len(clips))
        return batches(clips, *args, **kwargs)

    monkeypatch.setattr(extract, "batches", counted)
    return calls


@pytest.fixture
def paths(tmp_path):
    paths = [tmp_path / f"{i}.wav" for i in range(4)]
    for path, clip in zip(paths, noise(900, 1200, 1000, 1500), strict=True):
        soundfile.write(path, clip / 10, 16000)
    return paths


def test_a_clip_is_known_by_its_content_whatever_its_name(tmp_path, paths, computed):
    X = [*paths, AudioFile(paths[0], stop=0.03), noise(800)[0]]
    Z = mfcc(memory=tmp_path / "cache").fit_transform(X)
    moved = [shutil.copy(path, path.with_suffix(".copy.wav")) for path in paths]
    again = [*moved, AudioFile(moved[0], stop=0.03), noise(800)[0].astype(np.float64)]
    assert np.array_equal(mfcc(memory=tmp_path / "cache").fit_transform(again), Z)
    assert computed == [6]


def test_a_changed_file_is_computed_again(tmp_path, paths, computed):
    extractor = mfcc(memory=tmp_path / "cache").fit(paths)
    extractor.transform(paths)
    soundfile.write(paths[2], noise(1000)[0][::-1] / 10, 16000)  # as long as before, at once
    assert same(extractor.transform(paths), mfcc().fit_transform(paths))
    assert computed[:2] == [4, 1]


def test_a_file_is_hashed_once_when_it_has_settled(tmp_path, monkeypatch):
    path = tmp_path / "clip"
    path.write_bytes(b"first")
    old = digest.file_digest(path)
    path.write_bytes(b"again")  # perhaps within one tick of the file system's clock
    assert digest.file_digest(path) != old
    later = time.time_ns() + 3_000_000_000
    monkeypatch.setattr(digest.time, "time_ns", lambda: later)
    settled = digest.file_digest(path)
    monkeypatch.setattr(digest.hashlib, "file_digest", lambda *args: pytest.fail("hashed again"))
    assert digest.file_digest(path) == settled


@pytest.mark.parametrize(
    "params", [{"n_deltas": 1}, {"pooling": "mean"}, {"sample_rate": 8000}, {"top_db": None}]
)
def test_identity_parameters_enter_the_key(tmp_path, paths, params):
    mfcc(memory=tmp_path / "cache").fit_transform(paths)
    cached = mfcc(memory=tmp_path / "cache").set_params(**params).fit_transform(paths)
    assert same(cached, mfcc().set_params(**params).fit_transform(paths))


def test_running_parameters_do_not(tmp_path, paths, computed):
    memory = tmp_path / "cache"
    Z = mfcc(memory=memory).fit_transform(paths)
    other = mfcc(memory=memory, batch_size=1, device="cpu", n_jobs=2, on_error="skip")
    assert np.array_equal(other.fit_transform(paths), Z)
    assert computed == [4]


def test_what_was_learnt_enters_the_key(tmp_path, paths):
    cnn = RandomCNNTransformer("single", n_filters=4, normalize="dataset", random_state=0)
    cached = cnn.set_params(memory=tmp_path / "cache")
    for X in (paths[:2], paths[2:]):
        expected = RandomCNNTransformer(**{**cnn.get_params(), "memory": None}).fit(X)
        assert same(cached.fit(X).transform(paths), expected.transform(paths))


def gain(by):
    """An extractor outside the library, with a parameter of its own."""
    return Gain(by, n_mfcc=4, n_mels=16, n_fft=256, hop_length=128)


class Gain(MFCCTransformer):
    """Takes a function that its features go through."""

    def __init__(self, by=None, n_mfcc=20, n_mels=128, n_fft=2048, hop_length=512, memory=None):
        super().__init__(n_mfcc=n_mfcc, n_mels=n_mels, n_fft=n_fft, hop_length=hop_length)
        self.by = by
        self.memory = memory

    def _frontend(self, network):
        frontend = super()._frontend(network)
        frontend.register_forward_hook(lambda module, args, out: (self.by(out[0]), out[1]))
        return frontend


def test_a_lambda_is_no_key(tmp_path, paths):
    for by in (lambda x: 2 * x, lambda x: 3 * x):
        extractor = gain(by).set_params(memory=tmp_path / "cache").fit(paths)
        message = r"features are not cached: parameter by is a lambda, .* imported by name"
        with pytest.warns(UserWarning, match=message) as caught:
            Z = extractor.transform(paths)
        assert len(caught) == 1
        assert Path(caught[0].filename).name == "test_cache.py"
        assert same(Z, gain(by).fit_transform(paths))
    assert len(FeatureCache(tmp_path / "cache")) == 0


def test_partials_of_a_function_with_a_name_are_keys(tmp_path, paths, computed):
    for times in (2, 3, 2):
        by = functools.partial(torch.mul, other=times)
        extractor = gain(by).set_params(memory=tmp_path / "cache").fit(paths)
        assert same(extractor.transform(paths), gain(by).fit_transform(paths))
    assert computed == [4] * 5  # the last found its rows


def test_what_training_alone_calls_is_no_key(tmp_path, paths, computed):
    for _ in range(2):
        wav2vec = Wav2VecTransformer(max_epochs=0, random_state=0, memory=tmp_path / "cache")
        wav2vec.set_params(callbacks=[EpochScoring("loss")]).fit(paths).transform(paths)
    assert computed == [4]


@pytest.mark.parametrize(
    "change",
    [
        {"architecture_": {"activation": "relu"}},
        {"weights_": {"some": np.arange(3)}},
        {"table_": ("a", 1)},
        {"table_": {"a": [np.float32(1)]}},
    ],
)
def test_every_fitted_attribute_enters_the_key(paths, change):
    extractor = mfcc().fit(paths)
    before = digest.state_digest(extractor, set())
    vars(extractor).update(change)
    assert digest.state_digest(extractor, set()) != before


def test_the_architecture_enters_the_key(tmp_path, paths):
    wav2vec = Wav2VecTransformer(max_epochs=0, random_state=0, memory=tmp_path / "cache")
    wav2vec.fit(paths).transform(paths)
    wav2vec.architecture_ = {**wav2vec.architecture_, "log_compression": False}
    expected = copy.deepcopy(wav2vec).set_params(memory=None).transform(paths)
    assert same(wav2vec.transform(paths), expected)


def test_what_tells_of_a_fit_is_no_key(tmp_path, paths, computed):
    vq = VQTransformer("ema", n_codes=4, max_epochs=0, random_state=0, memory=tmp_path / "cache")
    vq.fit(paths[:2]).transform(paths)
    del computed[:]
    vq.history_, vq.loss_curve_, vq.n_epochs_ = [{"seconds": 3.0}], [1.0], 1
    vq.perplexity_, vq.n_codes_used_ = vq.perplexity_ + 1, vq.n_codes_used_ + 1
    vq.transform(paths)
    assert computed == []


def test_workers_compute_and_the_parent_keeps(tmp_path, paths):
    memory = tmp_path / "cache"
    Z = mfcc(memory=memory, n_jobs=2).fit_transform(paths)
    assert len(FeatureCache(memory)) == 4
    assert same(Z, mfcc().fit_transform(paths))


def test_a_grid_search_in_processes_extracts_no_clip_twice_once_it_is_cached(tmp_path, paths):
    pipe = make_pipeline(mfcc(memory=tmp_path / "cache"), SVC())
    labels = [0, 1, 0, 1]
    search = GridSearchCV(pipe, {"svc__C": [1, 2, 4]}, cv=2, n_jobs=2, error_score="raise")
    search.fit(paths, labels)
    assert len(FeatureCache(tmp_path / "cache")) == 4
    assert same(search.best_estimator_[0].transform(paths), mfcc().fit_transform(paths))


@pytest.mark.parametrize(
    "damage",
    [
        lambda content, other: b"",
        lambda content, other: content[:-1],
        lambda content, other: content + b"\0",
        lambda content, other: content[:-3] + bytes([content[-3] ^ 1]) + content[-2:],
        lambda content, other: b"PICKLE!!" + content[8:],
        lambda content, other: other,
    ],
    ids=["empty", "short", "long", "one bit", "foreign", "of another clip"],
)
def test_a_damaged_row_is_computed_again_and_replaced(tmp_path, paths, damage, computed):
    extractor = mfcc(memory=tmp_path / "cache").fit(paths)
    Z = extractor.transform(paths)
    first, second, *_ = sorted((tmp_path / "cache").glob("skaudio/*/*"))
    good = first.read_bytes()
    first.write_bytes(damage(good, second.read_bytes()))
    assert same(extractor.transform(paths), Z)
    assert first.read_bytes() == good
    assert computed == [4, 1]


def test_skipped_clips_are_not_kept_and_are_named_each_time(tmp_path, paths):
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"no sound")
    X = [paths[0], bad, tmp_path / "missing.wav", np.full(100, np.nan)]
    extractor = mfcc(memory=tmp_path / "cache", on_error="skip").fit(X)
    for _ in range(2):
        with pytest.warns(UserWarning, match=r"skipped 3 of 4 clips:\n  clip 1 \(.*bad.wav\)"):
            Z = extractor.transform(X)
        assert np.isnan(Z).all(axis=1).tolist() == [False, True, True, True]
    assert len(FeatureCache(tmp_path / "cache")) == 1


def test_a_short_clip_is_warned_about_also_when_it_is_cached(tmp_path):
    cnn = RandomCNNTransformer("single", n_filters=4, memory=tmp_path / "cache", random_state=0)
    X = noise(40, 9000)
    cnn.fit(X)
    for _ in range(2):
        with pytest.warns(UserWarning, match="1 of 2 clips are shorter"):
            cnn.transform(X)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_rows_of_clips_that_were_not_computed_are_never_cached(tmp_path, paths, n_jobs):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"no sound")
    loud = np.full(900, 1e17, np.float32)
    cnn = RandomCNNTransformer("sample_level", n_filters=4, normalize=None, random_state=0)
    cnn.set_params(memory=tmp_path / "cache", on_error="skip", n_jobs=n_jobs).fit(paths)
    cnn.weights_ = {name: 2000 * w for name, w in cnn.weights_.items()}  # features overflow
    for _ in range(2):
        with pytest.warns(UserWarning, match="(?s)skipped 2 of 6 clips.*broken.*overflow"):
            Z = cnn.transform([*paths, broken, loud])
        assert np.isnan(Z).all(axis=1).tolist() == [False] * 4 + [True] * 2
        assert len(FeatureCache(tmp_path / "cache")) == 4


def swapping(monkeypatch, path, content):
    """A file gets another content when it has been looked up and is not decoded yet."""
    decode = audio.read_audio

    def swapped(name, *args, **kwargs):
        if name == path:
            path.write_bytes(content)
        return decode(name, *args, **kwargs)

    monkeypatch.setattr(audio, "read_audio", swapped)


@pytest.mark.parametrize("settled", [True, False], ids=["settled", "just written"])
def test_a_file_swapped_before_it_is_decoded_is_not_cached(tmp_path, paths, monkeypatch, settled):
    if settled:
        for path in paths:
            os.utime(path, (1e9, 1e9))
        later = time.time_ns() + 3_000_000_000
        monkeypatch.setattr(digest.time, "time_ns", lambda: later)
    old, new = paths[0].read_bytes(), paths[1].read_bytes()
    extractor = mfcc(memory=tmp_path / "cache").fit(paths)
    with monkeypatch.context() as patch:
        swapping(patch, paths[0], new)
        extractor.transform(paths)
    paths[0].write_bytes(old)
    assert same(extractor.transform(paths), mfcc().fit_transform(paths))


def test_files_swapped_by_a_thread_leave_no_wrong_row(tmp_path, paths):
    contents = [path.read_bytes() for path in paths]
    extractor, stop = mfcc().fit(paths), threading.Event()

    def swap():
        for k in itertools.cycle(range(4)):
            for path, content in zip(paths, contents[k:] + contents[:k], strict=True):
                fresh = path.with_suffix(".new")
                fresh.write_bytes(content)
                os.replace(fresh, path)
            if stop.wait(0.001):
                return

    thread = threading.Thread(target=swap)
    memories = [tmp_path / f"cache{k}" for k in range(40)]
    thread.start()
    try:
        for memory in memories:
            extractor.set_params(memory=memory).transform(paths)
    finally:
        stop.set()
        thread.join()
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    Z = mfcc().fit_transform(paths)
    assert all(same(extractor.set_params(memory=m).transform(paths), Z) for m in memories)


def test_a_full_disk_is_told_once_and_does_no_harm(tmp_path, paths, monkeypatch):
    def full(self, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    extractor = mfcc(memory=tmp_path / "cache").fit(paths)
    with pytest.warns(UserWarning, match="not cached: .*No space left") as caught:
        Z = extractor.transform(paths)
    assert len(caught) == 1
    assert same(Z, mfcc().fit_transform(paths))
    assert not [*(tmp_path / "cache").glob("skaudio/*/*")]


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    rows, clips = CachedRows(tmp_path / "state", 3), Clips(noise(100), 16000)
    ((i, identity, _),) = rows.find(clips)

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        rows.store(clips, i, identity, np.zeros(3), 100)
    assert not [*(tmp_path / "state").iterdir()]


def test_an_interrupted_extraction_keeps_what_is_finished(tmp_path, monkeypatch):
    X = noise(1000, 2000, 3000)
    extractor = mfcc(memory=tmp_path, batch_size=0.05).fit(X)
    plain, calls = forward.ForwardPass.__call__, []

    def interrupted(self, *args):
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return plain(self, *args)

    monkeypatch.setattr(forward.ForwardPass, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        extractor.transform(X)
    assert len(FeatureCache(tmp_path)) == 2


def test_fresh_weights_with_memory_are_warned_about(tmp_path, paths):
    cnn = RandomCNNTransformer("single", n_filters=4, memory=tmp_path)
    with pytest.warns(UserWarning, match="random_state=0"):
        cnn.fit(paths)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cnn.set_params(random_state=0).fit(paths)
        mfcc(memory=tmp_path).fit(paths)


def test_joblib_memory_is_a_memory(tmp_path, paths, computed):
    memory = joblib.Memory(tmp_path / "cache", verbose=0)
    extractor = mfcc(memory=memory).fit(paths)
    extractor.transform(paths)
    extractor.transform(paths)
    assert computed == [4]
    assert len(FeatureCache(memory)) == 4
    memory.reduce_size(items_limit=0)
    assert len(FeatureCache(memory)) == 0
    extractor.transform(paths)
    memory.clear(warn=False)
    assert len(FeatureCache(memory)) == 0
    nothing = mfcc(memory=joblib.Memory(None)).fit(paths)
    assert np.array_equal(nothing.transform(paths), extractor.transform(paths))
    assert FeatureCache(joblib.Memory(None)).size == 0


def test_what_is_no_memory_is_refused(paths):
    with pytest.raises(TypeError, match=r"memory=7 must be None, a folder or a joblib\.Memory"):
        mfcc(memory=7).fit(paths)


def test_size_and_clear(tmp_path, paths):
    cache = FeatureCache(tmp_path / "cache")
    assert (len(cache), cache.size) == (0, 0)
    mfcc(memory=tmp_path / "cache").fit_transform(paths)
    assert len(cache) == 4
    assert cache.size > 4 * 4 * 24
    cache.clear()
    assert (len(cache), cache.size) == (0, 0)


def test_clear_leaves_files_of_others_alone(tmp_path, paths):
    folder = tmp_path / "cache" / "skaudio"
    extractor = mfcc(memory=tmp_path / "cache").fit(paths)
    extractor.transform(paths)
    (rows,) = folder.iterdir()
    others = [folder / "notes.txt", folder / "project" / ("0" * 32), rows / "README"]
    for path in others:
        path.parent.mkdir(exist_ok=True)
        path.write_text("not ours")
    unfinished = rows / f"{'0' * 32}.123.456"  # of a process that was killed
    unfinished.write_bytes(b"half")
    cache = FeatureCache(tmp_path / "cache")
    assert (len(cache), cache.size) == (4, sum(row.stat().st_size for row in rows.glob("?" * 32)))
    cache.clear()
    assert (len(cache), cache.size) == (0, 0)
    assert all(path.read_text() == "not ours" for path in others) and not unfinished.exists()
    for path in others:
        path.unlink()
    (folder / "project").rmdir()
    cache.clear()
    assert not folder.exists() and (tmp_path / "cache").exists()


def test_rows_are_counted_while_another_process_clears(tmp_path, paths, monkeypatch):
    mfcc(memory=tmp_path / "cache").fit_transform(paths)
    cache, scandir = FeatureCache(tmp_path / "cache"), os.scandir
    (rows,) = cache.folder.iterdir()
    for vanishing, count in itertools.product((cache.folder, rows), (len, lambda c: c.size)):

        def vanish(path, vanishing=vanishing):
            entries = list(scandir(path))
            if Path(path) == vanishing:
                os.rename(path, tmp_path / "gone")
            return contextlib.nullcontext(entries)

        with monkeypatch.context() as patch:
            patch.setattr(os, "scandir", vanish)
            assert count(cache) in (0, 4)
        os.rename(tmp_path / "gone", vanishing)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_no_row(tmp_path, paths, make):
    extractor = mfcc(memory=tmp_path / "cache").fit(paths)
    Z = extractor.transform(paths)
    first, *others = sorted((tmp_path / "cache").glob("skaudio/*/*"))
    for row in (first, others[0]):
        row.unlink()
    make(first)
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail("opens a pipe, and waits"))
    signal.alarm(30)
    assert len(FeatureCache(tmp_path / "cache")) == 2
    assert same(extractor.transform(paths), Z)
    signal.alarm(0)
    assert others[0].is_file()  # the rows after it are cached all the same
    FeatureCache(tmp_path / "cache").clear()
    assert first.exists() == first.is_dir()


def test_a_new_process_finds_the_rows(tmp_path, paths):
    cnn = RandomCNNTransformer("single", n_filters=4, random_state=0, memory=tmp_path / "cache")
    Z = cnn.fit(paths).transform(paths)
    program = f"""
import numpy as np
from skaudio import RandomCNNTransformer
from skaudio._engine import extract
extract.batches = None
memory = {str(tmp_path / "cache")!r}
cnn = RandomCNNTransformer("single", n_filters=4, random_state=0, memory=memory)
np.save({str(tmp_path / "Z.npy")!r}, cnn.fit_transform({[str(path) for path in paths]!r}))
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    assert np.array_equal(np.load(tmp_path / "Z.npy"), Z)
