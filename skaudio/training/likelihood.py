"""Predict each sample from those before it: the task that trains WaveNet.

van den Oord et al. 2016, arXiv:1609.03499, section 2.
"""

import math

from ._task import Outcome, Task

__all__ = ["NextSample"]


class NextSample(Task):
    """Negative log-likelihood of all samples of the crops, in nats.

    Its score is ``bits``, the same in bits per sample: the uniform distribution over 256 classes
    has 8. A crop is scored as a clip of its own: nothing stands before its first sample.

    Parameters
    ----------
    network : WaveNet
        What is trained. If it is conditioned by labels, these are the targets of the batches.
    conditions : Conditions, default=None
        Gives the frames that condition the network, worked out of each crop. None: nothing does.
    """

    def __init__(self, network, conditions=None):
        super().__init__(network)
        self.conditions = conditions
        self.chance = math.log(network.n_classes)

    def forward(self, batch):
        wave = batch.wave
        codes = self.network.codes(wave)
        frames = None if self.conditions is None else self.conditions(wave)
        label = batch.target if self.network.n_labels else None
        predictions = self.network.predictions(codes, label, frames).float()
        # crops are of one length, so that there is no padding among what is predicted
        loss = -self.network.log_prob(predictions, codes).sum()
        return Outcome(loss, wave.numel(), {"bits": loss.detach() / math.log(2)})

    def memory(self, n_crops, n_samples):
        # gradients of what the layers and the head hold at each step
        numbers = self.network.floats_per_step + self.network.floats_per_prediction
        return 8.0 * n_crops * n_samples * numbers
