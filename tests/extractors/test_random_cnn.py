"""RandomCNNTransformer: the paper's numbers, and what its parameters do."""

import numpy as np
import pytest

from skaudio import RandomCNNTransformer
from tests.by_hand import assert_means, conv, kernels_and_biases, log_mel, max_pool, noise, relu

CLIP = noise(2000)
SPECTROGRAM = {"sample_rate": 12000, "n_fft": 512, "hop_length": 256, "n_mels": 96}
US8K = {"temporal_kernels": (64, 32, 16, 8)}
GENTLE_POOLS = ((2, 2), (2, 3), (2, 2), (2, 2), (4, 4))
DESIGNS = [
    "vgg", "single", "timbral_temporal", "timbral", "temporal",
    "sample_level", "frame_level", "frame_level_many",
]  # fmt: skip
PER_FILTER = dict(zip(DESIGNS, (5, 1, 28, 14, 14, 7, 4, 8), strict=True))


def raw(design, **params):
    """The paper's network on inputs of any length, small unless said otherwise."""
    settings = {
        "n_filters": 4,
        "random_state": 0,
        "n_bands": 1,
        "normalize": None,
        "pooling": "mean",
    }
    return RandomCNNTransformer(design, **{**SPECTROGRAM, **settings, **params})


# --- the paper's numbers -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("design", "params", "n_filters", "count"),
    [
        ("vgg", {}, 717, 18_517_242),
        ("vgg", {}, 24, 21_072),
        ("single", {"kernel": (7, 96)}, 3585, 2_412_705),
        ("single", {"kernel": (7, 86)}, 3585, 2_161_755),
        ("sample_level", {}, 512, 4_723_712),
        ("frame_level", {}, 896, 17_321_472),
        ("frame_level_many", {}, 448, 10_282_496),
        ("timbral", {}, 128, 271_616),
        ("temporal", {}, 128, 108_768),
        ("timbral_temporal", {}, 128, 380_384),
        ("timbral_temporal", US8K, 128, 302_336),
    ],
)
def test_parameter_counts(design, params, n_filters, count):
    extractor = RandomCNNTransformer.from_paper(design, n_filters=n_filters, **params)
    assert sum(weight.size for weight in extractor.fit(CLIP).weights_.values()) == count


FILTERS = {  # of from_paper, by number of features asked for
    3585: (717, 3585, 128, 256, 256, 512, 896, 448),
    120: (24, 120, 4, 8, 8, 17, 30, 15),
}
FEATURES = {
    3585: (3585, 3585, 3584, 3584, 3584, 3584, 3584, 3584),
    120: (120, 120, 112, 112, 112, 119, 120, 120),
}


@pytest.mark.parametrize("n_features", [3585, 120])
@pytest.mark.parametrize("design", DESIGNS)
def test_from_paper(design, n_features):
    extractor = RandomCNNTransformer.from_paper(design, n_features=n_features, random_state=0)
    params = extractor.get_params()
    wave = design in ("sample_level", "frame_level", "frame_level_many")
    expected = {
        "design": design,
        "n_filters": FILTERS[n_features][DESIGNS.index(design)],
        "kernel": (7, 86),
        "temporal_kernels": (165, 128, 64, 32),
        "pools": ((4, 2), (4, 3), (5, 2), (4, 2), (4, 4)),
        "n_bands": 1,
        "layers": None,
        "normalize": None,
        "pooling": "mean",
        "fixed_length": 350_000 if wave else 1376,
        "short": "repeat",
        "reference": False,
        "sample_rate": 12_000,
        "n_fft": 512,
        "hop_length": 256,
        "n_mels": 96,
        "fmin": 0.0,
        "fmax": None,
        "top_db": 80.0,
        "random_state": 0,
    }
    assert {name: params[name] for name in expected} == expected
    extractor.fit(CLIP)
    width = FEATURES[n_features][DESIGNS.index(design)]
    assert width == PER_FILTER[design] * expected["n_filters"]
    assert len(extractor.get_feature_names_out()) == width
    if n_features == 120:
        assert extractor.transform(CLIP).shape == (1, width)


def test_from_paper_takes_other_parameters():
    extractor = RandomCNNTransformer.from_paper("single", 120, kernel=(7, 96), fixed_length=188)
    assert (extractor.kernel, extractor.fixed_length, extractor.n_filters) == ((7, 96), 188, 120)
    with pytest.raises(ValueError, match="design="):
        RandomCNNTransformer.from_paper("resnet")
    with pytest.raises(TypeError, match="n_layers"):
        RandomCNNTransformer.from_paper("vgg", n_layers=3)


def test_log_mel_frames_of_the_paper_clip():
    (clip,) = noise(350_000)
    (frames,) = raw("temporal").fit([clip]).transform_frames([clip])
    assert frames.shape == (1368, 56)


@pytest.mark.parametrize(
    ("design", "params", "n_samples", "n_frames"),
    [
        ("vgg", {"layers": 4}, 1279 * 256, 1),
        ("single", {}, 1375 * 256, 1370),
        ("timbral", {}, 1375 * 256, 1376),
        ("sample_level", {"layers": 6}, 350_000, 160),
        ("frame_level", {"layers": 0}, 350_000, 10_922),
        ("frame_level", {"layers": 3}, 350_000, 5458),
        ("frame_level_many", {"layers": 4}, 48_000, 1500),
        ("frame_level_many", {"layers": 7}, 48_000, 747),
    ],
)
def test_frames_of_the_paper(design, params, n_samples, n_frames):
    pools = ((4, 2), (4, 3), (5, 2), (4, 2), (4, 4))
    extractor = raw(design, pools=pools, **params).fit(noise(n_samples))
    (frames,) = extractor.transform_frames(noise(n_samples))
    assert frames.shape == (n_frames, len(extractor.get_feature_names_out()))
    assert len(extractor.frame_times(n_samples)) == n_frames


# --- parameters ----------------------------------------------------------------------------------


@pytest.mark.parametrize("short", ["repeat", "zero"])
@pytest.mark.parametrize("n_frames", [20, 150], ids=["crop", "pad"])
def test_fixed_length_counts_frames_of_the_log_mel(n_frames, short):
    (clip,) = noise(80 * 256)
    clip[: 60 * 256] *= np.float32(1e-5)  # the floor comes from the loud end, before the crop
    extractor = raw("single", fixed_length=n_frames, short=short).fit([clip])
    x = log_mel(clip)
    assert x[:, :20].min() == x.max() - 80
    if short == "repeat":
        x = np.tile(x, (1, 2, 1))[:, :n_frames]
    else:  # zeros after the logarithm are 0 dB, not silence
        x = np.pad(x, ((0, 0), (0, 150), (0, 0)))[:, :n_frames]
    (weights,) = kernels_and_biases(extractor)
    assert_means(extractor.transform([clip])[0], [max_pool(relu(conv(x, weights)), 1, 11)])
    assert len(extractor.frame_times(len(clip))) == n_frames - 6


@pytest.mark.parametrize("short", ["repeat", "zero"])
@pytest.mark.parametrize("n_samples", [999, 5000], ids=["crop", "pad"])
def test_fixed_length_counts_samples_of_the_wave(n_samples, short):
    (clip,) = noise(2400)
    extractor = raw("sample_level", layers=0, fixed_length=n_samples, short=short).fit([clip])
    fitted = np.tile(clip, 3) if short == "repeat" else np.pad(clip, (0, 5000))
    weights = kernels_and_biases(extractor)[0]
    x = relu(conv(fitted[None, :n_samples, None].astype(float), weights, stride=3))
    assert_means(extractor.transform([clip])[0], [x])


@pytest.mark.parametrize("short", ["repeat", "zero"])
def test_clips_shorter_than_the_network_reads_are_lengthened_and_reported(short):
    long, little = noise(2000, 100)
    extractor = raw("frame_level", short=short).fit([long])
    with pytest.warns(UserWarning, match=r"1 of 2 clips are shorter than the 704 samples .*clip 1"):
        vector = extractor.transform([long, little])[1]
    lengthened = np.tile(little, 8)[:704] if short == "repeat" else np.pad(little, (0, 604))
    expected = extractor.transform([lengthened])[0]
    np.testing.assert_allclose(vector, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def single_of(x, extractor):
    (weights,) = kernels_and_biases(extractor)
    return [max_pool(relu(conv(x, weights)), 1, 11)]


def test_normalize_clip():
    clips = noise(20_000, 9000)
    extractor = raw("single", normalize="clip").fit(clips)
    for clip, vector in zip(clips, extractor.transform(clips), strict=True):
        x = log_mel(clip)
        assert_means(vector, single_of((x - x.mean()) / x.std(), extractor))


def test_normalize_clip_forgets_the_gain():
    (clip,) = noise(20_000)
    extractor = raw("single", normalize="clip").fit([clip])
    soft, loud = extractor.transform([clip, 30 * clip])
    np.testing.assert_allclose(soft, loud, rtol=0, atol=1e-5 * np.abs(soft).max())


def test_normalize_dataset():
    clips = [clip * gain for clip, gain in zip(noise(20_000, 9000, 5000), (1, 0.1, 3), strict=True)]
    extractor = raw("single", normalize="dataset").fit(clips)
    bands = np.concatenate([log_mel(clip)[0] for clip in clips])  # every frame counts once
    np.testing.assert_allclose(extractor.input_mean_, bands.mean(0), rtol=1e-4)
    np.testing.assert_allclose(extractor.input_scale_, bands.std(0), rtol=1e-4)
    (other,) = noise(8000)
    x = (log_mel(other) - bands.mean(0)) / bands.std(0)
    assert_means(extractor.transform([other])[0], single_of(x, extractor))


def test_normalize_dataset_of_waves():
    clips = [3 + clip for clip in noise(20_000, 9000)]
    extractor = raw("sample_level", normalize="dataset").fit(clips)
    wave = np.concatenate(clips).astype(float)
    np.testing.assert_allclose(extractor.input_mean_, [wave.mean()], rtol=1e-5)
    np.testing.assert_allclose(extractor.input_scale_, [wave.std()], rtol=1e-5)


N_MAPS = dict(zip(DESIGNS, (5, 1, 2, 1, 1, 7, 4, 8), strict=True))


@pytest.mark.parametrize("design", DESIGNS)
def test_layers_are_parts_of_the_whole(design):
    clips, n_maps = noise(20_000, 5000), N_MAPS[design]
    whole = raw(design).fit(clips).transform(clips).reshape(2, n_maps, -1)
    assert whole.shape[2] == PER_FILTER[design] * 4 // n_maps
    for layers in [0, -1, n_maps - 1, (n_maps - 1, 0)[: min(2, n_maps)]]:
        found = raw(design, layers=layers).fit(clips).transform(clips)
        expected = whole[:, [layers] if isinstance(layers, int) else [*layers]].reshape(2, -1)
        if design == "timbral_temporal" and layers in (1, -1):
            # the block that is left out is not drawn either
            expected = raw("temporal").fit(clips).transform(clips)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * scale)


def test_random_state_decides():
    clips = noise(5000)

    def features(random_state):
        return raw("single", random_state=random_state).fit(clips).transform(clips)

    np.testing.assert_array_equal(features(3), features(3))
    np.testing.assert_array_equal(
        features(np.random.RandomState(3)), features(np.random.RandomState(3))
    )
    assert not np.array_equal(features(3), features(4))
    assert not np.array_equal(features(None), features(None))


def test_shared_random_state_advances():
    state = np.random.RandomState(0)
    first, second = (raw("single", random_state=state).fit(CLIP).weights_ for _ in range(2))
    assert (first["conv.weight"] != second["conv.weight"]).any()


@pytest.mark.parametrize(
    ("design", "params", "first", "step"),
    [
        # samples: half the receptive field of frame 0, and the stride of the finest layer
        ("vgg", {"pools": GENTLE_POOLS}, 0.5 * 256, 2 * 256),
        ("vgg", {"pools": GENTLE_POOLS, "layers": 1}, 1.5 * 256, 4 * 256),
        ("single", {}, 3 * 256, 256),
        ("timbral", {}, 0, 256),
        ("temporal", {}, 0, 256),
        ("sample_level", {}, 1, 3),
        ("sample_level", {"layers": 1}, 4, 9),
        ("frame_level", {}, 255.5, 32),
        ("frame_level", {"layers": 1}, 255.5 + 3 * 32, 32),
    ],
)
def test_frame_times(design, params, first, step):
    clips = noise(20_000)
    extractor = raw(design, **params).fit(clips)
    times = extractor.frame_times(20_000)
    (frames,) = extractor.transform_frames(clips)
    np.testing.assert_allclose(times, (first + step * np.arange(len(frames))) / 12_000)


@pytest.mark.parametrize("design", ["sample_level", "frame_level"])
def test_frame_times_point_at_an_event(design):
    # frames that hear a click lie around it
    clip = np.zeros(6000, np.float32)
    silence, clip[3000] = clip.copy(), 1.0
    extractor = raw(design, layers=0).fit([clip])
    heard, unheard = extractor.transform_frames([clip, silence])
    times = extractor.frame_times(6000)[(heard != unheard).any(1)]
    step = 3 if design == "sample_level" else 32
    assert times.mean() == pytest.approx(3000 / 12_000, abs=step / 12_000)


def test_names():
    def names(design, **params):
        return raw(design, **params).fit(CLIP).get_feature_names_out().tolist()

    assert names("single", n_filters=2, pooling="mean_std") == [
        "conv_0_mean", "conv_1_mean", "conv_0_std", "conv_1_std"
    ]  # fmt: skip
    assert names("frame_level", n_filters=1) == [
        "conv512_0_mean", "back1_0_mean", "back2_0_mean", "back3_0_mean"
    ]  # fmt: skip
    assert names("vgg", n_filters=2, n_bands=2, layers=4) == ["pool5_0_mean", "pool5_1_mean"]
    assert names("vgg", n_filters=2, n_bands=2, layers=0) == [
        "pool1_0_band0_mean", "pool1_1_band0_mean", "pool1_0_band1_mean", "pool1_1_band1_mean"
    ]  # fmt: skip
    assert names("vgg", n_filters=1, layers=(1, 0)) == ["pool2_0_mean", "pool1_0_mean"]
    for design in DESIGNS:
        found = names(design)
        assert len({*found}) == len(found) == PER_FILTER[design] * 4


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"design": "resnet"}, ValueError),
        ({"normalize": "batch"}, ValueError),
        ({"short": "mirror"}, ValueError),
        ({"reference": "yes"}, ValueError),
        ({"n_filters": 0}, ValueError),
        ({"n_filters": 2.5}, TypeError),
        ({"design": "temporal", "n_filters": 6}, ValueError),
        ({"design": "single", "kernel": (7, 97)}, ValueError),
        ({"n_bands": 0}, ValueError),
        ({"n_bands": 97}, ValueError),
        ({"kernel": 7}, ValueError),
        ({"kernel": (0, 86)}, ValueError),
        ({"temporal_kernels": (64, 32, 16)}, ValueError),
        ({"pools": ((2, 2),)}, ValueError),
        ({"pools": ((2, 2), (2,), (2, 2), (2, 2), (2, 2))}, ValueError),
        ({"layers": 5}, ValueError),
        ({"layers": (0, -6)}, ValueError),
        ({"layers": "all"}, ValueError),
        ({"layers": ()}, ValueError),
        ({"layers": (0, -5)}, ValueError),
        ({"design": "frame_level", "fixed_length": 703}, ValueError),
        ({"top_db": "80"}, TypeError),
        ({"pooling": []}, ValueError),
        ({"random_state": "seed"}, ValueError),
    ],
    ids=str,
)
def test_bad_parameters_are_named(params, error):
    name = [*params][-1]
    pattern = "seed" if name == "random_state" else f"{name}="
    with pytest.raises(error, match=pattern):
        RandomCNNTransformer(**{"design": "vgg", **SPECTROGRAM, **params}).fit(CLIP)


@pytest.mark.parametrize("n_samples", [3200, 3201, 3217, 3231])
@pytest.mark.parametrize("layer, kernel", [(0, 512), (2, 128), (4, 32)])
def test_frame_times_follow_same_padding(n_samples, layer, kernel):
    # TF "same": as many zeros on the left as half of what is missing in all
    n_frames = -(-n_samples // 32)
    left = max((n_frames - 1) * 32 + kernel - n_samples, 0) // 2
    cnn = RandomCNNTransformer("frame_level_many", n_filters=1, layers=layer, random_state=0)
    times = cnn.fit([np.zeros(n_samples)]).frame_times(n_samples)
    centre = 32 * np.arange(n_frames) - left + (kernel - 1) / 2
    np.testing.assert_allclose(times, centre / 16000, atol=0.5001 / 16000)


def test_fit_forgets_the_fit_before(rng):
    clips = [rng.standard_normal(2000), rng.standard_normal(3000)]
    cnn = RandomCNNTransformer("single", n_filters=4, normalize="dataset", random_state=0)
    assert cnn.fit(clips).input_mean_.shape == (96,)
    cnn.set_params(normalize="clip").fit(clips)
    assert not hasattr(cnn, "input_mean_")
    fresh = RandomCNNTransformer("single", n_filters=4, normalize="clip", random_state=0)
    np.testing.assert_array_equal(cnn.transform(clips), fresh.fit_transform(clips))


@pytest.mark.parametrize(
    "design", ["vgg", "single", "timbral_temporal", "sample_level", "frame_level"]
)
def test_bfloat16_changes_features_little(design, rng):
    clips = [rng.standard_normal(n).astype(np.float32) for n in (20_000, 16_000, 3000)]
    cnn = RandomCNNTransformer(design, n_filters=16, random_state=0).fit(clips)
    exact = cnn.transform(clips)
    lower = cnn.set_params(precision="bfloat16").transform(clips)
    assert lower.dtype == np.float32
    error = np.abs(lower - exact).max() / np.abs(exact).max()
    assert 1e-5 < error < 0.01
    for clip, row in zip(clips, lower, strict=True):
        alone = cnn.transform([clip])[0]
        assert np.abs(alone - row).max() < 0.005 * np.abs(exact).max()


def test_precision_is_named_when_unknown():
    with pytest.raises(ValueError, match=r"precision='float16'.*float32"):
        RandomCNNTransformer(precision="float16").fit([np.zeros(4000)])
