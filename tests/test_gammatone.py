"""Gammatone filters against scipy's recursive ones, in float64."""

import numpy as np
import pytest
import torch
from scipy.signal import gammatone as design
from scipy.signal import lfilter

from skaudio.frontends import Gammatone

SETTINGS = {"sample_rate": 16000, "hop_length": 160, "win_length": 400, "n_filters": 40,
            "fmin": 500.0}  # fmt: skip


def run(module, *clips):
    """Outputs (n_filters, N) of clips that share one batch."""
    lengths = torch.tensor([len(clip) for clip in clips])
    wave = torch.zeros(len(clips), int(lengths.max()))
    for row, clip in zip(wave, clips, strict=True):
        row[: len(clip)] = torch.from_numpy(clip)
    x, n_frames = module(wave, lengths)
    assert torch.equal(n_frames, module.output_lengths(lengths))
    assert x.dtype == torch.float32 and x.shape[2] == n_frames.max()
    assert all((row[:, n:] == 0).all() for row, n in zip(x, n_frames, strict=True))
    return [row[:, :n].numpy() for row, n in zip(x, n_frames, strict=True)]


def recursive(wave, sample_rate, centre):
    """Output of Slaney's four filters of second order, one after the other."""
    t = 1 / sample_rate
    b = 1.019 * 2 * np.pi * (centre / 9.26449 + 24.7)
    w = 2 * np.pi * centre
    poles = [1, -2 * np.cos(w * t) * np.exp(-b * t), np.exp(-2 * b * t)]
    z = np.exp(1j * w * t)
    gain = 1.0
    for sign in (1, -1):
        for part in (3 + 2**1.5, 3 - 2**1.5):
            zero = (np.cos(w * t) + sign * np.sqrt(part) * np.sin(w * t)) * np.exp(-b * t)
            wave = lfilter([1, -zero], poles, wave)
            gain *= abs((1 - zero / z) / np.polyval(poles[::-1], 1 / z))
    return wave / gain


def amplitudes(wave, *, sample_rate, hop_length, win_length, n_filters, fmin, fmax=None):
    """As by the definition."""
    high = sample_rate / 2 if fmax is None else fmax
    k = 9.26449 * 24.7
    steps = np.arange(n_filters, 0, -1) / n_filters
    centres = (high + k) * ((fmin + k) / (high + k)) ** steps - k
    wave = np.pad(wave.astype(np.float64), (0, max(0, win_length - len(wave))))
    firsts = range(0, len(wave) - win_length + 1, hop_length)
    behind = (recursive(wave, sample_rate, centre) for centre in centres)
    roots = [[np.sqrt(np.square(y[i : i + win_length]).mean()) for i in firsts] for y in behind]
    return np.log(np.array(roots) + 1e-10)


def noise(n, seed=0):
    rng = np.random.default_rng(seed)
    levels = 10 ** rng.uniform(-3, 0, n // 1000 + 1).repeat(1000)[:n]
    return (levels * rng.standard_normal(n)).astype(np.float32)


@pytest.mark.parametrize("change", [
    {}, {"win_length": 2048}, {"fmin": 30.0, "n_filters": 24}, {"fmax": 4000.0},
    {"sample_rate": 8000, "hop_length": 77, "win_length": 301, "n_filters": 7, "fmin": 100.0},
    {"hop_length": 500},
], ids=str)  # fmt: skip
def test_amplitudes_are_those_behind_recursive_filters(change):
    settings = {**SETTINGS, **change}
    clip = noise(40000)  # several blocks
    (found,) = run(Gammatone(**settings), clip)
    np.testing.assert_allclose(found, amplitudes(clip, **settings), atol=1e-5)


def test_what_is_silent_after_a_loud_sound_is_silent():
    clip = np.zeros(30000, np.float32)
    clip[1000:2000] = noise(1000)
    (found,) = run(Gammatone(**SETTINGS), clip)
    np.testing.assert_allclose(found, amplitudes(clip, **SETTINGS), atol=1e-5)
    assert found[:, -1].max() < -22.9  # log 1e-10 is -23.03


def test_filters_are_those_of_the_gammatone_function():
    """Scipy's filters of the same name and order, where both are made to be the same."""
    module = Gammatone(**{**SETTINGS, "fmin": 200.0})
    response = torch.view_as_complex(module.response).numpy()
    hz = np.fft.rfftfreq(module.n_fft, 1 / 16000)
    for centre, row in zip(module.centres[::8], response[::8], strict=True):
        b, a = design(centre, "iir", fs=16000)
        z = np.exp(-2j * np.pi * hz / 16000)
        theirs = np.polyval(b[::-1], z) / np.polyval(a[::-1], z)
        near = np.abs(hz - centre) < 4 * (centre / 9.26449 + 24.7)
        # its centre and width are Glasberg and Moore's to the last digit but one
        np.testing.assert_allclose(np.abs(row[near]), np.abs(theirs[near]), atol=0.01)


@pytest.mark.parametrize("n", [1, 2, 399, 400, 559, 560])
def test_short_clips_end_in_zeros(n):
    clip = noise(n)
    (found,) = run(Gammatone(**SETTINGS), clip)
    assert found.shape == (40, 2 if n == 560 else 1)
    np.testing.assert_allclose(found, amplitudes(clip, **SETTINGS), atol=1e-5)


def test_a_clip_is_the_same_in_a_batch_as_alone():
    module = Gammatone(**SETTINGS)
    clips = [noise(n, n) for n in (30000, 5000, 17, 16000, 400, 9000)]
    for clip, found in zip(clips, run(module, *clips), strict=True):
        np.testing.assert_array_equal(found, run(module, clip)[0])


def test_frames_are_where_the_front_end_says():
    module, clip = Gammatone(**{**SETTINGS, "fmin": 2000.0}), np.zeros(8000, np.float32)
    clip[3000] = 1.0
    (found,) = run(module, clip)
    loudest = int(found[0].argmax())
    assert abs(module.centre + module.step * loudest - 3000) <= 200


def test_gradients_flow_back_to_the_wave():
    module, lengths = Gammatone(**{**SETTINGS, "n_filters": 3}), torch.tensor([1000])
    wave = torch.from_numpy(noise(1000))[None].double().requires_grad_()
    module(wave, lengths)[0].sum().backward()
    sums = []
    for change in (1e-3, -1e-3):
        moved = wave.detach().clone()
        moved[0, 300] += change
        sums.append(float(module(moved, lengths)[0].double().sum()))
    slope = (sums[0] - sums[1]) / 2e-3
    assert float(wave.grad[0, 300]) == pytest.approx(slope, rel=1e-2)
