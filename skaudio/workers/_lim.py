"""A worker of local information: whether two moments are of one clip."""

from ._pairs import Pairs

__all__ = ["LIM"]


class LIM(Pairs):
    """Local info max [1]_: tell, frame by frame, the same clip from another one.

    Parameters
    ----------
    n_channels, hop_length, sample_rate : int
        As for `Worker`.
    swapped : bool
        Whether each of the two chunks of a clip is compared with the other one's frames and with
        those of another clip, not only the first.
    hidden : int
        Channels of the hidden layer of the head.

    References
    ----------
    .. [1] M. Ravanelli, Y. Bengio, "Learning Speaker Representations with Mutual Information",
       Interspeech 2019, arXiv:1812.00271.
    """


FORMS = {"lim": LIM}
