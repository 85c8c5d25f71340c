"""Networks that give the distribution of each sample: what is predicted of it, and how likely."""

import torch
import torch.nn.functional as F

from .. import _mulaw
from . import _logistic
from ._network import Network

__all__ = ["OUTPUTS", "CodedNetwork"]

OUTPUTS = ("mulaw", "logistic")


class CodedNetwork(Network):
    """Base of networks that predict samples as codes: mu-law classes, or levels of amplitude.

    Parameters
    ----------
    output : {"mulaw", "logistic"}
        What is predicted: mu-law classes; or amplitudes, by a mixture of logistics.
    n_classes : int or None
        Number of classes, or of levels of amplitude. None: 256, or 65536.
    n_mixtures : int
        Components of a mixture.
    min_log_scale : float
        Floor of the logarithm of the scale of a logistic.
    reference : bool
        As for `_logistic.log_prob`.

    Attributes
    ----------
    n_outputs : int
        Parameters K of a distribution.

    Raises
    ------
    ValueError
        If there is no such output.
    """

    def __init__(self, output, n_classes, n_mixtures, min_log_scale, reference):
        super().__init__()
        if output not in OUTPUTS:
            raise ValueError(f"output={output!r} must be one of {', '.join(map(repr, OUTPUTS))}")
        self.output, self.reference, self.min_log_scale = output, reference, min_log_scale
        self.n_classes = n_classes or (256 if output == "mulaw" else 65536)
        self.n_outputs = self.n_classes if output == "mulaw" else 3 * n_mixtures

    @property
    def _weights(self):
        """Any weights, which tell dtype and device."""
        return next(self.parameters())

    def codes(self, wave):
        """What is predicted of each sample.

        Parameters
        ----------
        wave : Tensor of shape (B, T)
            Samples.

        Returns
        -------
        codes : Tensor of shape (B, T)
            Mu-law classes of variant A, int64; or levels from -1 to 1, in the dtype of the wave.
        """
        if self.output == "mulaw":
            return _mulaw.encode(wave, self.n_classes)
        return _logistic.quantise(wave, self.n_classes)

    def decode(self, codes):
        """Amplitudes that codes stand for.

        Parameters
        ----------
        codes : Tensor of any shape
            As of `codes`.

        Returns
        -------
        wave : Tensor of the same shape, float32
            From -1 to 1.
        """
        return _mulaw.decode(codes, self.n_classes) if self.output == "mulaw" else codes.float()

    def levels(self):
        """All codes there are.

        Returns
        -------
        levels : Tensor of shape (n_classes,)
            In order; levels of amplitude in the dtype of the weights.
        """
        if self.output == "mulaw":
            return torch.arange(self.n_classes, device=self._weights.device)
        return _logistic.levels(self.n_classes, self._weights)

    def log_widths(self, codes):
        """Logarithm of the range of amplitudes that each code stands for.

        Parameters
        ----------
        codes : Tensor of any shape
            As of `codes`.

        Returns
        -------
        log_widths : Tensor of the same shape
            In the dtype of the weights; a log mass less this is a log density.
        """
        if self.output == "mulaw":
            return torch.from_numpy(_mulaw.log_widths(self.n_classes)).to(self._weights)[codes]
        return _logistic.log_widths(codes, self.n_classes).to(self._weights)

    def log_prob(self, predictions, codes):
        """Log probability of each sample.

        Parameters
        ----------
        predictions : Tensor of shape (B, K, T)
            Of `predictions`.
        codes : Tensor of shape (B, T)
            As of `codes`.

        Returns
        -------
        log_prob : Tensor of shape (B, T)
            Natural logarithm of the mass of what was heard.
        """
        if self.output == "logistic":
            how = self.n_classes, self.min_log_scale, self.reference
            return _logistic.log_prob(predictions, codes, *how)
        logits = predictions.transpose(1, 2).flatten(0, 1)  # as they lie in memory
        nats = F.cross_entropy(logits, codes.flatten(), reduction="none")
        return -nats.view_as(codes)

    def _silence(self):
        return self.n_classes // 2 if self.output == "mulaw" else 0.0

    def _amplitudes(self, codes):
        """What contexts read, in the dtype of the weights: from -1 to 1."""
        if self.output == "logistic":
            return codes.to(self._weights)
        return 2 * codes.to(self._weights) / (self.n_classes - 1) - 1
