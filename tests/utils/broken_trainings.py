"""Estimators that break one contract of training each, for the tests of the audio checks."""

from dataclasses import replace

import numpy as np
from sklearn.utils.validation import column_or_1d

from skaudio.training import Classification
from skaudio.utils.validation import one_per_clip
from tests.utils.broken_extractors import CASES, breaks
from tests.utils.training_examples import ClassifyingTransformer, NextSamples
from tests.utils.training_examples import ReconstructingTransformer as Reconstructing

__all__ = ["CASES"]  # of all broken extractors


class Counting(NextSamples):
    """A task that remembers what no state tells."""

    n_updates = 0

    def forward(self, batch):
        self.n_updates += self.training
        outcome = super().forward(batch)
        return outcome._replace(loss=outcome.loss * (1 + 0.1 * self.n_updates))


@breaks("check_training_resumes", "a resumed training, against one of a piece: .* values differ")
class RemembersBeside(Reconstructing):
    def _task(self, network, y):
        return Counting(network, self.n_channels)


@breaks("check_training_resumes", "a resumed training took 4 epochs, not the 2 left")
class SavesNothing(Reconstructing):
    def _recipe(self, epochs):
        return replace(super()._recipe(epochs), checkpoint=None)


@breaks("check_training_resumes", "no callback was told that epoch 3 of 4 begins")
class TellsNobody(Reconstructing):
    def _recipe(self, epochs):
        return replace(super()._recipe(epochs), callbacks=None)


@breaks("check_training_resumes", r"a resumed training, against one of a piece: history_ differs")
class ForgetsHistory(Reconstructing):
    def fit(self, X, y=None, groups=None):
        super().fit(X, y, groups)
        self.history_ = self.history_ if self.checkpoint is None else self.history_[2:]
        return self


@breaks("check_warm_start", "warm_start does not begin with what was learnt: head.bias differs")
class BeginsAnew(Reconstructing):
    def _fit(self, X, y, groups, plan):
        return super()._fit(X, y, groups, replace(plan, go_on=False))


@breaks("check_warm_start", "warm_start does not begin with what was learnt: head.bias differs")
class ForgetsHead(Reconstructing):
    def _train(self, network, data, generator, plan):
        self.task_weights_ = {}
        super()._train(network, data, generator, plan)


@breaks("check_warm_start", "after one partial_fit n_epochs_ is 4")
class CountsPlans(Reconstructing):
    def partial_fit(self, X, y=None, groups=None):
        super().partial_fit(X, y, groups)
        self.n_epochs_ = self.max_epochs
        return self


@breaks("check_warm_start", r"n_epochs_ is 4 and history_ has epochs \[1, 2, 3, 4\], where 8")
class CountsTheLastFit(Reconstructing):
    def fit(self, X, y=None, groups=None):
        super().fit(X, y, groups)
        self.history_ = self.history_[: self.max_epochs]
        self.n_epochs_ = len(self.history_)
        return self


@breaks("check_warm_start", "warm_start changes no feature")
class ShowsTheFirst(Reconstructing):
    def fit(self, X, y=None, groups=None):
        super().fit(X, y, groups)
        self.first_ = vars(self).get("first_", self.weights_)
        return self

    def transform(self, X):
        learnt, self.weights_ = self.weights_, self.first_
        try:
            return super().transform(X)
        finally:
            self.weights_ = learnt


@breaks("check_classification", "probabilities of a clip do not sum to 1")
class SumsToTwo(ClassifyingTransformer):
    def predict_proba(self, X):
        return 2 * super().predict_proba(X)


@breaks("check_classification", "probabilities are float32, not float64")
class SinglePrecision(ClassifyingTransformer):
    def predict_proba(self, X):
        return super().predict_proba(X).astype(np.float32)


@breaks("check_classification", "predict does not give the likeliest class")
class PredictsTheOther(ClassifyingTransformer):
    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmin(axis=1)]


@breaks("check_classification", r"classes_ are not sorted: \['b' 'c' 'a'\]")
class AsTheyCome(ClassifyingTransformer):
    def _targets(self, y, go_on):
        self.classes_ = np.array([*dict.fromkeys(y.tolist())])
        return np.array([np.flatnonzero(self.classes_ == label)[0] for label in y])


@breaks("check_classification", "probabilities with labels of text, against 0 and 1: .* differ")
class NamesMatter(ClassifyingTransformer):
    def _task(self, network, y):
        task = super()._task(network, y)
        if self.classes_.dtype.kind == "U":
            task.max_grad_norm = 1e-3
        return task


@breaks("check_classification", "probabilities of each clip alone: .* values differ")
class ComparesClips(ClassifyingTransformer):
    def _log_posteriors(self, X):
        log_posteriors = super()._log_posteriors(X)
        return log_posteriors - log_posteriors.mean(axis=0)


@breaks("check_classification", "other labels change no probability")
class ToldByOrder(ClassifyingTransformer):
    def _targets(self, y, go_on):
        super()._targets(y, go_on)
        return np.arange(len(y)) % len(self.classes_)


class Lenient(ClassifyingTransformer):
    """Labels without the check that the last case of `check_labels` needs."""

    def _labels(self, y, n_clips, needed):
        if y is None:
            return super()._labels(y, n_clips, needed)
        y = one_per_clip("y", y, n_clips) if isinstance(y, list) else y
        return one_per_clip("y", column_or_1d(y), n_clips)


@breaks("check_labels", "fractions raised no ValueError")
class TakesFractions(Lenient):
    def _task(self, network, y):
        return Classification(network, len(self.classes_), pooling=self.pooling)


@breaks("check_labels", "the error about no labels does not name it: 'bad labels'")
class SaysLittle(ClassifyingTransformer):
    def _labels(self, y, n_clips, needed):
        try:
            return super()._labels(y, n_clips, needed)
        except ValueError:
            raise ValueError("bad labels") from None


@breaks("check_labels", "numbers and text raised no ValueError")
class TakesAllAsText(ClassifyingTransformer):
    def _labels(self, y, n_clips, needed):
        known = y is None or len(y) != n_clips or any(label is None for label in y)
        return super()._labels(y if known else np.asarray(y), n_clips, needed)


@breaks("check_labels", "one class raised an error, but left classes_")
class LeavesClasses(ClassifyingTransformer):
    def fit(self, X, y=None, groups=None):
        try:
            return super().fit(X, y, groups)
        except ValueError as error:
            if "one class" in str(error):
                self.classes_ = np.unique(y)
            raise


@breaks("check_labels", "a class of one clip is left out")
class LeavesOutTheRare(ClassifyingTransformer):
    def fit(self, X, y=None, groups=None):
        super().fit(X, y, groups)
        classes, counts = np.unique(y, return_counts=True)
        self.classes_ = classes[counts > 1]
        return self


@breaks("check_labels", r"with the only clip of 7 skipped, \[0 1 7\]")
class KeepsTheLabel(ClassifyingTransformer):
    def fit(self, X, y=None, groups=None):
        if self.on_error == "skip":
            X = [x for x in X if np.isfinite(x).all()]
            y = y[: len(X)]
        return super().fit(X, y, groups)
