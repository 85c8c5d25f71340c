"""Checks of what happens to clips.

They test the contracts *A clip's features never depend on its neighbours*, *Identity parameters
and running parameters*, *The sample rate is stated, never guessed*, *Clips of any length*, *Only
matrices fix a width* and *Memory is O(batch), never O(data)* of CONTRIBUTING.md.
"""

import contextlib
import io
import tempfile
import warnings
import weakref
from functools import partial
from unittest import mock

import numpy as np

from .. import audio, batching
from .._engine import extract
from .._engine.cache import FeatureCache
from ..audio import AudioFile, ClipError, read_audio
from ..base import RUNNING_PARAMETERS
from ._checking import (
    assert_close,
    assert_same,
    contract,
    fit,
    fitted,
    labels_for,
    noise,
    raised,
    sound_folder,
)

__all__ = [
    "check_any_length",
    "check_clip_alone",
    "check_files",
    "check_lazy_decoding",
    "check_long_clip",
    "check_matrix_width",
    "check_memory",
    "check_running_parameters",
    "check_unusable_clips",
]

RAGGED = (1, 700, 5000, 5000, 4800, 40000, 12000, 11000, 2200)  # samples; some share a batch


@contract
def check_clip_alone(estimator):
    """Check that the features of a clip depend on no other clip and on no order.

    Parameters
    ----------
    estimator : BaseAudioTransformer
        Unfitted; a clone is checked.
    """
    X = noise(*RAGGED)
    estimator = fitted(estimator, X)
    together = estimator.transform(X)
    alone = np.vstack([estimator.transform([clip]) for clip in X])
    assert_close(alone, together, "each clip alone")
    order = np.random.default_rng(0).permutation(len(X))
    shuffled = estimator.transform([X[i] for i in order])
    assert_close(shuffled, together[order], "in another order")
    # of the same or nearly the same length, so that they share batches with the quiet clips
    loud = [1000 * clip for clip in noise(5000, 4900, 12000, seed=1)]
    silent = [np.zeros(n, np.float32) for n in (5000, 4700)]
    mixed = estimator.transform([*loud, *X, *silent])
    assert_close(mixed[len(loud) :][: len(X)], together, "between loud and silent clips")


@contract
def check_running_parameters(estimator):
    """Check that the running parameters exist and change no feature.

    Parameters
    ----------
    estimator : BaseAudioTransformer
        Unfitted; a clone is checked.
    """
    missing = {*RUNNING_PARAMETERS} - {*estimator.get_params(deep=False)}
    assert not missing, f"running parameters {sorted(missing)} are missing"
    X = noise(*RAGGED)
    wanted = fitted(estimator, X).transform(X)
    settings = [
        {"batch_size": 1},
        {"batch_size": 5},
        {"batch_size": 60},
        {"n_jobs": 2},
        {"verbose": 1},
        {"on_error": "skip"},
        {"batch_size": 0.5, "n_jobs": 2, "verbose": 1, "on_error": "skip"},
    ]
    for changed in settings:
        with contextlib.redirect_stderr(io.StringIO()):  # the progress bar
            got = fitted(estimator, X, **changed).transform(X)
        assert_close(got, wanted, str(changed))
    # on another device, sums are computed by another library
    got = fitted(estimator, X, device="cpu").transform(X)
    assert_close(got, wanted, "device='cpu'", tolerance=1e-3)


@contract
def check_memory(estimator):
    """Check that ``memory`` changes no feature, saves work, and distinguishes extractors.

    Parameters
    ----------
    estimator : BaseAudioTransformer
        Unfitted; a clone is checked.
    """
    X = noise(*RAGGED)
    plain = fitted(estimator, X)
    wanted = plain.transform(X)
    with tempfile.TemporaryDirectory() as folder:
        caching = fitted(estimator, X, memory=folder)
        assert_close(caching.transform(X), wanted, "computed with memory")
        n_rows = len(FeatureCache(folder))
        assert n_rows == len(X), f"{n_rows} rows are cached of {len(X)} clips"
        with mock.patch.object(extract, "batches", side_effect=AssertionError("computed again")):
            assert_close(caching.transform(X[::-1]), wanted[::-1], "found in memory")
        longer = [*X, *noise(3000, seed=5)]
        assert_close(caching.transform(longer), plain.transform(longer), "found in part")
        if "random_state" in estimator.get_params(deep=False):
            got = fitted(estimator, X, memory=folder, random_state=1).transform(X)
            other = fitted(estimator, X, random_state=1).transform(X)
            assert_close(got, other, "other weights with the same memory")


@contract
def check_any_length(estimator):
    """Check that clips from one sample up, silent and integer ones, give finite features.

    Clips that the extractor pads cause one warning, whatever their number.

    Parameters
    ----------
    estimator : BaseAudioTransformer
        Unfitted; a clone is checked.
    """
    X = noise(1, 2, 3, 10, 1000)
    estimator = fitted(estimator, X)
    shortest = estimator._ready(None).min_samples
    for clips in (X, *([clip] for clip in X)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            Z = estimator.transform(clips)
        lengths = [len(clip) for clip in clips]
        assert np.isfinite(Z).all(), f"features of clips of {lengths} samples are not finite"
        wanted, messages = int(min(lengths) < shortest), [str(w.message) for w in caught]
        assert len(messages) == wanted and all("padded" in text for text in messages), (
            f"clips of {lengths} samples, shortest allowed {shortest}: expected {wanted} "
            f"warning that they were padded, got {messages}"
        )
    for value in (0, 1):
        flat = [np.full(n, value, np.float32) for n in (1, 1000, 9000)]
        few = flat[: 1 if labels_for(estimator, flat) is None else 2]  # labels are of two classes
        for clips, probe in ((flat, estimator), (X, fitted(estimator, few))):
            assert np.isfinite(probe.transform(clips)).all(), (
                f"clips that are {value} throughout give features that are not finite"
            )
    for dtype, full in (("int16", 2**15), ("int32", 2**31), ("float64", 1)):
        whole = [(full * clip.clip(-0.9, 0.9)).astype(dtype) for clip in X]
        as_float = estimator.transform([clip.astype(np.float32) / full for clip in whole])
        assert_same(estimator.transform(whole), as_float, f"{dtype} clips, scaled by their type")


@contract
def check_long_clip(estimator):
    """Check that a clip much longer than a batch gives the features of the whole.

    Parameters
    ----------
    estimator : BaseAudioTransformer
        Unfitted; a clone is checked.
    """
    X = noise(240_000, 3000)
    estimator = fitted(estimator, X).set_params(batch_size=1e6)
    whole, frames = estimator.transform(X), estimator.transform_frames(X)
    # batches of one sample give the shortest possible tiles, so many that the clip is a short one
    for samples, first in ((20_000, 0), (12_000, 0), (1, 1)):
        estimator.set_params(batch_size=samples / estimator.sample_rate)
        what = f"a clip of {len(X[first])} samples with batches of {samples}"
        assert_close(estimator.transform(X[first:]), whole[first:], what)
        assert_close(estimator.transform_frames(X[first:]), frames[first:], f"frames of {what}")


@contract
def check_files(estimator):
    """Check that files are read as `read_audio` reads them: resampled, mixed down, cut.

    Parameters
    ----------
    estimator : BaseAudioTransformer
        Unfitted; a clone is checked.
    """
    rate = estimator.sample_rate
    half = int(0.15 * rate)
    lengths = (2 * half, 3 * half, 3 * half, half)  # 0.3 s at one, one and a half, half the rate
    mono, left, right, slow = (clip.clip(-1, 1) for clip in noise(*lengths))
    with sound_folder() as write:
        same = write("same.wav", mono, rate)
        high = write("high.flac", np.stack([left, right], axis=1), 3 * rate // 2)
        low = write("low.wav", slow, rate // 2)
        files = [same, str(high), AudioFile(low)]
        waves = [read_audio(path, rate) for path in (same, high, low)]
        lengths = [len(wave) for wave in waves]
        assert max(lengths) - min(lengths) <= 2, f"one duration, resampled to {lengths} samples"
        estimator = fitted(estimator, files)
        wanted = estimator.transform(waves)
        assert_same(estimator.transform(files), wanted, "paths, against the arrays read from them")
        mixed = [files[0], waves[1], files[2]]
        assert_same(estimator.transform(mixed), wanted, "paths between arrays")
        start, stop = 0.05, 0.2
        segments = [AudioFile(path, start, stop) for path in (same, high, low)]
        cut = [read_audio(path, rate, start=start, stop=stop) for path in (same, high, low)]
        assert_same(estimator.transform(segments), estimator.transform(cut), "segments")
        sliced = waves[0][round(start * rate) : round(stop * rate)]
        assert_same(
            estimator.transform(segments[:1]),
            estimator.transform([sliced]),
            "a segment, against the slice of the whole file",
        )


@contract
def check_matrix_width(estimator):
    """Check that only matrices are held to the width of a matrix seen in fit.

    Parameters
    ----------
    estimator : BaseAudioTransformer
        Unfitted; a clone is checked.
    """
    X, wider = np.stack(noise(300, 300, 300)), np.stack(noise(400, 400))
    fit(estimator, X)
    assert estimator.n_features_in_ == 300, f"n_features_in_ is {estimator.n_features_in_}"
    wanted = estimator.transform(X)
    assert_same(estimator.transform(list(X)), wanted, "the rows of a matrix as a list")
    message = str(raised(lambda: estimator.transform(wider), "a matrix of another width"))
    for text in ("expecting 300 features", "pass list(X) if clips may differ in length"):
        assert text in message, f"the error about a matrix of another width lacks {text!r}"
    rows = len(estimator.transform(list(wider)))
    assert rows == 2, f"a list of 2 clips of another length gave {rows} rows"
    fit(estimator, list(X))
    assert not hasattr(estimator, "n_features_in_"), "fit on a list left n_features_in_ as it was"
    for matrix in (X, wider):
        assert len(estimator.transform(matrix)) == len(matrix), "rows were lost"


@contract
def check_lazy_decoding(estimator):
    """Check that files are decoded a few at a time, in fit and in transform.

    Parameters
    ----------
    estimator : BaseAudioTransformer
        Unfitted; a clone is checked.
    """
    n_clips, length, ahead = 24, 1000, 3
    waves, seen, most = [], set(), 0

    def counted(path, *args, **kwargs):
        nonlocal most
        wave = read_audio(path, *args, **kwargs)
        seen.add(path)
        waves.append(weakref.ref(wave))
        most = max(most, sum(wave() is not None for wave in waves))
        return wave

    estimator.set_params(batch_size=length / estimator.sample_rate)
    with sound_folder() as write, contextlib.ExitStack() as stack:
        # the megabytes of samples that are decoded ahead, made so small that few clips exceed them
        stack.enter_context(mock.patch.object(batching, "_CHUNK_SAMPLES", ahead * length))
        stack.enter_context(mock.patch.object(audio, "read_audio", counted))
        clips = noise(*[length] * n_clips)
        rate = estimator.sample_rate
        paths = [write(f"{i}.wav", clip, rate).as_posix() for i, clip in enumerate(clips)]
        for name, call in {
            "fit": partial(fit, estimator),
            "transform": estimator.transform,
        }.items():
            waves.clear()
            most = 0
            call(paths)
            # those of the current chunk, those of the next one, and one being decoded
            assert most <= 2 * ahead + 2, f"{name} held {most} of {n_clips} decoded files at once"
    assert seen == {*paths}, "transform read its files by other means than skaudio.audio"


@contract
def check_unusable_clips(estimator):
    """Check that an unusable clip is named, and with on_error="skip" left out.

    Parameters
    ----------
    estimator : BaseAudioTransformer
        Unfitted; a clone is checked.
    """
    good = noise(4000, 3000, 5000, 1000)
    silent = np.full(2000, np.nan, np.float32)
    X = [good[0], "no_such_file.wav", good[1], silent, good[2], good[3]]
    bad, rest = [1, 3], [0, 2, 4, 5]
    error = raised(lambda: fitted(estimator, X, on_error="raise"), "fit on a missing file")
    assert isinstance(error, ClipError) and error.index == 1, f"fit raised {error!r} of clip 1"
    y = labels_for(estimator, X)
    wanted = fitted(estimator, good, None if y is None else y[rest]).transform(good)
    estimator = fitted(estimator, X, y, on_error="skip")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Z = estimator.transform(X)
    told = [str(w.message) for w in caught if "skipped 2 of 6" in str(w.message)]
    assert len(told) == 1, f"{len(told)} warnings, not one, tell that clips were skipped"
    for text in ("clip 1 (no_such_file.wav)", "clip 3 (array)"):
        assert text in told[0], f"the warning about skipped clips lacks {text!r}"
    assert np.isnan(Z[bad]).all(), "the row of a skipped clip is not NaN"
    assert_close(Z[rest], wanted, "fit and transform next to skipped clips")
    n_frames = [len(frames) for frames in estimator.transform_frames(X)]
    assert not any(n_frames[i] for i in bad), f"skipped clips have frames: {n_frames}"
    assert all(n_frames[i] for i in rest), f"usable clips have no frames: {n_frames}"
    error = raised(lambda: estimator.set_params(on_error="raise").transform(X[2:]), "NaN")
    assert isinstance(error, ClipError) and error.index == 1, f"transform raised {error!r}"
    raised(lambda: fitted(estimator, [silent], on_error="skip"), "fit on no usable clip")
