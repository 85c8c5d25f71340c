"""Extractors are found where they are defined."""

import sys

import pytest

import skaudio
from skaudio import extractors
from skaudio.utils.discovery import all_extractors
from skaudio.utils.estimator_checks import check_instances

NEW_FILE = """
from skaudio.base import BaseAudioTransformer
from skaudio.extractors import MFCCTransformer

class NewTransformer(MFCCTransformer):
    @classmethod
    def _get_test_params(cls):
        return [{"n_mfcc": 3}, {"n_mfcc": 4}]

class PlainTransformer(BaseAudioTransformer):
    def __init__(self, sample_rate=16000):
        self.sample_rate = sample_rate

class _PrivateTransformer(NewTransformer):
    pass

class Helper:
    pass
"""


@pytest.fixture
def new_file(tmp_path, monkeypatch):
    """A file with extractors among those of the library, exported by nobody."""
    (tmp_path / "_new.py").write_text(NEW_FILE)
    monkeypatch.setattr(extractors, "__path__", [*extractors.__path__, str(tmp_path)])
    yield
    sys.modules.pop("skaudio.extractors._new", None)
    vars(extractors).pop("_new", None)


NO_FEATURES = {"MuLawTransformer"}  # waves in, classes of the same shape out


def test_all_of_the_library_are_found_and_exported():
    found = all_extractors()
    assert [name for name, _ in found] == sorted({*extractors.__all__} - NO_FEATURES)
    for name, extractor in found:
        assert extractor is getattr(extractors, name) is getattr(skaudio, name)


def test_new_file_is_found_without_a_list(new_file):
    before = {*extractors.__all__} - NO_FEATURES
    names = [name for name, _ in all_extractors()]
    assert names == sorted([*before, "NewTransformer", "PlainTransformer"])


def test_new_file_is_tested_in_its_variants(new_file):
    made = [repr(instance) for instance in check_instances()]
    wanted = {"NewTransformer(n_mfcc=3)", "NewTransformer(n_mfcc=4)", "PlainTransformer()"}
    assert wanted < {*made}


def test_instances_are_new_each_time():
    one, other = check_instances(), check_instances()
    assert not {*map(id, one)} & {*map(id, other)}
