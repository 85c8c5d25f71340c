"""What the tests of saving share."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import skops.io
from sklearn.base import BaseEstimator

from skaudio import MFCCTransformer, RandomCNNTransformer
from skaudio.saving import load

SMALL = {"n_fft": 256, "hop_length": 64, "n_mels": 16, "sample_rate": 8000}
SAMPLES = {
    "mfcc": MFCCTransformer(**SMALL, n_mfcc=5),
    "vgg": RandomCNNTransformer(**SMALL, n_filters=4, random_state=0),
    "single": RandomCNNTransformer(
        "single", **SMALL, n_filters=4, kernel=(3, 12), normalize="dataset", random_state=0
    ),
}


def assert_same_value(found, expected):
    """Equal in value and type, within containers too; dicts also in order."""
    assert type(found) is type(expected)
    if isinstance(expected, BaseEstimator):
        found, expected = vars(found), vars(expected)
    if isinstance(expected, dict):
        assert [*found] == [*expected]
        found, expected = [*found.values()], [*expected.values()]
    if isinstance(expected, list | tuple):
        for a, b in zip(found, expected, strict=True):
            assert_same_value(a, b)
    elif isinstance(expected, np.ndarray):
        assert found.flags.c_contiguous == expected.flags.c_contiguous
        np.testing.assert_array_equal(found, expected, strict=True)
    else:
        assert found == expected


def assert_refused(path, reason):
    """One error of one line: what, why, and what to do."""
    with pytest.raises(ValueError) as caught:
        load(path)
    text = str(caught.value)
    pattern = rf"{re.escape(str(path))} cannot be loaded: .*{reason}.*; [^;]* again"
    assert type(caught.value) is ValueError and re.fullmatch(pattern, text), text


def load_skops(path, extractor):
    skops.io.dump(extractor, path.with_suffix(".skops"))
    return load(path.with_suffix(".skops"))


def rewrite(folder, change):
    """Save again after a change, with everything else in order, the check sum included."""
    text, data = folder / "estimator.json", folder / "arrays.safetensors"
    document, arrays = json.loads(text.read_text()), safetensors.numpy.load(data.read_bytes())
    change(document, arrays)
    data.write_bytes(safetensors.numpy.save(arrays))
    text.write_text(json.dumps(document))
    seal(folder)


def seal(folder):
    text, data = folder / "estimator.json", folder / "arrays.safetensors"
    digest = hashlib.sha256(data.read_bytes()).hexdigest()
    text.write_text(re.sub('"sha256": "[0-9a-f]*"', f'"sha256": "{digest}"', text.read_text()))


class Payload:
    """Leaves a mark wherever it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (Path(self.mark),)
