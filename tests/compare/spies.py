"""Extractors and a classifier that write down what they are asked for."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.neighbors import KNeighborsClassifier


class Loudness(TransformerMixin, BaseEstimator):
    """Two columns per clip: its level, with noise of the draw, and how many clips fit saw."""

    learns_from_clips = False
    calls = None  # shared by the clones: (what, number of clips, random_state)

    def __init__(self, sample_rate=100, random_state=None, noise=0.0):
        self.sample_rate = sample_rate
        self.random_state = random_state
        self.noise = noise

    def fit(self, X, y=None):
        self.seen_ = len(X)
        self.calls.append(("fit", len(X), self.random_state))
        return self

    def transform(self, X):
        self.calls.append(("transform", len(X), self.random_state))
        level = np.array([np.abs(clip).mean() for clip in X])
        level += self.noise * np.random.default_rng(self.random_state).normal(size=len(X))
        return np.stack([level, np.full(len(X), self.seen_)], axis=1).astype(np.float32)


class LearntLoudness(Loudness):
    learns_from_clips = True


class UnknownLoudness(Loudness):
    learns_from_clips = None

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = True
        return tags


class SpyClassifier(ClassifierMixin, BaseEstimator):
    """Nearest neighbour that keeps what it is given; the clones share the list."""

    calls = None

    def __init__(self, cv=None, random_state=None):
        self.cv = cv
        self.random_state = random_state

    def fit(self, X, y):
        self.calls.append(("fit", X, y, self.cv, self.random_state))
        self.model_ = KNeighborsClassifier(1).fit(X, y)
        self.classes_ = self.model_.classes_
        return self

    def predict(self, X):
        self.calls.append(("predict", X))
        return self.model_.predict(X)
