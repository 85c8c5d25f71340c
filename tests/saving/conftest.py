"""Fixtures of the tests of saving."""

import pickle

import pytest

from skaudio import RandomCNNTransformer
from skaudio._engine.saved_folder import save
from tests.saving.helpers import SMALL, Payload


@pytest.fixture
def clips(rng):
    return [0.1 * rng.standard_normal(n) for n in (3000, 700)]


@pytest.fixture
def cnn(clips):
    return RandomCNNTransformer(**SMALL, n_filters=2, random_state=0).fit(clips)


@pytest.fixture
def folder(tmp_path, cnn):
    """Folder of a saved extractor, the only one in its parent."""
    (tmp_path / "parent").mkdir()
    save(cnn, tmp_path / "parent" / "cnn")
    return tmp_path / "parent" / "cnn"


@pytest.fixture
def mark(tmp_path):
    """Path that a payload would make; it must not be there afterwards."""
    mark = tmp_path / "mark"
    pickle.loads(pickle.dumps(Payload(str(mark))))
    mark.unlink()  # so the payload works
    yield str(mark)
    assert not mark.exists()
