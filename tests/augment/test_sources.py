"""Sounds of the user to distort with: folders, files and arrays."""

import numpy as np
import pytest
import torch

from skaudio import audio
from skaudio._augment import sources
from skaudio.augment import add_noise, add_speech, reverberate
from tests.augment.helpers import seeded, white


def heard_noise(noises, n_samples=800, n=64, rate=16000, seed=0):
    """Crops of noises, from mixtures of nearly nothing else; largest absolute value 1."""
    wave = white(n, n_samples)
    noise = add_noise(wave, seeded(seed), noises=noises, snr=[-100], sample_rate=rate)
    return (noise / noise.abs().amax(1, keepdim=True)).numpy()


def ramp(n):
    return np.linspace(0, 0.9, n)


def test_a_folder_of_sounds_of_all_kinds(tmp_path, write_audio):
    (tmp_path / "deeper").mkdir()
    t = np.arange(32000)
    for i, name in enumerate(["a.wav", "b.flac", "deeper/c.OGG"]):
        rate = 16000 * (i + 1)
        write_audio(name, 0.5 * np.sin(2 * np.pi * 1000 * (i + 1) * t / rate), rate)
    (tmp_path / "notes.txt").write_text("no sound")
    spectra = np.abs(np.fft.rfft(heard_noise(tmp_path), axis=1))
    peaks = 20 * spectra.argmax(1)  # whatever the rate of the file, the pitch is right
    assert {*peaks.tolist()} == {1000, 2000, 3000}
    counts = np.unique(peaks, return_counts=True)[1]
    np.testing.assert_allclose(counts, 64 / 3, atol=16)
    np.testing.assert_array_equal(heard_noise(str(tmp_path)), heard_noise(tmp_path))


def test_crops_come_from_anywhere_in_a_sound():
    crops = heard_noise([ramp(5000)], n=300)
    begins = 800 / (crops[:, -1] / crops[:, 0] - 1)  # of a ramp, up to a factor
    assert 0 <= begins.min() < 60 and 4120 < begins.max() < 4210
    assert np.mean(begins) == pytest.approx(2100, abs=280)


def test_short_sounds_are_repeated():
    period = np.sign(white(77, seed=3).numpy()).astype(np.float64)
    crops = heard_noise([period], n=300)
    np.testing.assert_allclose(crops[:, 77:], crops[:, :-77], atol=1e-3)
    begins = [np.abs(np.lib.stride_tricks.sliding_window_view(np.r_[period, period], 77) - c).sum(1)
              .argmin() for c in np.sign(crops[:, :77])]  # fmt: skip
    assert len({*begins}) > 70  # they begin anywhere


def test_long_files_are_decoded_in_parts(write_audio, monkeypatch):
    monkeypatch.setattr(sources, "_PART", 0.5)
    sources._decoded.cache_clear()
    path = write_audio("long.wav", ramp(90_000), 16000)  # 11 parts, the last one longer
    decoded, decode = [], audio.read_audio

    def spy(*args, **kwargs):
        decoded.append(decode(*args, **kwargs))
        return decoded[-1]

    monkeypatch.setattr(audio, "read_audio", spy)
    crops = heard_noise([path], n=500)
    begins = 800 / (crops[:, -1] / crops[:, 0] - 1)
    assert 0 <= begins.min() < 1500 and begins.max() > 86_000
    assert np.mean(begins) == pytest.approx(45_000, abs=5500)
    lengths = [len(wave) for wave in decoded]
    assert sorted(lengths) == [8000] * 10 + [10_000]  # each of them once
    heard_noise([audio.AudioFile(path, 1.1, 3.1)], n=50, seed=1)
    assert sum(map(len, decoded[11:])) == 32_000  # of the segment only
    long = heard_noise([path], n_samples=60_000, n=3)
    assert np.isfinite(long).all() and (np.diff(long) >= -1e-3).all()


def test_few_parts_are_remembered():
    assert sources._decoded.cache_info().maxsize * sources._PART * 16000 * 4 < 1e8  # bytes


def test_a_changed_file_is_decoded_anew(write_audio):
    path = write_audio("noise.wav", np.r_[0.5, np.zeros(799)])
    assert np.abs(heard_noise([path], n=1)).sum() == pytest.approx(1, abs=0.1)
    write_audio("noise.wav", np.r_[0.5, 0.5, np.zeros(798)])
    assert np.abs(heard_noise([path], n=1)).sum() == pytest.approx(2, abs=0.1)


def test_responses_of_a_folder(tmp_path, write_audio):
    write_audio("room.wav", np.r_[np.zeros(40), 0.5, np.zeros(19), -0.25, np.zeros(48000)], 48000)
    click = torch.zeros(1, 100)
    click[0, 10] = 1.0
    heard = reverberate(click, seeded(), rooms=tmp_path, sample_rate=16000)[0]
    assert heard.argmax() == 10 and heard.argmin() == 17  # 20 samples at 48 kHz
    at_its_rate = reverberate(click, seeded(), rooms=str(tmp_path), sample_rate=48000)[0]
    assert at_its_rate.argmin() == 30
    assert at_its_rate[30] / at_its_rate[10] == pytest.approx(-0.5, abs=1e-3)


def test_responses_are_cut_after_a_second_and_a_half():
    click = torch.zeros(1, 2000)
    click[0, 0] = 1.0
    long = np.r_[1.0, np.zeros(1498), 0.5, 0.5]
    heard = reverberate(click, seeded(), rooms=[long], sample_rate=1000)[0]
    assert heard.nonzero()[:, 0].tolist()[:1] == [0]
    assert heard[1499] / heard[0] == pytest.approx(0.5) and heard[1500:].abs().max() < 1e-6


CALLS = {
    "noises": lambda source: add_noise(white(4, 100), seeded(), noises=source),
    "speech": lambda source: add_speech(white(4, 100), seeded(), speech=source),
    "rooms": lambda source: reverberate(white(4, 100), seeded(), rooms=source),
}


@pytest.fixture(params=CALLS)
def call(request):
    """A parameter that takes a folder, and a function of that folder."""
    return request.param, CALLS[request.param]


def test_a_folder_that_is_not_there(tmp_path, call):
    name, distortion = call
    with pytest.raises(ValueError, match=rf"{name}='.*missing' is no folder; pass a folder of"):
        distortion(tmp_path / "missing")


def test_a_folder_without_sounds(tmp_path, call):
    name, distortion = call
    (tmp_path / "noise.mp4").write_bytes(b"no sound")
    with pytest.raises(ValueError, match=rf"{name}: {tmp_path} holds no sounds; .*\.flac, \.ogg"):
        distortion(tmp_path)
    with pytest.raises(ValueError, match=f"{name}: the list holds no sounds"):
        distortion([])


@pytest.mark.parametrize("made", [b"", b"RIFF and nothing else", b"\x00" * 100])
def test_a_file_that_cannot_be_read(tmp_path, call, made):
    name, distortion = call
    (tmp_path / "broken.wav").write_bytes(made)
    with pytest.raises(ValueError, match=rf"^{name}: {tmp_path}/broken.wav .*; remove or repair"):
        distortion(tmp_path)
    with pytest.raises(ValueError, match=rf"^{name}: .*broken.wav"):
        distortion([str(tmp_path / "broken.wav")])


def test_arrays_that_are_no_sounds(call):
    name, distortion = call
    with pytest.raises(ValueError, match=rf"^{name}: array .*NaN.*; remove or repair it$"):
        distortion([np.full(200, np.nan)])
    with pytest.raises(ValueError, match=rf"^{name}: array"):
        distortion([np.zeros((3, 3, 3))])


def test_files_that_come_later_are_found(tmp_path, write_audio, call):
    _, distortion = call
    with pytest.raises(ValueError, match="holds no sounds"):
        distortion(tmp_path)
    write_audio("late.wav", ramp(100))
    assert distortion(tmp_path).isfinite().all()
