"""VQTransformer: codes against float64, what is counted from them, and what training leaves."""

import argparse
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse
import torch
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from skaudio import VQTransformer, Wav2VecTransformer
from skaudio.datasets import make_sounds
from tests.extractors.test_wav2vec import LAYERS, OFFICIAL, noise, official_weights
from tests.networks.test_wav2vec_network import by_hand

QUANTIZERS = ("gumbel", "kmeans", "ema")


def small(quantizer="ema", **params):
    defaults = {"n_codes": 6, "max_epochs": 0, "random_state": 0}
    training = {"crop_seconds": 0.3, "batch_seconds": 1.5}
    return VQTransformer(quantizer, **{**LAYERS, **defaults, **training, **params})


@pytest.fixture(scope="module")
def sounds():
    return make_sounds(48, random_state=0)


def write(path, kind):
    """A checkpoint by its published names: 5 codes, 2 groups, the tables not shared."""
    generator = torch.Generator().manual_seed(1)
    normal = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    tensors = official_weights()
    if kind == "gumbel":
        tensors["vector_quantizer.vars"] = normal(1, 10, 8)
        tensors["vector_quantizer.weight_proj.0.0.weight"] = normal(32, 16)
        tensors["vector_quantizer.weight_proj.0.0.bias"] = normal(32)
        tensors["vector_quantizer.weight_proj.1.weight"] = normal(10, 32)
        tensors["vector_quantizer.weight_proj.1.bias"] = normal(10)
    else:
        tensors["vector_quantizer.embedding"] = normal(5, 2, 8)
        tensors["vector_quantizer.projection.0.weight"] = normal(16, 8, 1)
        tensors["vector_quantizer.projection.1.weight"] = normal(16)
        tensors["vector_quantizer.projection.1.bias"] = normal(16)
    quantizer = {"vq_type": kind, "vq_vars": 5, "vq_groups": 2, "vq_dim": 16, "vq_depth": 2}
    args = argparse.Namespace(**OFFICIAL, **quantizer, combine_groups=False)
    torch.save({"args": args, "model": tensors}, path)
    return path, {name: w.double() for name, w in tensors.items()}


def codes_by_hand(kind, z, w):
    """Codes (T, 2) of frames z (C, T), in float64 from the tensors of the file."""
    z = torch.from_numpy(z)
    if kind == "gumbel":
        prefix = "vector_quantizer.weight_proj"
        hidden = torch.relu(z.T @ w[f"{prefix}.0.0.weight"].T + w[f"{prefix}.0.0.bias"])
        logits = hidden @ w[f"{prefix}.1.weight"].T + w[f"{prefix}.1.bias"]
        return logits.view(-1, 2, 5).argmax(-1), w["vector_quantizer.vars"].view(2, 5, 8)
    kernel = w["vector_quantizer.projection.0.weight"][..., 0]
    halves = [kernel[8 * g : 8 * g + 8] @ z[8 * g : 8 * g + 8] for g in range(2)]
    normal = [(h - h.mean()) / (h.var(unbiased=False) + 1e-5).sqrt() for h in halves]
    scale, shift = (w[f"vector_quantizer.projection.1.{name}"] for name in ("weight", "bias"))
    frames = torch.cat(normal) * scale[:, None] + shift[:, None]
    table = w["vector_quantizer.embedding"].transpose(0, 1)
    distances = torch.stack([torch.cdist(frames[8 * g : 8 * g + 8].T, table[g]) for g in range(2)])
    return distances.argmin(-1).T, table


@pytest.mark.parametrize("kind", ["gumbel", "kmeans"])
def test_checkpoints_give_the_codes_and_features_of_float64(tmp_path, kind):
    path, tensors = write(tmp_path / "vq.pt", kind)
    X = noise(3000, 5000)
    context = VQTransformer(kind, pretrained=path).fit(X)
    network = context._ready(None).network
    options = {"encoder": LAYERS["encoder_layers"], "aggregator": LAYERS["aggregator_layers"]}
    embedding = VQTransformer(kind, pretrained=path, output="embedding").fit(X)
    for wave, codes, c, z in zip(
        X,
        context.encode(X),
        context.transform_frames(X),
        embedding.transform_frames(X),
        strict=True,
    ):
        (frames,) = by_hand(network, wave, (0,), **options)
        wanted, table = codes_by_hand(kind, frames, tensors)
        assert np.array_equal(codes, wanted.numpy())
        chosen = torch.cat([table[g][wanted[:, g]] for g in range(2)], dim=1)
        assert np.abs(z - chosen.numpy()).max() <= 1e-5 * float(chosen.abs().max())
        (aggregated,) = by_hand(network, wave, (2,), **options, quantized=chosen.T)
        assert np.abs(c.T - aggregated).max() <= 1e-5 * np.abs(aggregated).max()


def test_what_contradicts_a_checkpoint_is_named(tmp_path):
    path, _ = write(tmp_path / "vq.pt", "kmeans")
    X = noise(3000)
    for other in ("gumbel", "ema"):
        with pytest.raises(ValueError, match=rf"quantizer='{other}', but .*vq\.pt has 'kmeans'"):
            VQTransformer(other, pretrained=path).fit(X)
    with pytest.raises(ValueError, match="pass it to VQTransformer"):
        Wav2VecTransformer(pretrained=path).fit(X)


@pytest.mark.parametrize("quantizer", QUANTIZERS)
def test_what_is_counted_comes_from_the_codes(quantizer):
    X = noise(4000, 9000, 300)
    words = small(quantizer).fit(X)
    texts = words.encode(X)
    counts, histogram = (small(quantizer, output=o).fit(X) for o in ("counts", "histogram"))
    names = counts.get_feature_names_out().tolist()
    for row, shares, text in zip(counts.transform(X), histogram.transform(X), texts, strict=True):
        for group in range(2):
            for code in range(6):
                column = names.index(f"group{group}_code{code}")
                assert row[column] == (text[:, group] == code).sum()
                assert shares[column] == pytest.approx(row[column] / len(text))
        assert shares.sum() == pytest.approx(2)


def test_joint_words_and_pairs_of_them_are_sparse():
    X = noise(4000, 9000)
    texts = small().fit(X).encode(X)
    joint = small(output="counts", joint=True).fit(X)
    pairs = small(output="bigrams").fit(X)
    Z, P = joint.transform(X), pairs.transform(X)
    assert scipy.sparse.issparse(Z) and Z.shape == (2, 36) and Z.dtype == np.float32
    assert P.shape == (2, 36**2) == (2, pairs.n_features_out_)
    names, pair_names = joint.get_feature_names_out(), pairs.get_feature_names_out()
    for row, text in enumerate(texts):
        words = [f"{a}-{b}" for a, b in text]
        for column in Z[[row]].indices:
            assert Z[row, column] == words.count(names[column])
        assert Z[[row]].sum() == len(words)
        following = [f"{a} {b}" for a, b in pairwise(words)]
        for column in P[[row]].indices:
            assert P[row, column] == following.count(pair_names[column])
        assert P[[row]].sum() == len(words) - 1


@pytest.mark.parametrize("quantizer", QUANTIZERS)
def test_training_uses_and_reports_its_codes(quantizer, sounds):
    words = small(quantizer, max_epochs=3).fit(sounds.data)
    assert words.codebook_.shape == (2, 6, 8)
    texts = np.concatenate(words.encode(sounds.data))
    for group in range(2):
        counts = np.bincount(texts[:, group], minlength=6)
        assert words.n_codes_used_[group] == (counts > 0).sum()
        shares = counts / counts.sum()
        wanted = np.exp(-(shares * np.log(shares + 1e-7)).sum())
        assert words.perplexity_[group] == pytest.approx(wanted, rel=1e-6)
    assert len(words.history_) == 3
    again = small(quantizer, max_epochs=3).fit(sounds.data)
    for name, w in words.weights_.items():
        assert np.array_equal(w, again.weights_[name])


def test_moving_averages_do_not_collapse(sounds):
    words = small("ema", n_codes=16, max_epochs=10).fit(sounds.data)
    assert (words.perplexity_ > 0.3 * 16).all()


def test_words_in_a_pipeline_of_text(sounds):
    pipe = make_pipeline(
        small(output="bigrams", max_epochs=2), TfidfTransformer(), LinearSVC(random_state=0)
    )
    pipe.fit(sounds.data, sounds.target)
    assert pipe.predict(sounds.data[:4]).shape == (4,)


@pytest.mark.parametrize("output", ["counts", "histogram", "bigrams"])
@pytest.mark.parametrize("joint", [False, True])
def test_skipped_clips_are_seen_in_every_matrix(output, joint):
    one_frame = noise(80)[0]
    X = [*noise(4000), np.full(4000, np.nan), one_frame]
    words = small(output=output, joint=joint, on_error="skip").fit(X)
    with pytest.warns(UserWarning, match="skipped 1 of 3 clips"):
        Z = words.transform(X)
    sums = np.asarray(Z.sum(axis=1)).ravel()
    assert np.isnan(sums).tolist() == [False, True, False]
    if scipy.sparse.issparse(Z):
        assert Z[[1]].indices.tolist() == [0] and np.isnan(Z[1, 0])
    else:
        assert np.isnan(Z[1]).all()
    # a clip of one frame has a word, but no pair of them
    assert len(words.encode([one_frame])[0]) == 1
    assert (sums[2] == 0) == (output == "bigrams")


def test_moving_averages_unless_told_otherwise():
    X = noise(4000, 9000)
    default, ema = small(None, max_epochs=1).fit(X), small("ema", max_epochs=1).fit(X)
    assert default.architecture_["quantizer"]["kind"] == "ema"
    assert default.weights_.keys() == ema.weights_.keys()
    for name, w in ema.weights_.items():
        assert np.array_equal(w, default.weights_[name])
    assert VQTransformer().quantizer is None


@pytest.mark.parametrize("kind", ["gumbel", "kmeans"])
def test_a_checkpoint_brings_its_quantizer(tmp_path, kind):
    path, _ = write(tmp_path / "vq.pt", kind)
    X = noise(3000, 5000)
    found, named = (
        VQTransformer(pretrained=path).fit(X),
        VQTransformer(kind, pretrained=path).fit(X),
    )
    assert found.architecture_["quantizer"]["kind"] == kind
    assert np.array_equal(found.transform(X), named.transform(X))


def test_an_unknown_quantizer_is_named():
    with pytest.raises(ValueError, match="quantizer='mean' is unknown; use one of"):
        small("mean").fit(noise(4000))
