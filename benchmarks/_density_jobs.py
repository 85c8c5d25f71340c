"""What density.py measures: each function gives rows of one job."""

import _coders
import numpy as np
import soundfile
import torch
from _density_clips import RECORDINGS, load, official, split, training_parts, unheard, without
from _listening import nearest, picture
from _probes import MARKS, Trained, accuracy
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from skorch.callbacks import Callback

from skaudio import (
    MFCCTransformer,
    RandomCNNTransformer,
    WaveNetTransformer,
    read_audio,
)
from skaudio.compare import standard_svm

GAIN = 12.0  # dB, for voices that are not of the speakers of the training
HEARD_SECONDS = 120.0  # of training sound that linear prediction learns from
CURVE_SECONDS = 40.0  # for each earlier point of the learning curve
PER_DIGIT = 6
DIGIT_SECONDS = 0.5
VOICE = 1  # the speaker whose digits are sampled
# half a second behind each sample, which is more than a word
WORD = {"dilations": [2**i for i in range(12)], "crop_seconds": 0.5, "batch_seconds": 0.5}


class RandomGain(Callback):
    """Plays every crop of a training at another loudness, since unheard voices have their own."""

    def __init__(self, decibels):
        self.decibels = decibels

    def initialize(self):
        self.rng = np.random.default_rng(0)
        return self

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        if training:
            gains = 10 ** (self.rng.uniform(-self.decibels, self.decibels, len(batch.wave)) / 20)
            batch.wave.mul_(torch.from_numpy(gains)[:, None])


def trained(clips, rate, seconds, marks=(), y=None, groups=None, decibels=0.0, **params):
    """Train a WaveNet until it has heard so many seconds.

    Parameters
    ----------
    clips : list of str
        Paths.
    rate : int
        Hz.
    seconds : float
        Of sound in all epochs.
    marks : sequence of float
        As for `Trained`.
    y, groups : array-like or None
        As for `WaveNetTransformer.fit`.
    decibels : float
        Largest change of the loudness of a crop.
    **params
        Of `WaveNetTransformer`.

    Returns
    -------
    wavenet : WaveNetTransformer
        Fitted.
    training : Trained
        States on the way.
    minutes : float
        Processor time.
    """
    waves = training_parts([read_audio(clip, rate) for clip in clips], round(seconds * rate))
    n_epochs = max(1, round(seconds * rate / sum(map(len, waves))))
    training = Trained(marks)
    wavenet = WaveNetTransformer(
        sample_rate=rate,
        max_epochs=n_epochs,
        validation_fraction=0.0,
        early_stopping=False,
        callbacks=[training, RandomGain(decibels)],
        random_state=0,
        **params,
    )
    wavenet.fit(waves, y, groups=groups)
    return wavenet, training, training.minutes()


def bits(wavenet, clips, rate):
    """Bits per sample of clips.

    Parameters
    ----------
    wavenet : WaveNetTransformer
        Fitted.
    clips : list of str
        Paths.
    rate : int
        Hz.

    Returns
    -------
    bits : float
        Of all their samples.
    """
    waves = [read_audio(clip, rate) for clip in clips]
    return -wavenet.score_samples(waves).sum() / np.log(2) / sum(map(len, waves))


def rivals(name):
    """Rows of the bits per sample of all other coders."""
    sounds, rate = load(name)
    train, test = split(sounds, name)
    heard = [read_audio(clip, rate) for clip in unheard(sounds, train, HEARD_SECONDS)]
    heard = [_coders.classes_of(wave[: 3 * rate]) for wave in heard]
    waves = [read_audio(clip, rate) for clip in unheard(sounds, test)]
    classes = [_coders.classes_of(wave) for wave in waves]
    n_samples = sum(map(len, waves))
    yield {"system": "uniform", "value": 8.0}
    codes = {
        "FLAC": [clip - 128 for clip in classes],
        "FLAC of 8 linear bits": [np.round(127 * wave.clip(-1, 1)).astype(int) for wave in waves],
    }
    for system, clips in codes.items():
        total = sum(_coders.flac_bits(clip, rate) for clip in clips)
        yield {"system": system, "value": total / n_samples}
    for kind, (coder, memory) in _coders.strongest(heard).items():
        total = sum(coder.bits(clip, memory) for clip in classes)
        yield {"system": f"linear, {kind}", "value": total / n_samples}
        whose = "of each block" if coder.own else "of the set"
        family, _ = coder.found[memory][1:]
        text = f"{coder.domain}, coefficients {whose}, {family}, memory {memory}"
        yield {"system": f"linear, {kind}", "measure": "form", "value": text}


def of_set(name, seconds):
    """Rows of a WaveNet trained on one set without labels: bits, their curve, and features."""
    sounds, rate = load(name)
    train, test = split(sounds, name)
    # a speaker nobody has heard is as far from the microphone as nobody was
    decibels = GAIN if name == "fsdd" else 0.0
    wavenet, training, minutes = trained(
        [sounds.data[i] for i in train], rate, seconds, MARKS, decibels=decibels
    )
    yield {"system": "WaveNet", "measure": "minutes of one core", "value": minutes}
    yield {"system": "WaveNet", "value": bits(wavenet, unheard(sounds, test), rate)}
    some, weights = unheard(sounds, test, CURVE_SECONDS), wavenet.weights_
    for spent, state in [*training.states, (minutes, weights)]:
        wavenet.weights_ = state
        curve = {"curve": "minutes", "x": spent}
        yield {**curve, "system": "WaveNet", "value": bits(wavenet, some, rate)}
    if name.endswith(RECORDINGS):
        return
    wavenet.weights_ = weights
    extractors = {
        "WaveNet": wavenet,
        "untrained WaveNet": WaveNetTransformer(sample_rate=rate, max_epochs=0, random_state=0),
        "MFCC-120": MFCCTransformer(sample_rate=rate),
        "vgg": RandomCNNTransformer(sample_rate=rate, random_state=0),
    }
    for system, extractor in extractors.items():
        if extractor is not wavenet:
            extractor.fit(sounds.data)
        value = accuracy(sounds, 0, extractor.transform(sounds.data))
        yield {"system": system, "measure": "accuracy", "value": value}


def digits(fold, seconds):
    """Rows of the digits of one speaker, told by those of the others."""
    sounds, rate = load("fsdd")
    labels = np.asarray(sounds.labels)
    yield from _told(sounds, rate, labels, *sounds.splits[fold], seconds, GAIN)


def speakers(seconds):
    """Rows of the speakers of recordings that nobody was trained on."""
    sounds, rate = load("fsdd")
    yield from _told(sounds, rate, np.asarray(sounds.groups), *official(sounds), seconds)


def _told(sounds, rate, labels, train, test, seconds, decibels=0.0):
    """Accuracies of Bayes' rule and of a support vector machine on MFCC."""
    wavenet, _, minutes = trained(
        [sounds.data[i] for i in train],
        rate,
        seconds,
        y=labels[train],
        groups=sounds.groups[train],
        decibels=decibels,
        conditions="label",
    )
    yield {"system": "WaveNet", "measure": "minutes of one core", "value": minutes}
    hits = wavenet.predict([sounds.data[i] for i in test]) == labels[test]
    yield {"system": "WaveNet, Bayes' rule", "measure": "accuracy", "value": hits.mean()}
    mfcc = MFCCTransformer(sample_rate=rate).fit_transform(sounds.data)
    value = standard_svm().fit(mfcc[train], labels[train]).score(mfcc[test], labels[test])
    yield {"system": "MFCC-120 + SVM", "measure": "accuracy", "value": value}


def anomaly(label, seconds):
    """Rows of the areas under the curve (AUC) for a class that was held out of training."""
    sounds, rate = load("esc10")
    low = rate // 2  # what the WaveNet hears: of 16 kHz in the same time only half
    train, test = without(sounds, label)
    odd = np.asarray(sounds.labels)[test] == label
    heard, clips = [sounds.data[i] for i in train], [sounds.data[i] for i in test]
    wavenet, _, minutes = trained(heard, low, seconds)
    yield {"system": "WaveNet", "measure": "minutes of one core", "value": minutes}
    likely = {f"WaveNet, {k}": v for k, v in _likely(wavenet, heard, clips, low).items()}
    extractors = {
        "MFCC-120": MFCCTransformer(sample_rate=rate),
        "vgg": RandomCNNTransformer(sample_rate=rate, random_state=0),
    }
    for name, extractor in extractors.items():
        forest = IsolationForest(random_state=0).fit(extractor.fit_transform(heard))
        likely[f"IsolationForest, {name}"] = forest.score_samples(extractor.transform(clips))
    for system, scores in likely.items():
        yield {"system": system, "measure": "AUC", "value": roc_auc_score(odd, -scores)}


def _likely(wavenet, heard, clips, rate):
    """How likely each clip is, by several rules."""
    seconds, flac = _seconds(wavenet, clips, rate)
    # a sound that is too easy to predict is as odd as one that is too hard: what is typical
    # is told by training clips, a quarter of them to save time
    usual = np.column_stack(_summaries(*_seconds(wavenet, heard[::4], rate)))
    ours = np.column_stack(_summaries(seconds, flac))
    return {
        "mean of seconds": seconds.mean(axis=1),
        "least likely second": seconds.min(axis=1),
        # noise is unlikely, yet usual: what another coder needs, too, says how complex a sound is
        "mean + FLAC's bits": seconds.mean(axis=1) + flac,
        "typical seconds": IsolationForest(random_state=0).fit(usual).score_samples(ours),
    }


def _summaries(seconds, flac):
    """Columns: mean, least and most likely second, spread, and what FLAC needs."""
    means = seconds.mean(axis=1)
    return means, seconds.min(axis=1), seconds.max(axis=1), seconds.std(axis=1), means + flac


def _seconds(wavenet, clips, rate):
    """Minus the bits per sample of each second of clips of 5 s, and FLAC's bits of each clip."""
    waves = [read_audio(clip, rate)[: 5 * rate] for clip in clips]
    pieces = np.concatenate([np.pad(w, (0, 5 * rate - len(w))) for w in waves]).reshape(-1, rate)
    scores = wavenet.score_samples(list(pieces)) / rate / np.log(2)
    flac = [_coders.flac_bits(_coders.classes_of(wave) - 128, rate) / len(wave) for wave in waves]
    return scores.reshape(-1, 5), np.array(flac)


def sampled(seconds, folder):
    """Rows of sampled digits: how many are recognised, and how far they are from real ones.

    The clips and their picture are written to a folder.
    """
    sounds, rate = load("fsdd")
    train, test = official(sounds)
    labels, voices = np.asarray(sounds.labels), np.asarray(sounds.groups)
    own = train[voices[train] == VOICE]
    wavenet, _, minutes = trained(
        [sounds.data[i] for i in own], rate, seconds, y=labels[own], conditions="label", **WORD
    )
    yield {"system": "WaveNet", "measure": "minutes of one core", "value": minutes}
    mfcc = MFCCTransformer(sample_rate=rate).fit([sounds.data[i] for i in train])
    features = mfcc.transform(sounds.data)
    svm = standard_svm().fit(features[train], labels[train])
    test = test[voices[test] == VOICE]
    real = svm.score(features[test], labels[test])
    yield {"system": "real digits", "measure": "recognised", "value": real}
    wanted = np.repeat(np.unique(labels), PER_DIGIT)
    length = round(DIGIT_SECONDS * rate)
    clips = {"real digits": [_fitted(sounds.data[i], rate, length) for i in test]}
    for temperature in (1.0, 0.9, 0.8):
        name = f"sampled, temperature {temperature}"
        clips[name] = wavenet.sample(
            len(wanted), length, y=wanted, temperature=temperature, random_state=0
        )
        share = (svm.predict(mfcc.transform(clips[name])) == wanted).mean()
        yield {"system": name, "measure": "recognised", "value": share}
    rng = np.random.default_rng(0)
    clips["white noise"] = [*rng.normal(0, 0.1, (20, length)).clip(-1, 1)]
    known = [_fitted(sounds.data[i], rate, length) for i in own]
    clips["digits of the training"] = known[:20]
    for system, some in clips.items():
        value = np.median(nearest(some, known, rate))
        yield {"system": system, "measure": "dB to the nearest real digit", "value": value}
    chosen = clips["sampled, temperature 0.9"][::PER_DIGIT]
    folder.mkdir(parents=True, exist_ok=True)
    for digit, clip in zip(np.unique(labels), chosen, strict=True):
        soundfile.write(folder / f"digit_{digit}.wav", clip, rate, subtype="PCM_16")
    titles = [f"sampled {digit}" for digit in np.unique(labels)]
    picture(chosen, titles, rate).savefig(folder / "digits.png", dpi=100)


def _fitted(clip, rate, length):
    """Wave of a clip, cut or filled with silence to so many samples."""
    wave = read_audio(clip, rate)[:length]
    return np.pad(wave, (0, length - len(wave)))
