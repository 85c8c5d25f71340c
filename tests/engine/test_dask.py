"""Features worked out by Dask: the rows are those worked out here, also if a worker dies."""

from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from skaudio import MFCCTransformer, RandomCNNTransformer

distributed = pytest.importorskip("distributed", reason="Dask is an extra: skaudio[dask]")
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
EXTRACTORS = [MFCCTransformer(), RandomCNNTransformer(n_filters=4, random_state=0)]


@pytest.fixture(scope="module")
def cluster():
    """Two workers of one thread."""
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster):
        yield cluster


@pytest.fixture
def one_thread():
    """As a worker has, since products may round otherwise with more."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.mark.parametrize("extractor", EXTRACTORS, ids=["mfcc", "cnn"])
@pytest.mark.usefixtures("cluster", "one_thread")
def test_workers_give_the_same_features(extractor, audio_files):
    clips = 4 * audio_files
    extractor.fit(clips)
    with joblib.parallel_config("threading", n_jobs=2):  # in as many shards as two workers get
        expected, frames = extractor.transform(clips), extractor.transform_frames(clips)
    with joblib.parallel_config("dask"):
        assert_array_equal(extractor.transform(clips), expected, strict=True)
        for found, one in zip(extractor.transform_frames(clips), frames, strict=True):
            assert_array_equal(found, one, strict=True)
    alone = extractor.transform(clips)
    assert (np.abs(alone - expected) <= 1e-5 * np.abs(expected).max(axis=0)).all()


@pytest.mark.usefixtures("cluster")
def test_unusable_clip_of_a_worker_is_named(audio_files, tmp_path):
    clips = [*audio_files[:4], tmp_path / "lost.wav", audio_files[5]]
    mfcc = MFCCTransformer().fit(audio_files)
    with joblib.parallel_config("dask"):
        with pytest.raises(ValueError, match=r"clip 4 \(.*lost.wav\) does not exist"):
            mfcc.transform(clips)
        mfcc.set_params(on_error="skip")
        with pytest.warns(UserWarning, match=r"skipped 1 of 6 clips:\n  clip 4 \(.*lost.wav\)"):
            found = mfcc.transform(clips)
    assert_array_equal(np.isnan(found).all(axis=1), np.arange(6) == 4)


@pytest.mark.usefixtures("one_thread")
def test_killed_worker_loses_no_row(audio_files, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from _fresh import FatalPath, dask_processes

    clips = 4 * audio_files
    mfcc = MFCCTransformer().fit(clips)
    with joblib.parallel_config("threading", n_jobs=2):
        expected = mfcc.transform(clips)
    clips[13] = FatalPath(clips[13], tmp_path / "killed")
    with dask_processes(tmp_path) as client, joblib.parallel_config("dask", client=client):
        found = mfcc.transform(clips)
        assert len(client.ncores()) == 1
    assert_array_equal(found, expected, strict=True)
