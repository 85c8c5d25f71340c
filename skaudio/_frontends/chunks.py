"""Waves cut into overlapping chunks of one length, each to be read on its own."""

from .._tensors import mask
from .base import FitLength, Frontend

__all__ = ["Chunks"]


class Chunks(Frontend):
    """Overlapping chunks of the wave: (B, T) -> (B, length, N), chunk i starting at i * hop.

    With "floor" a clip has (T - length) / hop chunks rounded down, as published for d-vectors [1]_;
    with "ceil" rounded up, as published for the decision about a sentence: all chunks that end
    before the last sample. A clip that would have none by this rule has one, from its beginning.

    Chunks of clips of one length are views of the wave, not copies.

    Parameters
    ----------
    length, hop : int
        Length of a chunk and step from one to the next, samples.
    rounding : {"floor", "ceil"}, default="floor"
        How the number of chunks is rounded.
    short : {"repeat", "zero"}, default="repeat"
        How a clip shorter than one chunk goes on: from its beginning again, or with zeros.
    normalize : bool, default=True
        Whether each clip is divided by its largest absolute sample; a silent one stays as it is.

    References
    ----------
    .. [1] M. Ravanelli and Y. Bengio, "Speaker recognition from raw waveform with SincNet", SLT
       2018, arXiv:1808.00158.
    """

    def __init__(self, length, hop, *, rounding="floor", short="repeat", normalize=True):
        super().__init__()
        self.length, self.step, self.centre = length, hop, (length - 1) / 2
        self.rounding, self.normalize = rounding, normalize
        self.fit = FitLength(length, short=short)

    def output_lengths(self, lengths):
        spare = lengths - self.length
        n_chunks = -(-spare // self.step) if self.rounding == "ceil" else spare // self.step
        return n_chunks.clamp(min=1)

    def forward(self, wave, lengths):
        n_chunks = self.output_lengths(lengths)
        if self.normalize:
            peak = wave.abs().amax(1, keepdim=True)
            wave = wave / peak.masked_fill(peak == 0, 1.0)
        wave = self.fit(wave[:, None], lengths)[0][:, 0]
        x = wave.unfold(1, self.length, self.step).transpose(1, 2)[..., : int(n_chunks.max())]
        if bool((n_chunks < x.shape[2]).any()):
            x = mask(x.clone(), n_chunks)  # chunks overlap: in a view, zeros would reach the others
        return x, n_chunks
