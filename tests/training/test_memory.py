"""Trainings where memory is short: batches in parts, and clips that never are in memory whole."""

import warnings


class Sum(nn.Module):
    """A task without chance, on a device that takes few crops at a time."""

    shortest, progress, settles, chance = 10, 0.0, 0.0, float("inf")

    def __init__(self, most):
        super().__init__()
        self.scale, self.most, self.asked = nn.Parameter(torch.ones(10)), most, []

    def reseed(self, seed):
        """Draw nothing."""

    def memory(self, n_crops, n_samples):
        """Ask for little."""
        return n_crops * n_samples

    def forward(self, wave):
        self.asked.append(len(wave))
        if len(wave) > self.most:
            raise torch.OutOfMemoryError("too many crops")
        loss = (wave[:, :10] * self.scale - 1).square().sum()
        return Contrast(loss, len(wave), (wave[:, 0] > 0).sum())


RECIPE = Recipe(
    sample_rate=1000, crop_seconds=0.1, batch_seconds=0.8, max_epochs=2, max_minutes=None,
    learning_rate=1e-2, validation_fraction=0.0, early_stopping=False, callbacks=None,
    checkpoint=None, precision="float32", device="cpu", verbose=0,
)  # fmt: skip


def test_little_memory_gives_the_same_weights_in_parts():
    clips = Clips(noise(*[1000] * 5), 1000)
    plenty, little = Sum(most=8), Sum(most=3)
    expected = train(plenty, clips, RECIPE, 0, "")
    with pytest.warns(UserWarning, match="cpu memory is too small for batches of 8 crops") as seen:
        found = train(little, clips, RECIPE, 0, "")
    assert len(seen) == 1 and little.asked[:4] == [8, 4, 2, 2]
    torch.testing.assert_close(little.scale, plenty.scale)
    assert found[-1]["train_loss"] == pytest.approx(expected[-1]["train_loss"], rel=1e-6)
    assert found[-1]["train_accuracy"] == expected[-1]["train_accuracy"]


def test_memory_for_not_even_one_crop_is_an_error():
    with pytest.raises(torch.OutOfMemoryError), pytest.warns(UserWarning, match="too small"):
        train(Sum(most=0), Clips(noise(1000), 1000), RECIPE, 0, "")


def test_one_clip_of_two_hours(tmp_path):
    """It is learnt from in crops, and read in windows: memory holds one copy of its samples."""
    rate, path = 1000, tmp_path / "long.wav"
    rng = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", rate, 1) as file:
        for _ in range(120):
            file.write(0.1 * rng.standard_normal(60 * rate))
    wav2vec = small(sample_rate=rate, max_epochs=1, batch_seconds=8.0, window_seconds=30.0)
    assert wav2vec.fit([path]).transform([path]).shape == (1, 16)
    part = wav2vec.transform([AudioFile(path, start=0, stop=60)])
    assert np.isfinite(part).all()
