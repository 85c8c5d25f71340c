"""Workers that predict numbers about each frame of the clean chunk."""

import torch
import torch.nn.functional as F

from ..networks.deltas import Deltas
from ..utils.validation import check_number
from ._worker import Worker, mlp

__all__ = ["Regression"]

_FLAT = 1e-6  # of a mean: deviations as small are rounding


class Regression(Worker):
    """Predict numbers about each frame, and perhaps about the frames next to it [1]_, [2]_.

    A subclass sets ``n_targets`` and writes `target`. Targets are standardised by their mean and
    deviation over all frames of the training clips, so that every worker has about one vote; the
    loss is the mean squared error, and that of the mean itself is 1.

    Parameters
    ----------
    n_channels, hop_length, sample_rate : int
        As for `Worker`.
    n_targets : int, default=None
        Numbers about each frame. None: the attribute of the class; so for the others.
    n_deltas : int, default=None
        Highest order of their differences over time, those of `librosa.feature.delta`, which are
        predicted as well.
    context : int, default=None
        How many neighbouring frames are predicted at once, an odd number; 7 in [2]_. Beyond the
        chunk they are 0, which is the mean.
    hidden : int, default=None
        Channels of the hidden layer of the head.

    References
    ----------
    .. [1] S. Pascual et al., "Learning Problem-agnostic Speech Representations from Multiple
       Self-supervised Tasks", Interspeech 2019, arXiv:1904.03416.
    .. [2] M. Ravanelli et al., "Multi-task self-supervised learning for Robust Speech
       Recognition", ICASSP 2020, arXiv:2001.09239.

    Examples
    --------
    >>> import torch
    >>> from skaudio.workers import Lesson, Regression
    >>> class Loudness(Regression):
    ...     n_targets = 1
    ...
    ...     def target(self, wave):
    ...         power = wave.unfold(1, self.hop_length, self.hop_length).square().mean(2)
    ...         return power.add(1e-10).log()[:, None]
    >>> worker = Loudness(n_channels=8, hop_length=160, sample_rate=16000)
    >>> frames, wave = torch.zeros(2, 8, 10), torch.ones(2, 1600)
    >>> worker(Lesson(frames, wave, torch.empty(3, 0), torch.Generator())).shape
    torch.Size([])
    """

    n_targets: int
    n_deltas: int = 0
    context: int = 1
    hidden: int = 256

    def __init__(
        self,
        n_channels,
        hop_length,
        sample_rate,
        *,
        n_targets=None,
        n_deltas=None,
        context=None,
        hidden=None,
    ):
        super().__init__(n_channels, hop_length, sample_rate)
        self.n_targets = self.n_targets if n_targets is None else n_targets
        self.n_deltas = self.n_deltas if n_deltas is None else n_deltas
        self.context = self.context if context is None else context
        self.hidden = self.hidden if hidden is None else hidden
        for name, low in (("n_targets", 1), ("n_deltas", 0), ("context", 1), ("hidden", 1)):
            check_number(name, getattr(self, name), low)
        if self.context % 2 == 0:
            raise ValueError(f"context={self.context} must be odd: as many frames on each side")
        width = self.n_targets * (1 + self.n_deltas)
        self.deltas = Deltas(("",), self.n_deltas, "savgol")
        self.head = self._head(width * self.context)
        self.register_buffer("mean", torch.zeros(width, 1))
        self.register_buffer("scale", torch.ones(width, 1))
        # predictions, targets and their differences; a target is made of some ten numbers each
        self.floats_per_frame = 3.0 * width * self.context + 10.0 * width + 2.0 * self.hidden

    def target(self, wave: torch.Tensor) -> torch.Tensor:
        """What is to be predicted about clean chunks.

        Parameters
        ----------
        wave : Tensor of shape (P, T)
            Chunks.

        Returns
        -------
        target : Tensor of shape (P, n_targets, N)
            One column for each hop of samples. More are cut off; where some are missing at the
            end, the last one is repeated.
        """
        raise NotImplementedError(f"{type(self).__name__} must define target(wave)")

    def error(self, prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Loss of predictions.

        Parameters
        ----------
        prediction, target : Tensor of one shape
            The targets are standardised.

        Returns
        -------
        error : Tensor of shape ()
            By default the mean squared error.
        """
        return F.mse_loss(prediction, target)

    def forward(self, lesson):
        prediction = self.head(lesson.frames)
        target = (self._targets(lesson.wave) - self.mean) / self.scale
        return self._loss(prediction, target)

    def prepare(self, waves, reference):
        sums, within, count = 0.0, [], 0
        for wave in waves:
            target = self._targets(wave)
            self._check(target, wave)
            target = target.double()
            powers = torch.stack([target, target.square()])
            sums, count = sums + powers.sum((1, 3)), count + target[:, 0].numel()
            if reference and target.shape[2] > 1:
                within.append(target.std(dim=2))
        mean, square = sums / count
        if reference and sum(map(len, within)) > 1:
            scale = torch.cat(within).std(dim=0)
        else:
            scale = (square - mean.square()).clamp(min=0).sqrt()
        flat = scale <= _FLAT * mean.abs()  # the target of silence, for instance
        self.mean.copy_(mean[:, None])
        self.scale.copy_(scale.masked_fill(flat, 1.0)[:, None])
        self._measure_chance(waves)

    def check(self, wave):
        self._check(self._targets(wave), wave)

    def _head(self, n_outputs):
        return mlp(self.n_channels, n_outputs, self.hidden)

    def _n_steps(self, n_samples):
        """Columns of the target of a chunk."""
        return n_samples // self.hop_length

    @torch.no_grad()
    def _targets(self, wave):
        """Targets (P, n_targets (1 + n_deltas), N), not yet standardised."""
        n_steps = self._n_steps(wave.shape[1])
        with torch.autocast(wave.device.type, enabled=False):
            x = self.target(wave)[..., :n_steps].float()
            if self.n_deltas:
                # differences are sums of frames, the same for all numbers: a matrix for each order
                unit = torch.eye(x.shape[2], device=x.device)[None]
                matrices = self.deltas(unit, torch.tensor([x.shape[2]]))
                x = torch.cat([x @ matrix for matrix, _ in matrices], dim=1)
        # those whose windows are not centred end before the chunk
        return F.pad(x, (0, n_steps - x.shape[2]), "replicate")

    def _loss(self, prediction, target):
        # (P, r K, N) and a view (P, K, N, r) of neighbours, which nothing is copied for
        side = self.context // 2
        near = F.pad(target, (side, side)).unfold(2, self.context, 1).permute(0, 3, 1, 2)
        return self.error(prediction.view(near.shape), near)

    def _measure_chance(self, waves):
        """Loss of who predicts the mean."""
        losses, n_chunks = 0.0, sum(map(len, waves))
        for wave in waves:
            target = (self._targets(wave) - self.mean) / self.scale
            shape = (len(wave), self.context * target.shape[1], target.shape[2])
            losses += len(wave) / n_chunks * float(self._loss(target.new_zeros(shape), target))
        self.chance.fill_(losses)

    def _check(self, target, wave):
        finite = target.isfinite().all((1, 2))
        if not bool(finite.all()):
            loudest = float(wave[~finite].abs().max())
            raise ValueError(
                f"what {type(self).__name__} is to predict is not finite for a clip whose samples "
                f"reach {loudest:g}; scale the clips down, to [-1, 1] for instance"
            )
