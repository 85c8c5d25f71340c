"""Band-pass filters that learn their edges (Ravanelli & Bengio 2018, arXiv:1808.00158)."""

import math

import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["SincConv", "edges", "odd"]

_MIN_HZ = 50.0  # lowest edge, and narrowest band
_FIRST_HZ = 30.0  # where the first filter starts, before the lowest edge is added


class SincConv(nn.Module):
    """Convolution of a wave with band-pass filters of which only the edges are learnt.

    Shape: (B, 1, T) -> (B, n_filters, T'), T' = (T + 2 padding - kernel_size) // stride + 1.

    With edges f1 = 50 + abs(low_hz_) and f2 = f1 + 50 + abs(band_hz_), at most half the sample
    rate, width b = f2 - f1 and centre c = (f1 + f2) / 2, tap j of a filter is

        (sin(2 pi f2 t) - sin(2 pi f1 t)) / (2 b pi t) w_j = cos(2 pi c t) sinc(b t) w_j

    at t = j / sample_rate, with sinc(x) = sin(pi x) / (pi x) and a Hamming window w. On the right
    side nothing is divided by the width, and the middle tap is 1 whatever the edges.

    Parameters
    ----------
    n_filters : int
        Number of filters.
    kernel_size : int
        Taps of a filter; one more if that is even.
    sample_rate : int
        Of the wave, Hz.
    stride : int, default=1
        Step from one output to the next, samples.
    padding : int, default=0
        Samples added to either side.
    padding_mode : {"constant", "reflect", "replicate"}, default="constant"
        What they are: zeros, or as in `torch.nn.functional.pad`.
    form : {"2019", "2018"}, default="2019"
        Which published code the filters equal. That of 2018 does not bound the upper edge, and its
        window is the usual one; since 2019 the points of the window are 124.5 / 124 apart.

    Attributes
    ----------
    low_hz_, band_hz_ : Parameter of shape (n_filters, 1)
        What is learnt, Hz. At first low_hz_ is spaced evenly on the mel scale from 30 Hz to 100 Hz
        below half the sample rate, and band_hz_ is the distance to the next one.
    """

    def __init__(
        self,
        n_filters,
        kernel_size,
        sample_rate,
        *,
        stride=1,
        padding=0,
        padding_mode="constant",
        form="2019",
    ):
        super().__init__()
        self.kernel_size, self.sample_rate = odd(kernel_size), sample_rate
        self.stride, self.padding, self.padding_mode = stride, padding, padding_mode
        self.form = form
        side = self.kernel_size // 2
        steps = torch.arange(1, side + 1, dtype=torch.float64)  # of the right half
        self.register_buffer("seconds", steps / sample_rate, persistent=False)
        self.register_buffer("window", _half_window(self.kernel_size, form), persistent=False)
        self.low_hz_ = nn.Parameter(torch.empty(n_filters, 1))
        self.band_hz_ = nn.Parameter(torch.empty(n_filters, 1))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self):
        """Space the filters evenly on the mel scale; nothing here is random."""
        highest = self.sample_rate / 2 - 2 * _MIN_HZ
        mel = (2595 * math.log10(1 + hz / 700) for hz in (_FIRST_HZ, highest))
        points = torch.linspace(*mel, len(self.low_hz_) + 1, dtype=torch.float64)
        hz = 700 * (10 ** (points / 2595) - 1)
        self.low_hz_.copy_(hz[:-1, None])
        self.band_hz_.copy_(hz.diff()[:, None])

    def bands(self):
        """Edges of the filters.

        Returns
        -------
        bands : Tensor of shape (n_filters, 2), float64
            Lower and upper edge, Hz. In the form of 2018 the upper one may lie above half the
            sample rate.
        """
        low = _MIN_HZ + self.low_hz_.double().abs()
        high = low + _MIN_HZ + self.band_hz_.double().abs()
        if self.form == "2019":
            high = high.clamp(max=self.sample_rate / 2)
        return torch.cat([low, high], dim=1)

    def filters(self):
        """Taps of the filters, from the edges.

        Returns
        -------
        filters : Tensor of shape (n_filters, kernel_size)
            Each is symmetric. They are worked out in float64: the phases go up to hundreds of
            radians, where float32 would be 1e-5 off.
        """
        low, high = self.bands().split(1, dim=1)
        carrier = torch.cos(math.pi * (low + high) * self.seconds)
        right = carrier * torch.sinc((high - low) * self.seconds) * self.window
        whole = torch.cat([right.flip(1), torch.ones_like(low), right], dim=1)
        return whole.to(self.low_hz_.dtype)

    def forward(self, x):
        if self.padding:
            x = F.pad(x, (self.padding, self.padding), mode=self.padding_mode)
        return F.conv1d(x, self.filters()[:, None], stride=self.stride)


def edges(network):
    """Edges of all band-pass filters of a network.

    Parameters
    ----------
    network : Module
        Perhaps with a `SincConv` in it.

    Returns
    -------
    edges : ndarray of shape (n_filters, 2)
        Lower and upper edge, Hz.

    Raises
    ------
    AttributeError
        If it has no such filters: what an attribute of an estimator should raise then.
    """
    found = [m.bands().detach().cpu() for m in network.modules() if isinstance(m, SincConv)]
    if not found:
        raise AttributeError(
            "there are no band-pass filters, of which the parameters frontend='sinc' and "
            "first='sinc' make the first layer"
        )
    return torch.cat(found).numpy()


def odd(kernel_size):
    """Round up to an odd number of taps, which have a middle one.

    Parameters
    ----------
    kernel_size : int
        Taps asked for.

    Returns
    -------
    kernel_size : int
        Taps of the filter.
    """
    return kernel_size + 1 - kernel_size % 2


def _half_window(kernel_size, form):
    """Hamming window right of the middle, where it is 1, as the published code has it."""
    side = kernel_size // 2
    if form == "2019":
        points = torch.linspace(0, kernel_size / 2 - 1, side, dtype=torch.float64) / kernel_size
    else:
        points = torch.arange(side, dtype=torch.float64) / (kernel_size - 1)
    return (0.54 - 0.46 * torch.cos(2 * math.pi * points)).flip(0)
