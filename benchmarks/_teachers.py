"""Jobs of selfsupervised.py about PASE: which teacher teaches what, and sound that is distorted."""

from functools import partial

import _sets
import numpy as np
from _noisy import CONDITIONS, heard
from _probes import MARKS, RATE, Phones, accuracy, fit

from skaudio import MFCCTransformer, PASETransformer, RandomCNNTransformer
from skaudio.plotting._style import COLOURS, new_panels
from skaudio.workers import TINY

POOLING = ("mean_std", "pyramid")
TRAINED = {"PASE": None, "PASE, distorted in training": "pase+"}


def jobs(phones, fewer, digits, emotion):
    """Make all jobs about PASE.

    Parameters
    ----------
    phones, fewer, digits, emotion : int
        Updates of each training, of those with a teacher left out, and on each set.

    Returns
    -------
    jobs : dict of str to callable
        By name; each gives rows.
    """
    made = {"phones pase baselines": _phones_untrained}
    made |= {f"phones {name}": partial(_phones, phones, name) for name in TRAINED}
    for worker in TINY:
        made[f"phones pase without {worker}"] = partial(_phones_without, fewer, worker)
    made["phones pase with all, as long"] = partial(_phones_without, fewer, None)
    for fold in range(6):
        made[f"digits pase {fold}"] = partial(_digits, digits, fold)
    for fold in range(5):
        made[f"emotion pase {fold}"] = partial(_emotion, emotion, fold)
        made[f"emotion baselines {fold}"] = partial(_emotion_baselines, fold)
    return made


def _score(phones, pase):
    """Accuracy of the probe, whose frames lie where those of the encoder do."""
    return phones.accuracy(pase.transform_frames(phones.clips), pase.frame_times(RATE)[0])


def _phones_untrained():
    phones = Phones()
    untrained = PASETransformer(max_epochs=0, random_state=0).fit(phones.training)
    yield {"features": "untrained PASE", "value": _score(phones, untrained)}


def _phones(updates, name):
    phones = Phones()
    pase, trained = fit(PASETransformer, phones.training, updates, MARKS, distortions=TRAINED[name])
    yield {"features": name, "measure": "minutes of one core", "value": trained.minutes()}
    yield {"features": f"trained {name}", "value": _score(phones, pase)}
    for minutes, weights in trained.states:
        pase.weights_ = weights
        curve = {"curve": "minutes", "x": minutes}
        yield {**curve, "features": name, "value": _score(phones, pase)}


def _phones_without(updates, worker):
    phones = Phones()
    workers = [name for name in TINY if name != worker]
    pase, _ = fit(PASETransformer, phones.training, updates, workers=workers)
    name = "PASE, all teachers" if worker is None else f"PASE without {worker}"
    yield {"features": name, "value": _score(phones, pase)}


def _digits(updates, fold):
    """Train on five speakers, joining words of the same speaker only; none is held out."""
    sounds = _sets.load("fsdd")
    train = sounds.splits[fold][0]
    untrained = PASETransformer(pooling=POOLING, max_epochs=0, random_state=0).fit(sounds.data)
    pase, trained = fit(
        PASETransformer,
        [sounds.data[i] for i in train],
        updates,
        groups=sounds.groups[train],
        validation_fraction=0.0,
        pooling=POOLING,
    )
    yield {"features": "PASE", "measure": "minutes of one core", "value": trained.minutes()}
    for name, extractor in {"untrained": untrained, "trained": pase}.items():
        features = extractor.transform(sounds.data)
        names = extractor.get_feature_names_out()
        usual = np.array([n.endswith(("_mean", "_std")) for n in names])
        yield {"features": f"{name} PASE", "value": accuracy(sounds, fold, features[:, usual])}
        both = accuracy(sounds, fold, features)
        yield {"features": f"{name} PASE with a pyramid", "value": both}


def _emotion(updates, fold):
    sounds = _sets.load("emodb_2s")
    train = sounds.splits[fold][0]
    clips, speakers = [sounds.data[i] for i in train], sounds.groups[train]
    for name, distortions in TRAINED.items():
        pase, _ = fit(PASETransformer, clips, updates, groups=speakers, distortions=distortions)
        yield from _robust(sounds, fold, name, pase)


def _emotion_baselines(fold):
    sounds = _sets.load("emodb_2s")
    extractors = {
        "untrained PASE": PASETransformer(max_epochs=0, random_state=0),
        "MFCC-120": MFCCTransformer(sample_rate=RATE),
        "vgg": RandomCNNTransformer(sample_rate=RATE, random_state=0),
    }
    for name, extractor in extractors.items():
        yield from _robust(sounds, fold, name, extractor.fit(sounds.data))


def _robust(sounds, fold, name, extractor):
    """Accuracy where the classifier has heard clean sound, and the test clips are or are not."""
    features = extractor.transform(sounds.data)
    test = [sounds.data[i] for i in sounds.splits[fold][1]]
    for condition in CONDITIONS:
        clips = extractor.transform(heard(test, condition, RATE))
        value = accuracy(sounds, fold, features, clips)
        yield {"features": f"{name}, {condition}", "value": value}


def plot(rows):
    """Draw what leaving out a teacher costs, and what noise and rooms cost.

    Parameters
    ----------
    rows : list of dict
        Of all jobs.

    Returns
    -------
    figure : matplotlib Figure
        Two panels.
    """
    axes = new_panels(None, 2, most=2, width=5.5, height=3.6, margin=1.0)
    found = {}
    for row in rows:
        if not row["curve"] and row["measure"] == "accuracy":
            found.setdefault((row["task"], row["features"]), []).append(float(row["value"]))
    means = {key: np.mean(values) for key, values in found.items()}
    taught = {w: means.get(("phones", f"PASE without {w}")) for w in TINY}
    taught = {worker: value for worker, value in taught.items() if value is not None}
    axes[0].barh([*taught], [*taught.values()], color=COLOURS[0])
    whole = means.get(("phones", "PASE, all teachers"))
    if whole is not None:
        axes[0].axvline(whole, color=COLOURS[1], label="all teachers")
        axes[0].legend(fontsize=8)
    if taught:
        axes[0].set_xlim(min(taught.values()) - 0.05)
    axes[0].set(title="phones, one teacher left out", xlabel="accuracy")
    names = dict.fromkeys(f.rpartition(", ")[0] for task, f in means if task == "emotion")
    for k, condition in enumerate(CONDITIONS):
        values = [means.get(("emotion", f"{name}, {condition}"), np.nan) for name in names]
        places = np.arange(len(names)) + 0.25 * k
        axes[1].barh(places, values, 0.25, color=COLOURS[k], label=condition)
    axes[1].set_yticks(np.arange(len(names)) + 0.25, [*names])
    axes[1].set(title="emotions, heard by who was trained on clean sound", xlabel="accuracy")
    axes[1].legend(fontsize=8)
    return axes[0].figure
