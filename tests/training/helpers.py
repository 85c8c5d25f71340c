"""Small trainings that the tests of this folder share."""

import numpy as np
from skorch.callbacks import Callback

from skaudio import VQTransformer, Wav2VecTransformer

SMALL = {
    "encoder_layers": ((8, 10, 5), (8, 8, 4)),
    "aggregator_layers": ((8, 2, 1), (8, 3, 1)),
    "n_steps": 3,
    "n_negatives": 3,
    "crop_seconds": 0.1,
    "batch_seconds": 0.5,
    "early_stopping": False,
    "random_state": 0,
}


def small(**params):
    return Wav2VecTransformer(**{**SMALL, **params})


def vq(quantizer="ema", **params):
    return VQTransformer(quantizer, n_codes=4, **{**SMALL, **params})


def noise(*lengths):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(n).astype(np.float32) for n in lengths]


CLIPS = noise(*[8000] * 8)


class Stop(Exception):
    """The power fails."""


class Fails(Callback):
    """Fail when an epoch begins."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.epoch:
            raise Stop


class Counts(Callback):
    """Count the updates."""

    def initialize(self):
        self.updates = 0
        return self

    def on_batch_end(self, net, training=False, **kwargs):
        self.updates += training


def losses(wav2vec):
    return [(row["train_loss"], row["valid_loss"]) for row in wav2vec.history_]


def equal_weights(a, b):
    """Whether two extractors have learnt the same, bit for bit."""
    one, other = ({**e.weights_, **e.task_weights_} for e in (a, b))
    return [*one] == [*other] and all(np.array_equal(one[name], other[name]) for name in one)
