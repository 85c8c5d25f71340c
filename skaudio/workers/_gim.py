"""A worker of global information: whether two chunks, as a whole, are of one clip."""

from functools import partial

from ._pairs import Pairs

__all__ = ["GIM"]


class GIM(Pairs):
    """Global info max [1]_: as `LIM`, about the means of the frames of each chunk.

    Parameters
    ----------
    n_channels, hop_length, sample_rate : int
        As for `Worker`.
    swapped : bool
        As for `LIM`.
    hidden : int
        Channels of the hidden layer of the head.

    References
    ----------
    .. [1] R. D. Hjelm et al., "Learning deep representations by mutual information estimation and
       maximization", ICLR 2019, arXiv:1808.06670.
    """

    def vectors(self, frames):
        return frames.mean(dim=2, keepdim=True)


FORMS = {"gim": GIM, "gim+": partial(GIM, swapped=True)}
