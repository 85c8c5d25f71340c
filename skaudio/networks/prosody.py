"""Contours of a voice summed up by functionals: one frame for a clip."""

import torch

from .._functionals import functional_names, functionals
from .._tensors import within
from . import rhythm
from ._network import Network
from .layers import Map

__all__ = ["Prosody"]


class Prosody(Network):
    """Functionals of contours, and rhythm.

    Shape: (B, C, T) -> (B, P, 1). Contours that mean something in voiced frames only are summed up
    over these. Of "voiced" itself there is the share of voiced frames, "voiced_share".

    Parameters
    ----------
    contours : Contours
        The front-end: names, groups and kinds of its contours, "voiced" among them.
    groups : sequence of str
        What is summed up, in this order: groups of contours, and "rhythm", which needs "loudness".
    families : sequence of str
        Families of functionals.
    rate : float
        Frames per second.

    Attributes
    ----------
    group_of : list of str
        Group of each column.
    """

    handles_lengths = True

    def __init__(self, contours, groups, families, rate):
        super().__init__()
        self.index = {name: i for i, name in enumerate(contours.names)}
        self.families, self.rate, self.rhythm = families, rate, "rhythm" in groups
        # contours to be summed up over all frames, and over the voiced ones
        self.everywhere, self.voiced = [], []
        columns = {group: [*rhythm.NAMES] if group == "rhythm" else [] for group in groups}
        for name, group, voiced_only in zip(
            contours.names, contours.group_of, contours.voiced_only, strict=True
        ):
            if group not in groups:
                continue
            if name == "voiced":
                columns[group].append("voiced_share")
                continue
            (self.voiced if voiced_only else self.everywhere).append(name)
            columns[group] += _columns([name], families)
        computed = [*_columns(self.everywhere, families), *_columns(self.voiced, families)]
        computed += ["voiced_share", *rhythm.NAMES]
        names = [name for group in groups for name in columns[group]]
        self.group_of = [group for group in groups for _ in columns[group]]
        self.order = [computed.index(name) for name in names]
        self.maps = [Map("", tuple(names))]
        self.floats_per_step = 3.0 * len(self.index) + 200.0

    def output_lengths(self, lengths):
        return [torch.ones_like(lengths)]

    def forward(self, x, lengths):
        valid = within(lengths, x.shape[2], x.device)
        voiced = valid & (x[:, self.index["voiced"]] > 0.5)
        parts = []
        for names, frames in ((self.everywhere, valid), (self.voiced, voiced)):
            if names:
                some = x[:, [self.index[name] for name in names]]
                parts.append(functionals(some, frames, self.families, self.rate))
        count = valid.sum(1, keepdim=True).clamp(min=1)
        parts.append((voiced.sum(1, keepdim=True) / count).to(x.dtype))
        if self.rhythm:
            loudness = x[:, self.index["loudness"]]
            parts.append(rhythm.rhythm(loudness, voiced, lengths, self.rate).to(x.dtype))
        return [(torch.cat(parts, dim=1)[:, self.order, None], *self.output_lengths(lengths))]


def _columns(contours, families):
    """Names of all functionals of some contours, in the order in which they are computed."""
    return [f"{contour}_{name}" for name in functional_names(families) for contour in contours]
