"""The contract of stage 4: what every network is to the rest of the library."""

from collections.abc import Iterator, Sequence

import torch
from torch import nn

from ..batching import tiles
from .layers import Map, halo_of

__all__ = ["Network"]


class Network(nn.Module):
    """Base of all networks: x (B, C, T) in, one map of frames (B, C_l, T_l) out per layer.

    A subclass writes `forward` and `output_lengths`, and sets ``maps`` and what differs from the
    values below; `set_maps` does so where a frame depends on nothing but the steps around it. It
    must give the same frames (to rounding) in a batch as alone, and where `torch.autocast` lowers
    the precision of its products; what it returns is taken to float32.

    Attributes
    ----------
    maps : sequence of Map
        What each returned layer is, and where its frames lie.
    min_steps : int, default=1
        The shortest input it can read; shorter clips are lengthened by the front-end.
    stride : int, default=1
        Input steps per frame of its coarsest layer.
    halo : (int, int) or None, default=None
        Receptive field beyond a tile: input steps that a frame may depend on before its own
        ``stride`` ones, and after them. None: it must see the whole clip at once.
    handles_lengths : bool, default=False
        Whether clips of different length may share a batch, padded with zeros.
    floats_per_step : float, default=1.0
        Numbers held at once per input step, which bounds the size of batches.
    """

    maps: Sequence[Map]
    min_steps: int = 1
    stride: int = 1
    halo: tuple[int, int] | None = None
    handles_lengths: bool = False
    floats_per_step: float = 1.0

    def set_maps(self, maps: Sequence[Map], layers: Sequence[int] | None = None) -> None:
        """Set ``maps``, and ``stride`` and ``halo`` by them.

        Parameters
        ----------
        maps : sequence of Map
            Every layer that is computed.
        layers : sequence of int, default=None
            Indices of the layers that are returned. None: all.
        """
        self.maps = [maps[i] for i in (range(len(maps)) if layers is None else layers)]
        self.stride, self.halo = max(m.stride for m in maps), halo_of(maps)

    def forward(
        self, x: torch.Tensor, lengths: torch.Tensor
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Frames of each layer.

        Parameters
        ----------
        x : Tensor of shape (B, C, T)
            What the front-end makes of the clips, zero beyond their lengths.
        lengths : Tensor of shape (B,), int64
            Steps of each clip; on the processor, whatever the device of x.

        Returns
        -------
        layers : list of (Tensor of shape (B, C_l, T_l), Tensor of shape (B,))
            Frames and their number, in the order of ``maps``.
        """
        raise NotImplementedError(f"{type(self).__name__} must define forward(x, lengths)")

    def output_lengths(self, lengths: torch.Tensor) -> list[torch.Tensor]:
        """Numbers of frames without the data.

        Parameters
        ----------
        lengths : Tensor of shape (B,), int64
            Steps of each clip.

        Returns
        -------
        lengths : list of Tensor of shape (B,), int64
            Frames of each layer, in the order of ``maps``. By default as many as steps.
        """
        return [lengths for _ in self.maps]

    def frame_offset(self, n_steps: int) -> int:
        """Input steps by which frames lie later than their `Map` says.

        Parameters
        ----------
        n_steps : int
            Length of the clip, steps.

        Returns
        -------
        frame_offset : int
            By default 0; otherwise where padding depends on the length.
        """
        return 0

    @torch.no_grad()
    def pieces(self, x: torch.Tensor, max_steps: int) -> Iterator[tuple[int, torch.Tensor]]:
        """Frames of one clip that is longer than a batch should be, piece by piece.

        By default from tiles that overlap by ``halo``, which gives the frames of the whole. For
        extraction alone: no gradient is recorded.

        Parameters
        ----------
        x : Tensor of shape (1, C, T)
            The whole input.
        max_steps : int
            Most steps to work on at a time.

        Yields
        ------
        layer : int
            Index in ``maps``.
        frames : Tensor of shape (1, C_l, t)
            The next ones of that layer.
        """
        n_steps = x.shape[-1]
        for tile in tiles(n_steps, max_steps, stride=self.stride, halo=self.halo):
            part = x[..., tile.start : tile.stop]
            outputs = self(part, torch.tensor([part.shape[-1]]))
            for i, ((frames, _), m) in enumerate(zip(outputs, self.maps, strict=True)):
                before = tile.start // m.stride
                stop = None if tile.last == n_steps else tile.last // m.stride - before
                yield i, frames[..., tile.first // m.stride - before : stop]
