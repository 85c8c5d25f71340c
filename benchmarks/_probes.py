"""What tells how good learnt features are: phones of unheard speakers, and classes of clips."""

import csv
import os
import time
from pathlib import Path

import _sets
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from skaudio import read_audio
from skaudio.compare import standard_svm

RATE = 16000  # Hz
HELD_OUT = ("03", "08")  # speakers that the probe of phones is tested on
MARKS = tuple(0.25 * 2**k for k in range(6))  # the curve over time: minutes of one core


class Trained(Callback):
    """Ends a training after a number of updates, and saves weights at certain times."""

    def __init__(self, marks=()):
        self.marks = [*marks]

    def initialize(self):
        self.begin, self.states = time.process_time(), []
        return self

    def minutes(self):
        """Processor time since the beginning."""
        return (time.process_time() - self.begin) / 60

    def on_batch_end(self, net, training=False, **kwargs):
        if training and self.marks and self.minutes() >= self.marks[0]:
            self.marks.pop(0)
            state = net.module_.network.state_dict()
            weights = {name: tensor.numpy().copy() for name, tensor in state.items()}
            self.states.append((self.minutes(), weights))


def fit(kind, clips, updates, marks=(), groups=None, **params):
    """Train on clips for a number of updates.

    Parameters
    ----------
    kind : type
        The extractor's class.
    clips : list
        What from.
    updates : int
        How many, about: whole epochs.
    marks : sequence of float
        As for `Trained`.
    groups : array-like or None
        As for its ``fit``.
    **params
        Of the extractor.

    Returns
    -------
    extractor : object
        Fitted.
    trained : Trained
        What was saved on the way.
    """
    trained = Trained(marks)
    params = {"early_stopping": False, "random_state": 0, **params}
    extractor = kind(callbacks=[trained], **params)
    seconds = sum(len(read_audio(clip, RATE)) for clip in clips) / RATE
    per_epoch = (1 - extractor.validation_fraction) * seconds / extractor.batch_seconds
    extractor.set_params(max_epochs=max(1, round(updates / per_epoch)))
    return extractor.fit(clips, groups=groups), trained


class Phones:
    """The probe on emodb_2s."""

    def __init__(self):
        sounds = _sets.load("emodb_2s")
        home = Path(os.environ["SKAUDIO_DATA"], "emodb_2s")
        with (home / "phones.csv").open(newline="", encoding="utf-8") as file:
            segments = [*csv.DictReader(file)]
        names, counts = np.unique([row["phone"] for row in segments], return_counts=True)
        often = {*names[counts >= 100]}
        segments = [row for row in segments if row["phone"] in often]
        self.clips = [Path(clip) for clip in sounds.data]
        rows = {clip.name: i for i, clip in enumerate(self.clips)}
        self.clip = np.array([rows[Path(row["filename"]).name] for row in segments])
        self.middle = np.array([(float(r["start"]) + float(r["end"])) / 2 for r in segments])
        self.phone = np.array([row["phone"] for row in segments])
        self.unheard = np.array([row["group"] in HELD_OUT for row in segments])
        unheard = {*self.clip[self.unheard]}
        self.training = [clip for i, clip in enumerate(self.clips) if i not in unheard]
        self.test = [self.clips[i] for i in sorted(unheard)]

    def accuracy(self, frames, first, around=0, later=0):
        """Accuracy of logistic regression on unheard speakers.

        Parameters
        ----------
        frames : list of ndarray of shape (n_frames_i, n_channels)
            Of all clips, 100 a second.
        first : float
            Centre of the first frame, s.
        around, later : int
            Frames on either side that are read as well, and the delay of all, in frames.
        """
        chosen = []
        for clip, middle in zip(self.clip, self.middle, strict=True):
            centre = round((middle - first) * 100) + later
            steps = np.arange(centre - around, centre + around + 1)
            chosen.append(frames[clip][steps.clip(0, len(frames[clip]) - 1)].ravel())
        chosen, train = np.stack(chosen), ~self.unheard
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
        probe.fit(chosen[train], self.phone[train])
        return probe.score(chosen[self.unheard], self.phone[self.unheard])

    def of_network(self, extractor, features=None, **options):
        """Accuracy with the frames of a wav2vec, whose times are those of its encoder."""
        if features:
            extractor.set_params(features=features)
        first = (extractor._ready(None).min_samples / 2) / RATE
        return self.accuracy(extractor.transform_frames(self.clips), first, **options)


def accuracy(sounds, fold, features, heard=None):
    """Accuracy of a support vector machine on the test clips of a fold.

    Parameters
    ----------
    sounds : Bunch
        The set.
    fold : int
        Number of its split.
    features : ndarray of shape (n_clips, D)
        Of all clips.
    heard : ndarray of shape (n_test, D), default=None
        Of the test clips as they are heard. None: as they are in ``features``.

    Returns
    -------
    accuracy : float
        Share of the test clips.
    """
    train, test = sounds.splits[fold]
    target = np.asarray(sounds.target)
    svm = standard_svm().fit(features[train], target[train])
    return svm.score(features[test] if heard is None else heard, target[test])
