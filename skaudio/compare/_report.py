"""Results of a comparison: pictures, and the winner fitted to all clips."""

import warnings

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from ._features import told_blocks
from ._rows import completed
from ._run import fit_classifier, seed_parameters
from ._winner import winning_score

_CELL = 0.45  # inches, side of a cell
_SIDE = 20.0  # inches, largest side of the matrix; the cells of many classes are smaller
_SMALLEST = 0.3  # inches, smallest cell that its number fits into


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
        Where ``compare.png`` and ``confusion.png`` are written.

    Returns
    -------
    text : str
        Where they are, and what replaces names that no font can draw; or what to do if
        matplotlib is missing.
    """
    from ..plotting import ComparisonDisplay

    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", message="No installed font")
        try:
            chart = ComparisonDisplay.from_rows(rows, score=winning_score(rows)).plot()
        except ImportError:
            return "none, matplotlib is not installed; run `pip install skaudio[plot]`"
        import matplotlib.pyplot as plt

        pictures = {"compare.png": chart.figure_, "confusion.png": _confusions(best, names)}
    for name, figure in pictures.items():
        figure.savefig(folder / name, dpi=150)
        plt.close(figure)
    texts = [str(warning.message) for warning in caught]
    notes = [text for text in texts if text.startswith("No installed font")]
    return "\n           ".join([", ".join(str(folder / name) for name in pictures), *notes])


def _confusions(row, names):
    """Figure of the confusion matrix, in percent of each true class."""
    import matplotlib.pyplot as plt
    from sklearn.metrics import ConfusionMatrixDisplay

    from ..plotting._style import readable, text_width

    counts = np.array(row.confusion)
    percent = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    cell = min(_CELL, _SIDE / len(names))
    with readable(class_=names) as shown:
        labels = [shown[name] for name in names]
        size = min(10, 60 * cell)  # points
        side = cell * len(names) + 0.0075 * size * max(map(text_width, labels))
        title = f"{row.extractor} + {row.classifier}: percent of each class"
        width = max(side + 1.7, 0.1 * len(title))  # the colour bar is beside the matrix
        figure, ax = plt.subplots(figsize=(width, side + 0.9), layout="compressed")
        ConfusionMatrixDisplay(percent, display_labels=labels).plot(
            ax=ax,
            include_values=cell >= _SMALLEST,
            cmap="Blues",
            values_format=".0f",
            xticks_rotation="vertical",
            im_kw={"vmin": 0},
        )
        ax.tick_params(labelsize=size)
        ax.set(xlabel="taken for", ylabel="is")
        figure.suptitle(title)  # centred over the figure: a matrix of two classes is narrower
    return figure


def save_winner(
    path,
    extractor,
    classifier,
    X,
    y,
    *,
    groups=None,
    random_state=0,
    example="new_recording.wav",
):
    """Fit the winner on all clips and save it.

    Parameters
    ----------
    path : Path
        The file, with suffix ``.skops``.
    extractor, classifier, X, y, groups, random_state : object
        As for `refit`.
    example : str, default="new_recording.wav"
        A file for the example in the text.

    Returns
    -------
    text : str
        How to use it, or what to do if skops is missing.
    """
    try:
        import skops.io
    except ImportError:
        return "winner not saved, skops is not installed; run `pip install skaudio[save]`"
    pipeline = refit(extractor, classifier, X, y, groups=groups, random_state=random_state)
    with completed(path) as unfinished:
        skops.io.dump(pipeline, unfinished)
    return (
        f"use it:    from skaudio import load\n"
        f"           pipeline = load({str(path)!r})\n"
        f"           pipeline.predict([{example!r}])"
    )


def refit(extractor, classifier, X, y, *, groups=None, random_state=0):
    """Fit an extractor and a classifier on all clips.

    Parameters
    ----------
    extractor : transformer
        Cloned.
    classifier : classifier
        Cloned. `TunedSVM` and `TunedELM` choose their settings in `inner_folds` of all clips; the
        pipeline holds the plain classifier with these settings.
    X : list of clips
        All clips.
    y : array-like of shape (n_clips,)
        Their classes; if they are names, the pipeline predicts names.
    groups : array-like of shape (n_clips,), default=None
        Groups that must not be on both sides of a fold.
    random_state : int, default=0
        For extractor and classifier.

    Returns
    -------
    pipeline : Pipeline
        Fitted: extractor, then the steps of the classifier.
    """
    extractor, classifier = clone(extractor), clone(classifier)
    for estimator in (extractor, classifier):
        estimator.set_params(**dict.fromkeys(seed_parameters(estimator), random_state))
    Z = extractor.fit(X, y).transform(X)
    fitted = fit_classifier(classifier, Z, y, groups, told_blocks(extractor, Z.shape[1]))
    if hasattr(fitted, "chosen"):
        fitted = fitted.chosen().fit(Z, y)
    steps = fitted.steps if isinstance(fitted, Pipeline) else [("classifier", fitted)]
    return Pipeline([("extractor", extractor), *steps])
