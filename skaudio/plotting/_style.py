"""What the displays share: colours, and a figure of panels."""

import math

import numpy as np

# Okabe and Ito's colours (without yellow, which is faint on white): told apart with any
# common kind of colour vision. Hatches and markers double them.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#999999")
HATCHES = ("", "////", "....", "xxxx")
MARKERS = ("o", "s", "^", "X", "D", "v", "P", "<", ">", "p", "h", "*")


def new_panels(ax, n, *, most, width, height, margin=0.0, **options):
    """Axes for n panels: the user's own for one panel, or those of a new figure.

    Parameters
    ----------
    ax : matplotlib Axes or None
        The user's.
    n : int
        Number of panels.
    most : int
        Panels side by side at most; the rows are filled evenly.
    width, height : float
        Size of a panel, inches.
    margin : float
        Width beside all panels, for names, inches.
    **options
        For `matplotlib.pyplot.subplots`.

    Returns
    -------
    axes : ndarray of shape (n,), object
        The axes.

    Raises
    ------
    ValueError
        If there is one axes for several panels.
    ImportError
        If matplotlib is missing.
    """
    if ax is not None:
        if n > 1:
            raise ValueError(f"One axes cannot hold {n} panels; pass ax=None for a new figure.")
        return np.array([ax])
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "Plotting needs matplotlib, which is not installed; run `pip install skaudio[plot]`."
        ) from error

    n_rows = math.ceil(n / most)
    n_columns = math.ceil(n / n_rows)
    size = (margin + n_columns * width, n_rows * height)
    figure, axes = plt.subplots(
        n_rows, n_columns, figsize=size, layout="constrained", squeeze=False, **options
    )
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)  # inches
    for spare in axes.flat[n:]:
        spare.remove()
    for lowest in axes.flat[n - n_columns : n]:  # also above a place that stays free
        lowest.tick_params(labelbottom=True)
    return axes.ravel()[:n]
