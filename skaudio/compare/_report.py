"""What a comparison leaves behind: pictures, and the winner learnt from all clips."""

import os

from sklearn.base import clone
from sklearn.pipeline import Pipeline

from ._run import fit_classifier


def save_pictures(rows, best, names, folder):
    """Draw the chart of all rows and the confusion matrix of the best.

    Parameters
    ----------
    rows : list of ComparisonRow
        All rows of one set.
    best : ComparisonRow
        The winner.
    names : list of str
        Names of the classes, sorted.
    folder : Path
        Where ``compare.png`` and ``confusion.png`` are put.

    Returns
    -------
    text : str
        Where they are, or what to do where matplotlib is missing.
    """
    from ..plotting import ComparisonDisplay

    try:
        chart = ComparisonDisplay.from_rows(rows).plot()
    except ImportError:
        return "none, matplotlib is not installed; run `pip install skaudio[plot]`"
    import matplotlib.pyplot as plt

    pictures = {"compare.png": chart.figure_, "confusion.png": _confusions(best, names)}
    for name, figure in pictures.items():
        figure.savefig(folder / name, dpi=150)
        plt.close(figure)
    return ", ".join(str(folder / name) for name in pictures)


def _confusions(row, names):
    """Figure of the confusion matrix, in percent of each true class."""
    import matplotlib.pyplot as plt
    import numpy as np
    from sklearn.metrics import ConfusionMatrixDisplay

    counts = np.array(row.confusion)
    percent = 100 * counts / counts.sum(axis=1, keepdims=True)
    side = 2.2 + 0.45 * len(names)
    figure, ax = plt.subplots(figsize=(side + 0.8, side), layout="constrained")
    ConfusionMatrixDisplay(percent, display_labels=names).plot(
        ax=ax, cmap="Blues", values_format=".0f", xticks_rotation="vertical", im_kw={"vmin": 0}
    )
    ax.set(xlabel="taken for", ylabel="is")
    ax.set_title(f"{row.extractor} + {row.classifier}: percent of each class")
    return figure


def save_winner(path, extractor, classifier, X, y, *, groups=None, random_state=0):
    """Fit the winner on all clips and save it.

    Parameters
    ----------
    path : Path
        The file, with suffix ``.skops``.
    extractor, classifier, X, y, groups, random_state : object
        As for `refit`.

    Returns
    -------
    text : str
        How to use it, or what to do where skops is missing.
    """
    try:
        import skops.io
    except ImportError:
        return "winner not saved, skops is not installed; run `pip install skaudio[save]`"
    pipeline = refit(extractor, classifier, X, y, groups=groups, random_state=random_state)
    unfinished = path.with_name(path.name + ".part")
    skops.io.dump(pipeline, unfinished)
    os.replace(unfinished, path)
    return (
        f"use it:    from skaudio import load\n"
        f"           pipeline = load({str(path)!r})\n"
        f'           pipeline.predict(["new_recording.wav"])'
    )


def refit(extractor, classifier, X, y, *, groups=None, random_state=0):
    """Fit an extractor and a classifier on all clips.

    Parameters
    ----------
    extractor : transformer
        Cloned.
    classifier : classifier
        Cloned. `TunedSVM` and `TunedELM` choose their settings in `inner_folds` of all clips; the
        plain classifier with these settings then stands in the pipeline.
    X : list of clips
        All clips.
    y : array-like of shape (n_clips,)
        Their classes; names, for the pipeline to answer with names.
    groups : array-like of shape (n_clips,), default=None
        What the folds keep apart.
    random_state : int, default=0
        For extractor and classifier.

    Returns
    -------
    pipeline : Pipeline
        Fitted: extractor, then the steps of the classifier.
    """
    extractor, classifier = clone(extractor), clone(classifier)
    for estimator in (extractor, classifier):
        if "random_state" in estimator.get_params(deep=False):
            estimator.set_params(random_state=random_state)
    Z = extractor.fit(X, y).transform(X)
    fitted = fit_classifier(classifier, Z, y, groups)
    if hasattr(fitted, "chosen"):
        fitted = fitted.chosen().fit(Z, y)
    steps = fitted.steps if isinstance(fitted, Pipeline) else [("classifier", fitted)]
    return Pipeline([("extractor", extractor), *steps])
