"""Estimators that train a network of their own, as a third party would write them."""

from torch import nn

from skaudio.base import BaseAudioTransformer
from skaudio.networks import Map, Network
from skaudio.training import Classification, ClassificationMixin, Outcome, Task, TrainingMixin

# what makes their trainings short
QUICK = {"n_channels": 4, "max_epochs": 2, "crop_seconds": 0.1, "batch_seconds": 0.4}


class Convolution(Network):
    """One convolution of the wave, normalised by what training saw: (B, 1, T) -> (B, C, T')."""

    min_steps, stride, halo = 64, 32, (0, 32)

    def __init__(self, n_channels):
        super().__init__()
        self.conv = nn.Conv1d(1, n_channels, 64, 32)
        self.norm = nn.BatchNorm1d(n_channels)  # its count of batches is a whole number
        self.maps = [Map("conv", [*map(str, range(n_channels))]).then(64, stride=32)]
        self.floats_per_step = 3 * n_channels / 32

    def output_lengths(self, lengths):
        return [(lengths - 64) // 32 + 1]

    def forward(self, x, lengths):
        return [(self.norm(self.conv(x).abs()), *self.output_lengths(lengths))]


class NextSamples(Task):
    """Tell the 32 samples after each frame of the network: their mean squared error."""

    def __init__(self, network, n_channels):
        super().__init__(network)
        self.head = nn.Conv1d(n_channels, 32, 1)
        self.min_samples = 2 * 64  # a normalisation over a batch needs two frames

    def forward(self, batch):
        ((frames, _),) = self.frames(batch.wave[:, :-32])
        n_frames = frames.shape[-1]
        following = batch.wave[:, 64 : 64 + 32 * n_frames].unflatten(1, (n_frames, 32))
        errors = (self.head(frames) - following.transpose(1, 2)).square()
        return Outcome(errors.sum(), errors.numel(), {"abs_error": errors.detach().sqrt().sum()})


class _Example(BaseAudioTransformer):
    """The parameters that both examples have."""

    def __init__(
        self, n_channels=8, *, pooling="mean_std", sample_rate=16000, crop_seconds=1.0,
        batch_seconds=8.0, max_epochs=None, learning_rate=2e-3, validation_fraction=0.1,
        early_stopping=True, callbacks=None, checkpoint=None, warm_start=False,
        random_state=None, batch_size=None, device="auto", memory=None, n_jobs=None, verbose=0,
        on_error="raise",
    ):  # fmt: skip
        self.n_channels = n_channels
        self.pooling = pooling
        self.sample_rate = sample_rate
        self.crop_seconds = crop_seconds
        self.batch_seconds = batch_seconds
        self.max_epochs = max_epochs
        self.learning_rate = learning_rate
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.warm_start = warm_start
        self.random_state = random_state
        self.batch_size = batch_size
        self.device = device
        self.memory = memory
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.on_error = on_error

    def _network(self, generator):
        return Convolution(self.n_channels)


class ClassifyingTransformer(ClassificationMixin, _Example):
    """Trained to tell classes apart."""

    def _task(self, network, y):
        task = Classification(network, len(self.classes_), pooling=self.pooling, y=y)
        task.min_samples = 2 * 64  # a normalisation over a batch needs two frames
        return task


class ReconstructingTransformer(TrainingMixin, _Example):
    """Trained without labels, to tell what follows."""

    def _task(self, network, y):
        return NextSamples(network, self.n_channels)


def examples():
    """Make instances of both, unfitted."""
    return [ClassifyingTransformer(**QUICK), ReconstructingTransformer(**QUICK)]
