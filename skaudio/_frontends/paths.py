"""The best path through the candidates of each frame, by dynamic programming."""

import numpy as np
import torch

__all__ = ["best_path"]

_BLOCK = 1 << 20  # costs of moves computed together: 8 MB
_FEW = 4  # clips, for which calls of numpy take half the time
_NEVER = -1e6  # strength of what cannot be chosen; infinity minus infinity would be no number


def best_path(strength, octave, lengths, leap, change):
    """Path of the highest sum of strengths, less what its moves cost [1]_.

    Parameters
    ----------
    strength : Tensor of shape (B, N, K + 1)
        Of the K candidates of each frame, -inf where there is none, and of "unvoiced".
    octave : Tensor of shape (B, N, K)
        Where the candidates are, on a logarithmic scale.
    lengths : Tensor of shape (B,), int64
        Number of frames of each clip; the others change nothing.
    leap : float
        Cost of a move by an octave.
    change : float
        Cost of a move between voiced and unvoiced.

    Returns
    -------
    path : Tensor of shape (B, N), int64
        The candidate of each frame, K for "unvoiced"; where sums are equal, the first.

    References
    ----------
    .. [1] A. Viterbi, "Error bounds for convolutional codes and an asymptotically optimum
       decoding algorithm", IEEE Trans. Information Theory 13, 1967,
       https://doi.org/10.1109/TIT.1967.1054010
    """
    n_clips, n_frames, n_states = strength.shape
    block = max(1, _BLOCK // (n_clips * n_states**2))
    # sums over an hour need float64
    score = strength[:, 0].double().clamp(min=_NEVER)
    pointers = [torch.zeros(1, n_clips, n_states, dtype=torch.uint8)]
    for begin in range(1, n_frames, block):
        here = slice(begin, min(begin + block, n_frames))
        moves = _moves(strength[:, here], octave[:, begin - 1 : here.stop], leap, change)
        beyond = (torch.arange(here.start, here.stop) >= lengths[:, None]).T.to(moves.device)
        moves.masked_fill_(beyond[..., None, None], 0.0)
        origin = moves.new_empty(moves.shape[:3], dtype=torch.int64)
        _added_up(moves, score, origin)
        pointers.append(origin.to("cpu", torch.uint8))
    return _traced(torch.cat(pointers).numpy(), score.argmax(1).tolist()).to(strength.device)


def _moves(strength, octave, leap, change):
    """Gain (n, B, to, from) of all moves into n frames, from the octaves of n + 1 frames."""
    strength, octave = strength.double().clamp(min=_NEVER), octave.double()
    moves = strength[..., None].repeat(1, 1, 1, strength.shape[2])
    moves[..., :-1, :-1] -= leap * (octave[:, 1:, :, None] - octave[:, :-1, None]).abs()
    moves[..., :-1, -1] -= change
    moves[..., -1, :-1] -= change
    return moves.transpose(0, 1).contiguous()


def _added_up(moves, score, origin):
    """Add moves (n, B, to, from) to the scores (B, S) one by one; where the best came from."""
    if len(score) <= _FEW and score.device.type == "cpu":
        moves, score, origin = moves.numpy(), score.numpy(), origin.numpy()
        before = score[:, None]
        for move, best in zip(moves, origin, strict=True):
            np.add(move, before, out=move).argmax(2, out=best)
            np.maximum.reduce(move, axis=2, out=score)
        return
    before = score[:, None]
    for move, best in zip(moves, origin, strict=True):
        torch.max(move.add_(before), 2, out=(score, best))


def _traced(pointers, states):
    """Follow pointers (N, B, S) back from the last states: the path (B, N)."""
    n_frames, n_clips, n_states = pointers.shape
    path = np.empty((n_clips, n_frames), np.int64)
    for clip, state in enumerate(states):
        origin = pointers[:, clip].tobytes()
        for t in range(n_frames - 1, -1, -1):
            path[clip, t] = state
            state = origin[n_states * t + state]
    return torch.from_numpy(path)
