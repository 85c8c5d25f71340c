"""What the tests of extractors share."""

import pytest
import torch

from tests.extractors.published_sincnet import CHUNK, ByHand
from tests.pretrained.test_sincnet_files import content


@pytest.fixture
def stored(tmp_path):
    """Function that writes a checkpoint; it gives its path, and what is in it by hand."""

    def stored(size="timit", old=False):
        state = content(size, old, head_norm=size == "librispeech", chunk=CHUNK)
        torch.save(state, tmp_path / "model_raw.pkl")
        return tmp_path / "model_raw.pkl", ByHand(size, old, state)

    return stored
