"""What density.py measures: each function gives rows of one job."""

from pathlib import Path

import _coders
import _sets
import numpy as np
import soundfile
from _listening import nearest, picture
from _probes import MARKS, accuracy, fit
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from skaudio import (
    AudioFile,
    MFCCTransformer,
    RandomCNNTransformer,
    WaveNetTransformer,
    read_audio,
)
from skaudio.compare import standard_svm

PIECE = 1.0  # s, whose scores tell whether a clip is odd in one place
CURVE_SECONDS = 60.0  # of unheard sound for each point of the learning curve
PER_DIGIT = 6
DIGIT_SECONDS = 0.5


def load(name):
    """Read one of the open sets, and the rate that all coders hear it at.

    Parameters
    ----------
    name : str
        As for `_sets.load`.

    Returns
    -------
    sounds : Bunch
        The set.
    rate : int
        Hz.
    """
    sounds = _sets.load(name)
    return sounds, min(sounds.sample_rate, 16000)


def training_parts(clips, seconds):
    """Parts of training clips that are so long together, one of each clip at a random place.

    Parameters
    ----------
    clips : list of str
        Paths.
    seconds : float
        Of all parts.

    Returns
    -------
    parts : list of AudioFile or str
        The clips themselves, if they are no longer than that.
    """
    lengths = np.array([soundfile.info(str(clip)).duration for clip in clips])
    share = seconds / lengths.sum()
    if share >= 1:
        return [*clips]
    begins = np.random.default_rng(0).uniform(0, (1 - share) * lengths)
    return [
        AudioFile(clip, begin, begin + share * length)
        for clip, begin, length in zip(clips, begins, lengths, strict=True)
    ]


def trained(clips, rate, seconds, marks=(), y=None, groups=None, **params):
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
        As for `_probes.fit`.
    y, groups : array-like or None
        As for `WaveNetTransformer.fit`.
    **params
        Of `WaveNetTransformer`.

    Returns
    -------
    wavenet : WaveNetTransformer
        Fitted.
    trained : Trained
        States and minutes.
    """
    params |= {"sample_rate": rate, "validation_fraction": 0.0}
    clips = training_parts(clips, seconds)
    updates = seconds / WaveNetTransformer().batch_seconds
    return fit(WaveNetTransformer, clips, updates, marks, y=y, groups=groups, **params)


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
    train, test = sounds.splits[0]
    rng = np.random.default_rng(0)
    heard = [read_audio(sounds.data[i], rate) for i in rng.permutation(train)[:100]]
    heard = [_coders.classes_of(wave[: 3 * rate]) for wave in heard]
    waves = [read_audio(sounds.data[i], rate) for i in test]
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
    train, test = sounds.splits[0]
    wavenet, training = trained([sounds.data[i] for i in train], rate, seconds, MARKS)
    unheard = [sounds.data[i] for i in test]
    yield {"system": "WaveNet", "measure": "minutes of one core", "value": training.minutes()}
    yield {"system": "WaveNet", "value": bits(wavenet, unheard, rate)}
    some = np.random.default_rng(0).permutation(unheard)
    lengths = np.cumsum([soundfile.info(str(clip)).duration for clip in some])
    some = some[: np.searchsorted(lengths, CURVE_SECONDS) + 1].tolist()
    weights = wavenet.weights_
    for minutes, state in [*training.states, (training.minutes(), weights)]:
        wavenet.weights_ = state
        curve = {"curve": "minutes", "x": minutes}
        yield {**curve, "system": "WaveNet", "value": bits(wavenet, some, rate)}
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
    yield from _told(sounds, rate, np.asarray(sounds.labels), *sounds.splits[fold], seconds)


def speakers(seconds):
    """Rows of the speakers of recordings that nobody was trained on."""
    sounds, rate = load("fsdd")
    yield from _told(sounds, rate, np.asarray(sounds.groups), *official(sounds), seconds)


def official(sounds):
    """Split of FSDD by recordings: the first five of each digit and speaker are tested on.

    Parameters
    ----------
    sounds : Bunch
        The set.

    Returns
    -------
    train, test : ndarray of int
        Rows.
    """
    number = np.array([int(Path(clip).stem.rpartition("_")[2]) for clip in sounds.data])
    return np.flatnonzero(number >= 5), np.flatnonzero(number < 5)


def _told(sounds, rate, labels, train, test, seconds):
    """Accuracies of Bayes' rule and of a support vector machine on MFCC."""
    wavenet, training = trained(
        [sounds.data[i] for i in train],
        rate,
        seconds,
        y=labels[train],
        groups=sounds.groups[train],
        conditions="label",
    )
    yield {"system": "WaveNet", "measure": "minutes of one core", "value": training.minutes()}
    hits = wavenet.predict([sounds.data[i] for i in test]) == labels[test]
    yield {"system": "WaveNet, Bayes' rule", "measure": "accuracy", "value": hits.mean()}
    mfcc = MFCCTransformer(sample_rate=rate).fit_transform(sounds.data)
    value = standard_svm().fit(mfcc[train], labels[train]).score(mfcc[test], labels[test])
    yield {"system": "MFCC-120 + SVM", "measure": "accuracy", "value": value}


def without(sounds, label):
    """Split of ESC-10 with a class held out of training.

    Parameters
    ----------
    sounds : Bunch
        The set.
    label : str
        The class.

    Returns
    -------
    train, test : ndarray of int
        Rows: the other classes in four of the folds; those in the fifth, and all of this class.
    """
    odd = np.asarray(sounds.labels) == label
    train, test = sounds.splits[-1]
    return train[~odd[train]], np.concatenate([test[~odd[test]], np.flatnonzero(odd)])


def anomaly(label, seconds):
    """Rows of the areas under the curve (AUC) for a class that was held out of training."""
    sounds, rate = load("esc10")
    train, test = without(sounds, label)
    odd = np.asarray(sounds.labels)[test] == label
    heard, clips = [sounds.data[i] for i in train], [sounds.data[i] for i in test]
    wavenet, training = trained(heard, rate, seconds)
    yield {"system": "WaveNet", "measure": "minutes of one core", "value": training.minutes()}
    likely = {f"WaveNet, {k}": v for k, v in _likely(wavenet, clips, rate).items()}
    extractors = {
        "MFCC-120": MFCCTransformer(sample_rate=rate),
        "vgg": RandomCNNTransformer(sample_rate=rate, random_state=0),
        "WaveNet features": wavenet,
    }
    for name, extractor in extractors.items():
        if extractor is not wavenet:
            extractor.fit(heard)
        forest = IsolationForest(random_state=0).fit(extractor.transform(heard))
        likely[f"IsolationForest, {name}"] = forest.score_samples(extractor.transform(clips))
    for system, scores in likely.items():
        yield {"system": system, "measure": "AUC", "value": roc_auc_score(odd, -scores)}


def _likely(wavenet, clips, rate):
    """How likely each clip is, in bits per sample, by several rules."""
    waves = [read_audio(clip, rate) for clip in clips]
    n = round(PIECE * rate)
    pieces = [wave[i : i + n] for wave in waves for i in range(0, len(wave) - n + 1, n)]
    scores = wavenet.score_samples(pieces) / n / np.log(2)
    counts = np.cumsum([len(wave) // n for wave in waves])[:-1]
    each = np.split(scores, counts)
    whole = np.array([some.mean() for some in each])
    flac = [_coders.flac_bits(_coders.classes_of(w) - 128, rate) / len(w) for w in waves]
    return {
        "mean of seconds": whole,
        "least likely second": np.array([some.min() for some in each]),
        # noise is unlikely, yet usual: what another coder needs, too, says how complex a sound is
        "mean + FLAC's bits": whole + np.array(flac),
    }


def sampled(seconds, folder):
    """Rows of sampled digits: how many are recognised, and how far they are from real ones.

    The clips and their picture are written to a folder.
    """
    sounds, rate = load("fsdd")
    train, test = official(sounds)
    labels = np.asarray(sounds.labels)
    wavenet, training = trained(
        [sounds.data[i] for i in train], rate, seconds, y=labels[train], conditions="label"
    )
    yield {"system": "WaveNet", "measure": "minutes of one core", "value": training.minutes()}
    mfcc = MFCCTransformer(sample_rate=rate).fit([sounds.data[i] for i in train])
    features = mfcc.transform(sounds.data)
    svm = standard_svm().fit(features[train], labels[train])
    real = svm.score(features[test], labels[test])
    yield {"system": "real digits", "measure": "recognised", "value": real}
    wanted = np.repeat(np.unique(labels), PER_DIGIT)
    length = round(DIGIT_SECONDS * rate)
    clips = {"real digits": [_fitted(sounds.data[i], rate, length) for i in test]}
    for temperature in (1.0, 0.8, 0.6):
        name = f"sampled, temperature {temperature}"
        clips[name] = wavenet.sample(
            len(wanted), length, y=wanted, temperature=temperature, random_state=0
        )
        share = (svm.predict(mfcc.transform(clips[name])) == wanted).mean()
        yield {"system": name, "measure": "recognised", "value": share}
    rng = np.random.default_rng(0)
    clips["white noise"] = [*rng.normal(0, 0.1, (20, length)).clip(-1, 1)]
    known = [_fitted(sounds.data[i], rate, length) for i in train]
    clips["digits of the training"] = known[:20]
    for system, some in clips.items():
        value = np.median(nearest(some, known, rate))
        yield {"system": system, "measure": "dB to the nearest real digit", "value": value}
    chosen = clips["sampled, temperature 0.8"][::PER_DIGIT]
    folder.mkdir(parents=True, exist_ok=True)
    for digit, clip in zip(np.unique(labels), chosen, strict=True):
        soundfile.write(folder / f"digit_{digit}.wav", clip, rate, subtype="PCM_16")
    titles = [f"sampled {digit}" for digit in np.unique(labels)]
    picture(chosen, titles, rate).savefig(folder / "digits.png", dpi=100)


def _fitted(clip, rate, length):
    """Wave of a clip, cut or filled with silence to so many samples."""
    wave = read_audio(clip, rate)[:length]
    return np.pad(wave, (0, length - len(wave)))
