"""The task that trains wav2vec: tell the true future of a sound from other moments.

Schneider et al., arXiv:1904.05862, section 3.2.
"""

import torch

from ..networks.contrastive import contrastive_loss, draw_negatives, guessing
from ._task import Outcome, Task

__all__ = ["Prediction"]


class Prediction(Task):
    """Predict the frames that follow, and tell them from other moments of the crop.

    Parameters
    ----------
    network : Wav2Vec
        What is trained.
    n_negatives : int
        Other moments that each target is told from.
    objective : str
        As in `contrastive_loss`.
    quantizer_start : float
        Share of the training before which a quantizer is left out: of frames that mean nothing
        yet it would make few codes, and never more. Losses can be compared from there on.
    """

    def __init__(self, network, n_negatives, objective, quantizer_start=0.0):
        super().__init__(network)
        self.n_negatives, self.objective = n_negatives, objective
        self.quantizer_start, self.chance = quantizer_start, guessing(n_negatives, objective)
        # what a quantizer adds to the loss tells nothing apart
        self.judged_by = "loss" if network.quantizer is None else "contrastive_loss"
        quantizes = network.quantizer is not None
        self.register_buffer("waiting", torch.tensor(quantizer_start > 0), persistent=quantizes)
        # a context, the frames that are skipped, and one target beside a negative
        self.min_samples = network.min_steps + network.offset * network.stride

    @property
    def comparable(self):
        """Whether the quantizer takes part."""
        return not self.waiting or self.progress >= self.quantizer_start

    def forward(self, batch):
        # samples that no frame reaches would be cut off layer by layer, at some cost
        wave = batch.wave
        beyond = (wave.shape[1] - self.network.min_steps) % self.network.stride
        wave = wave[:, : wave.shape[1] - beyond]
        lengths = torch.full((len(wave),), wave.shape[1])
        z, lengths = self.network.encode(wave[:, None], lengths)
        quantizer, added = self.network.quantizer, z.new_zeros(())
        left_out = self.training and self.waiting and self.progress < self.quantizer_start
        if quantizer is not None and not left_out:
            if self.training and self.waiting:
                quantizer.start(z, lengths, self.generator)
                self.waiting.fill_(False)
            # from 2 to 0.5 over seven tenths of the training, as published
            temperature = max(2 * 0.25 ** (self.progress / 0.7), 0.5)
            quantized = quantizer(z, lengths, temperature=temperature, generator=self.generator)
            z, added = quantized.z, quantized.loss
        c = self.network.aggregate(z, lengths)[-1]
        negatives = draw_negatives(z.shape[-1], len(z), self.n_negatives, self.generator)
        loss, n, n_correct = contrastive_loss(
            z, self.network.predict(c), negatives, self.network.offset, self.objective
        )
        scores = {"accuracy": n_correct}
        if quantizer is not None:
            scores["contrastive_loss"] = loss.detach()
        return Outcome(loss + added * n, n, scores)

    def memory(self, n_crops, n_samples):
        """Memory that an update needs, about.

        Parameters
        ----------
        n_crops, n_samples : int
            Crops of a batch, and samples of each.

        Returns
        -------
        n_bytes : float
            Of activations, scores and their gradients.
        """
        n_frames = n_samples / self.network.stride
        n_channels, _, n_steps = self.network.head["weight"].shape[1:]
        n_predictions = n_frames * min(n_steps, n_frames)
        numbers = n_predictions * (7 * (1 + self.n_negatives) + 2 * n_frames + 3 * n_channels)
        return 4 * n_crops * (numbers + 2 * self.network.floats_per_step * n_samples)
