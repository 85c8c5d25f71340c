"""The forward pass that is remembered: the same features, and never those of another state."""

import copy
import gc
import pickle
import threading
import weakref

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone

from skaudio import MFCCTransformer, RandomCNNTransformer, Wav2VecTransformer
from skaudio._engine import remembered as module
from skaudio._engine.forward import ForwardPass
from skaudio.base import BaseAudioTransformer
from tests.by_hand import noise

X = noise(3000, 5000)


@pytest.fixture
def built(monkeypatch):
    """Extractors whose forward pass was built, one after the other."""
    calls, build = [], BaseAudioTransformer._forward_pass

    def counted(self):
        calls.append(type(self).__name__)
        return build(self)

    monkeypatch.setattr(BaseAudioTransformer, "_forward_pass", counted)
    return calls


def cnn(**params):
    return RandomCNNTransformer("single", n_filters=8, random_state=0, **params)


def test_it_is_built_once(built):
    extractor = cnn().fit(X)
    Z = extractor.transform(X)
    assert np.array_equal(extractor.transform(X), Z)
    extractor.transform_frames(X)
    extractor.frame_times(3000)
    extractor.set_params(batch_size=1, verbose=0, n_jobs=1, on_error="skip").transform(X)
    assert len(built) == 1


@pytest.mark.parametrize(
    "edit",
    [
        lambda e: e.weights_.update({"conv.bias": e.weights_["conv.bias"] + 1}),
        lambda e: setattr(e, "weights_", {k: 2 * w for k, w in e.weights_.items()}),
        lambda e: e.set_params(fmax=3000.0),
        lambda e: e.set_params(normalize=None),
        lambda e: e.set_params(random_state=1).fit(X),
        lambda e: e.set_params(pooling="mean"),
    ],
)
def test_what_changes_is_seen(edit):
    extractor = cnn().fit(X)
    before = extractor.transform(X)
    edit(extractor)
    Z = extractor.transform(X)
    assert np.array_equal(Z, copy.deepcopy(extractor).transform(X))  # built anew
    assert not np.array_equal(Z, before)


def test_nothing_is_edited_in_place_unseen(rng):
    extractor = cnn(normalize="dataset").fit(X)
    before = extractor.transform(X)
    for array in (extractor.weights_["conv.weight"], extractor.input_scale_):
        for view in (array, array[:1], array.T):
            with pytest.raises(ValueError, match="read-only"):
                view *= 2
    weight = extractor.weights_["conv.weight"]
    weight.flags.writeable = True  # who insists
    weight *= 2
    Z = extractor.transform(X)
    assert not np.array_equal(Z, before)
    assert np.array_equal(Z, copy.deepcopy(extractor).transform(X))


def test_what_was_learnt_is_seen():
    extractor = cnn(normalize="dataset").fit(X)
    before = extractor.transform(X)
    extractor.input_scale_ = 3 * extractor.input_scale_
    assert not np.allclose(extractor.transform(X), before)
    wav2vec = Wav2VecTransformer(max_epochs=0, random_state=0).fit(X)
    before = wav2vec.transform(X)
    wav2vec.architecture_["log_compression"] = False
    assert not np.allclose(wav2vec.transform(X), before)


def test_with_objects_inside_nothing_is_remembered(built):
    class Odd(MFCCTransformer):
        def fit(self, X, y=None):
            self.table_ = object()  # nobody sees what is done to it
            return super().fit(X)

    extractor = Odd().fit(X)
    extractor.transform(X)
    extractor.transform(X)
    assert len(built) == 2


def test_copies_and_pickles_know_nothing_of_it(built):
    extractor = cnn().fit(X)
    state = pickle.dumps(extractor)
    Z = extractor.transform(X)
    assert pickle.dumps(extractor) == state
    for other in (copy.deepcopy(extractor), pickle.loads(state), clone(extractor).fit(X)):
        assert np.array_equal(other.transform(X), Z)
    assert len(built) == 4


def test_it_goes_with_the_extractor(monkeypatch):
    passes, build = [], BaseAudioTransformer._forward_pass

    def noted(self):
        forward = build(self)
        passes.append(weakref.ref(forward.network))
        return forward

    monkeypatch.setattr(BaseAudioTransformer, "_forward_pass", noted)
    extractor = cnn().fit(X)
    extractor.transform(X)
    assert passes[0]() is not None
    del extractor
    gc.collect()
    assert passes[0]() is None


def test_memory_is_bounded(monkeypatch, built):
    gc.collect()
    module._entries.clear()
    extractors = [cnn().fit(X) for _ in range(3)]
    size = extractors[0]._ready(None).n_bytes
    monkeypatch.setattr(module, "_MOST_BYTES", int(2.5 * size))
    for extractor in extractors:
        extractor.transform(X)
    assert len(module._entries) == 2
    del built[:]
    extractors[2].transform(X)
    extractors[1].transform(X)
    assert not built
    monkeypatch.setattr(module, "_MOST_BYTES", 0)
    extractors[0].transform(X)
    assert len(module._entries) == 1  # the last one, whatever its size


def test_threads_share_one_extractor():
    clips = noise(*range(2000, 4000, 100))
    extractor = RandomCNNTransformer(n_filters=8, random_state=0).fit(clips)
    wanted = [copy.deepcopy(extractor).transform([clip]) for clip in clips]
    wrong = []

    def work(order):
        for i in order:
            if not np.allclose(extractor.transform([clips[i]]), wanted[i], rtol=1e-5, atol=1e-5):
                wrong.append(i)

    orders = [np.random.default_rng(seed).permutation(len(clips)) for seed in range(4)]
    threads = [threading.Thread(target=work, args=[order]) for order in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_running_leaves_modules_as_they_are():
    for extractor in (MFCCTransformer(), cnn(), Wav2VecTransformer(max_epochs=0, random_state=0)):
        forward = extractor.fit(X)._ready(None)
        modules = [*forward.frontend.modules(), *forward.network.modules()]
        before = [{**vars(m)} for m in modules]
        extractor.transform(X)
        assert extractor._ready(None).network is forward.network
        for m, old in zip(modules, before, strict=True):
            assert vars(m).keys() == old.keys() and all(vars(m)[k] is old[k] for k in old)


def test_workers_get_it_from_the_processor(monkeypatch):
    sent = []
    extractor = cnn(n_jobs=2).fit(X)
    extractor._ready(extractor.pooling).at[0] = torch.device("meta")
    monkeypatch.setattr(ForwardPass, "to", lambda self, device: sent.append(device) or self)
    with joblib.parallel_config("threading"):
        extractor.transform(X)
    assert torch.device("cpu") in sent


def test_one_clip_takes_no_more_than_the_network(monkeypatch, built):
    calls, extractor = [], RandomCNNTransformer("sample_level", n_filters=8, random_state=0)
    extractor.fit(X).transform(X[:1])
    forward = type(extractor._ready(None).network).forward

    def counted(self, x, lengths):
        calls.append(len(x))
        return forward(self, x, lengths)

    monkeypatch.setattr(type(extractor._ready(None).network), "forward", counted)
    monkeypatch.setattr(threading.Thread, "start", lambda self: pytest.fail("starts a thread"))
    monkeypatch.setattr(joblib, "Parallel", lambda *args, **kwargs: pytest.fail("calls joblib"))
    extractor.transform(X[:1])
    assert calls == [1] and len(built) == 1


def test_one_clip_goes_the_way_of_many(rng):
    extractor = cnn().fit(X)
    Z = extractor.transform(X)
    for clip, row in zip(X, Z, strict=True):
        assert np.allclose(extractor.transform([clip]), row, rtol=1e-5, atol=1e-5 * abs(Z).max())
    with pytest.raises(ValueError, match=r"clip 0 \(array\) holds NaN"):
        extractor.transform([np.full(900, np.nan)])
    extractor.set_params(on_error="skip")
    with pytest.warns(UserWarning, match="skipped 1 of 1 clips"):
        assert np.isnan(extractor.transform([np.full(900, np.nan)])).all()
    with pytest.warns(UserWarning, match="are shorter than"):
        extractor.transform([X[0][:5]])
    with pytest.warns(UserWarning, match="so large that its features overflow"):
        extractor.transform([7e17 * np.sin(np.arange(1000))])
