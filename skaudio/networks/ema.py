"""Vector quantiser of moving averages: van den Oord et al. 2017, arXiv:1711.00937, appendix A.1."""

import torch
import torch.nn.functional as F

from ._quantizer import (
    Quantized,
    Quantizer,
    _clips,
    _look_up,
    _maps,
    _nearest,
    _needed,
    _straight_through,
    _valid,
)

__all__ = ["EMAQuantizer"]

EPSILON = 1e-5  # share of a vector that every code of a moving average is granted


class EMAQuantizer(Quantizer):
    """Codes of the nearest vectors; these are moving averages of the frames that chose them.

    Its loss is beta * mean((z - sg(e))^2). The first training batch gives the first table, its
    vectors drawn far from each other (Arthur & Vassilvitskii 2007). Each later one moves count
    and sum of a code by 1 - decay towards the batch's; a code whose count falls below
    ``least_count`` starts again from a frame drawn from the batch. z comes from the table as it
    was before the batch moved it.

    Parameters
    ----------
    dim, n_codes, n_groups : int
        Channels C, vectors V per table, groups G of channels.
    shared : bool
        Whether all groups have one table.
    decay : float
        Share of the old count and sum that remains after a batch.
    beta : float
        Weight of the loss.
    least_count : float
        Average of frames per batch below which a code is dead; 0 revives none. It should lie well
        below N G / V, or N / V if not shared, for batches of N frames.

    Raises
    ------
    ValueError
        If C / G is not whole, or training lacks a generator.
    """

    def __init__(
        self, dim, n_codes, n_groups, *, shared=False, decay=0.99, beta=0.25, least_count=1.0
    ):
        super().__init__(dim, n_codes, n_groups, shared)
        self.decay, self.beta, self.least_count = decay, beta, least_count
        shape = n_codes, self.n_tables
        self.register_buffer("table", torch.zeros(*shape, self.width))
        self.register_buffer("counts", torch.zeros(shape))
        self.register_buffer("sums", torch.zeros(*shape, self.width))

    def _fill(self, generator):
        self.table.normal_(generator=generator)
        self.counts.zero_()
        self.sums.zero_()

    def forward(self, z, lengths=None, *, temperature=2.0, generator=None):
        valid = _valid(z, lengths)
        frames = self._frames(z, valid)
        if self.training and not self.counts.any():
            self.start(z, lengths, generator)
        codes = _nearest(frames, self.table)
        chosen = _look_up(self.table, codes)
        if self.training:
            self._update(frames, codes, _needed(generator))
        return Quantized(
            _maps(_straight_through(frames, chosen), valid),
            _clips(codes, valid),
            self.beta * F.mse_loss(frames, chosen),
            self._usage(codes),
        )

    def _begin(self, vectors, points):
        self._renew(torch.ones_like(self.counts, dtype=torch.bool), vectors)

    @torch.no_grad()
    def _update(self, frames, codes, generator):
        points = frames.reshape(-1, self.n_tables, self.width)
        choice = F.one_hot(codes.reshape(-1, self.n_tables), self.n_codes).to(points)
        self.counts.lerp_(choice.sum(0).T, 1 - self.decay)
        # as a product: sums by index come out in any order on a GPU
        self.sums.lerp_(torch.einsum("ptv,ptd->vtd", choice, points), 1 - self.decay)
        total = self.counts.sum(0)
        smooth = (self.counts + EPSILON) / (total + self.n_codes * EPSILON) * total
        self.table.copy_(self.sums / smooth[..., None])
        # one draw for every code, dead or not, so that what follows does not hang on rounding
        drawn = torch.randint(len(points), self.counts.shape, generator=generator)
        self._renew(self.counts < self.least_count, points[drawn, torch.arange(self.n_tables)])

    def _renew(self, which, vectors):
        """Start codes (V, tables) again from vectors (V, tables, D), with a count that lives."""
        count = max(1.0, self.least_count)
        self.counts.masked_fill_(which, count)
        self.table.copy_(torch.where(which[..., None], vectors, self.table))
        self.sums.copy_(torch.where(which[..., None], count * vectors, self.sums))

    def _codes(self, z, lengths, valid):
        return _nearest(self._frames(z, valid), self.table)
