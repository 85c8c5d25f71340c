"""Checks of the state and the output of an extractor.

They test the contracts *No torch object in parameters or pickled state*, *All randomness comes
from random_state* and *Features are float32, 2-D and named* of CONTRIBUTING.md, as well as frames
and weights.
"""

import copy
import io
import pickle
import tempfile
from pathlib import Path

import joblib
import numpy as np
from sklearn.base import clone

from .._engine.forward import finest
from ._checking import (
    assert_close,
    assert_same,
    contract,
    fit,
    fitted,
    generators_unmoved,
    labels_for,
    noise,
)

__all__ = [
    "check_frames",
    "check_learning",
    "check_no_torch_objects",
    "check_output",
    "check_random_state",
    "check_round_trips",
    "check_weights",
]

LENGTHS = (900, 6000, 40, 3000)  # samples


class _Inspector(pickle.Pickler):
    """Pickler that sees every object of a pickle, and raises for those of torch."""

    def persistent_id(self, obj):
        kind = obj if isinstance(obj, type) else type(obj)
        assert kind.__module__.partition(".")[0] != "torch", f"a {kind.__qualname__} of torch"


@contract
def check_no_torch_objects(estimator):
    """Check that neither parameters nor pickled state hold an object of torch.

    Parameters
    ----------
    estimator : BaseAudioTransformer
        Unfitted; a clone is checked.
    """
    X = noise(*LENGTHS)
    estimator = fitted(estimator, X)
    estimator.transform(X)
    state = {**estimator.get_params(deep=False), **estimator.__getstate__()}
    for name, value in state.items():
        try:
            _Inspector(io.BytesIO()).dump(value)
        except Exception as error:  # an object of torch, or one that cannot be pickled
            raise AssertionError(f"{name} holds {error}") from error
    _Inspector(io.BytesIO()).dump(estimator)  # through its own `__reduce__`, if it has one


@contract
def check_round_trips(estimator):
    """Check that copies, and what comes back from disk, give the same features.

    Parameters
    ----------
    estimator : BaseAudioTransformer
        Unfitted; a clone is checked.
    """
    X = noise(*LENGTHS)
    estimator = fitted(estimator, X)
    wanted = estimator.transform(X)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        back = pickle.loads(pickle.dumps(estimator, protocol))
        assert_same(back.transform(X), wanted, f"after pickle protocol {protocol}")
    assert_same(copy.deepcopy(estimator).transform(X), wanted, "after deepcopy")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "extractor.joblib")
        joblib.dump(estimator, path)
        for mode in (None, "r"):
            back = joblib.load(path, mmap_mode=mode)
            assert_same(back.transform(X), wanted, f"after joblib, mmap_mode={mode!r}")
        del back  # or its memory map would keep the file open
    again = fitted(estimator, X)
    assert_same(again.transform(X), wanted, "fit again after clone")


@contract
def check_random_state(estimator):
    """Check that all randomness comes from random_state, and none from global generators.

    Parameters
    ----------
    estimator : BaseAudioTransformer
        Unfitted; a clone is checked.
    """
    X = noise(*LENGTHS)

    def features(what, probe, **params):
        with generators_unmoved(f"fit, {what},"):
            probe = fit(probe.set_params(**params), X)
        with generators_unmoved(f"transform, {what},"):
            probe.transform_frames(X)
            return probe.transform(X)

    if "random_state" not in estimator.get_params(deep=False):
        first, second = (features("without random_state", clone(estimator)) for _ in range(2))
        assert_same(first, second, "two fits of an extractor without random_state")
        return
    results = {}
    for what, new_state in {
        "random_state=0": lambda: 0,
        "random_state=RandomState(1)": lambda: np.random.RandomState(1),
    }.items():
        first, second = (features(what, clone(estimator), random_state=new_state()) for _ in "ab")
        assert_same(first, second, f"two fits with {what}")
        results[what] = first
    shared = np.random.RandomState(1)
    for time in ("first", "second"):
        what = f"one RandomState, {time} time"
        results[what] = features(what, estimator, random_state=shared)
    del results["random_state=RandomState(1)"]  # equal to the first of the shared one
    for time in ("first", "second"):
        what = f"random_state=None, {time} time"
        results[what] = features(what, estimator, random_state=None)
    for i, (what, one) in enumerate(results.items()):
        for other in list(results)[i + 1 :]:
            assert not np.array_equal(one, results[other]), f"{what} and {other} give the same"


@contract
def check_learning(estimator):
    """Check that features depend on the clips seen in fit if and only if that is stated.

    Parameters
    ----------
    estimator : BaseAudioTransformer
        Unfitted; a clone is checked.
    """
    X, others = noise(*LENGTHS), [5 * clip for clip in noise(2000, 7000, seed=1)]
    one, other = (fitted(estimator, clips).transform(X) for clips in (X, others))
    stated = estimator.learns_from_clips
    if stated is False:
        assert_same(other, one, "it says learns_from_clips=False, but after fit on other clips")
    else:
        assert stated is True, f"learns_from_clips is {stated!r}, not a bool"
        assert not np.array_equal(other, one), (
            "it says learns_from_clips=True, but fit on other clips changes no feature"
        )


@contract
def check_output(estimator):
    """Check that features are float32, 2-D and named. Needs pandas.

    Parameters
    ----------
    estimator : BaseAudioTransformer
        Unfitted; a clone is checked.
    """
    X = noise(*LENGTHS)
    y = labels_for(estimator, X)
    Z = estimator.fit_transform(X, y)
    assert type(Z) is np.ndarray, f"transform gives a {type(Z).__name__}, not an ndarray"
    assert Z.dtype == np.float32, f"features are {Z.dtype}, not float32"
    assert Z.ndim == 2 and len(Z) == len(X), f"features of {len(X)} clips have shape {Z.shape}"
    assert_same(estimator.transform(X), Z, "transform, against fit_transform")
    names = estimator.get_feature_names_out()
    assert names.dtype == object and all(type(name) is str for name in names), (
        "feature names are no object array of str"
    )
    assert len(names) == Z.shape[1], f"{len(names)} names for {Z.shape[1]} features"
    twice = sorted({name for name in names if np.count_nonzero(names == name) > 1})
    assert not twice, f"several features are called {twice[0]!r}"
    width = estimator.n_features_out_
    assert width == Z.shape[1], f"n_features_out_ is {width} for {Z.shape[1]} features"
    frame = clone(estimator).set_output(transform="pandas").fit_transform(X, y)
    assert list(frame.columns) == list(names), "columns of the data frame are not the names"
    assert (frame.dtypes == np.float32).all(), "columns of the data frame are not float32"
    assert_same(frame.to_numpy(), Z, "the data frame, against the array")


@contract
def check_frames(estimator):
    """Check that frames agree with their names and times, and with what is pooled from them.

    Parameters
    ----------
    estimator : BaseAudioTransformer
        Unfitted; a clone is checked.
    """
    X = noise(*LENGTHS)
    estimator = fitted(estimator, X, pooling="mean")
    frames, Z = estimator.transform_frames(X), estimator.transform(X)
    assert len(frames) == len(X), f"frames of {len(frames)} clips for {len(X)} clips"
    maps = estimator._ready(None).network.maps
    names = estimator.get_frame_names_out()
    assert names.dtype == object and all(type(name) is str for name in names), (
        "names of the columns of frames are no object array of str"
    )
    assert len({*names}) == len(names), f"several columns of frames have one name: {[*names]}"
    width = frames[0].shape[1]
    assert len(names) == width, f"{len(names)} names for {width} columns of frames"
    for clip, values in zip(X, frames, strict=True):
        assert values.dtype == np.float32, f"frames are {values.dtype}, not float32"
        times = estimator.frame_times(len(clip))
        assert values.shape == (len(times), width), (
            f"a clip of {len(clip)} samples has frames of shape {values.shape}, but "
            f"{len(times)} times and {width} channels"
        )
        assert len(times) and times.dtype == np.float64, "times must be float64, at least one"
        assert (np.diff(times) > 0).all(), "times of frames do not increase"
        assert_close(estimator.transform_frames([clip])[0], values, "frames of a clip alone")
    if not estimator.pools_all_frames:
        return
    # only for the layer with the finest grid, since the others repeat frames
    base = finest(maps)
    first = sum(len(m.channels) for m in maps[:base])
    columns = slice(first, first + len(maps[base].channels))
    means = np.stack([values[:, columns].mean(axis=0, dtype=np.float64) for values in frames])
    assert_close(means, Z[:, columns], "means of the frames, against pooling='mean'", 1e-4)


@contract
def check_weights(estimator):
    """Check that ``weights_`` holds kernels, each before its bias, and that they are in use.

    Scales of one dimension may stand anywhere; counts and switches are integers, booleans, or
    arrays without any dimension.

    Parameters
    ----------
    estimator : BaseAudioTransformer
        Unfitted; a clone is checked. One without ``random_state`` has no weights, and passes.
    """
    X = noise(*LENGTHS)
    estimator = fitted(estimator, X)
    if "random_state" not in estimator.get_params(deep=False):
        return
    weights = estimator.weights_
    assert type(weights) is dict and weights, "weights_ is no dict, or an empty one"
    before, shape = "nothing", ()
    for name, array in weights.items():
        assert isinstance(name, str), f"the key {name!r} of weights_ is no str"
        assert isinstance(array, np.ndarray), f"{name} is no array"
        assert array.dtype == np.float32 or array.dtype.kind in "biu", (
            f"{name} is {array.dtype}, neither float32 nor whole numbers"
        )
        assert np.isfinite(array).all(), f"{name} is not finite"
        if array.dtype.kind != "f" or array.ndim == 0:
            continue
        if name.rpartition(".")[2].startswith("bias"):
            of_kernel = array.ndim == 1 and len(array) in shape[:2]
            assert of_kernel or array.shape == shape, (  # or the shift beside a scale
                f"{name}, of shape {array.shape}, is not the bias of what precedes it, {before}"
            )
        else:
            assert array.ndim in (1, 2, 3, 4), (
                f"{name} has shape {array.shape}, not (out, in[, time[, mel]])"
            )
            before, shape = f"{name} of shape {array.shape}", array.shape
    wanted = estimator.transform(X)
    estimator.weights_ = {name: np.zeros_like(array) for name, array in weights.items()}
    assert not np.array_equal(estimator.transform(X), wanted), "transform does not use weights_"
