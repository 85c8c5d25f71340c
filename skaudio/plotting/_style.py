"""Helpers of all displays: colours, fonts for names in any script, figures of several panels."""

import math
import unicodedata
import warnings
from contextlib import contextmanager
from functools import lru_cache

import numpy as np

# The colours of Okabe and Ito, without yellow, which is faint on white. They can be distinguished
# with all common kinds of colour vision; hatches and markers double their number.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#999999")
HATCHES = ("", "////", "....", "xxxx")
MARKERS = ("o", "s", "^", "X", "D", "v", "P", "<", ">", "p", "h", "*")

_FONTS = ("Noto Sans", "Hiragino", "Microsoft", "Malgun", "PingFang", "Source Han", "WenQuanYi")
_BLANK = ("Last Resort", "LastResort", ".LastResort", "Adobe Blank")  # all glyphs are boxes
_LONGEST = 32  # characters of a name; CJK characters count twice


@contextmanager
def readable(**names):
    """Draw names of any script within this context: with fonts that have their glyphs.

    A name that no installed font can draw, which would come out as boxes, gets a stand-in such as
    "class 3", and a warning says so. Long names lose their middle.

    Parameters
    ----------
    **names : list of str
        By kind, for instance ``class_=["dog", "cat"]``; the stand-ins are called after it.

    Yields
    ------
    shown : dict of str to str
        What to write for each name.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    """
    matplotlib = _matplotlib()
    everything = {char for group in names.values() for name in group for char in name}
    # spaces, and marks that join or direct their neighbours, have no glyph of their own
    missing = {ord(c) for c in everything if unicodedata.category(c) not in ("Cf", "Zs")}
    families, missing = _families(missing)
    shown, stand_ins = {}, []
    for kind, group in names.items():
        for number, name in enumerate(group, start=1):
            shown[name] = _shortened(name)
            if missing & {*map(ord, name)}:
                shown[name] = f"{kind.strip('_')} {number}"
                stand_ins.append(f"{shown[name]} = {name}")
    if stand_ins:
        warnings.warn(
            f"No installed font can draw some names, so the picture calls them otherwise: "
            f"{', '.join(stand_ins)}. Install a font that has them, such as Noto Sans CJK for "
            "Chinese, Japanese and Korean.",
            stacklevel=4,
        )
    # a dollar sign in a name does not begin a formula
    with matplotlib.rc_context({"font.family": families, "text.parse_math": False}):
        yield shown


def text_width(text):
    """Return the width of a text.

    Parameters
    ----------
    text : str
        One line.

    Returns
    -------
    width : int
        In Latin characters; CJK characters are twice as wide.
    """
    return sum(1 + (unicodedata.east_asian_width(char) in "WF") for char in text)


def _shortened(name):
    """Return a name of at most _LONGEST characters; the middle of a longer one is cut out."""
    if text_width(name) <= _LONGEST:
        return name
    head = tail = ""
    for i in range(len(name)):
        if text_width(head + tail) >= _LONGEST - 2:
            break
        if i % 5 < 3:
            head = name[: len(head) + 1]
        else:
            tail = name[len(name) - len(tail) - 1 :]
    return f"{head}…{tail}"


def _families(missing):
    """Return font families, the usual ones first, and the characters that none of them has."""
    from matplotlib import font_manager, rcParams

    families = [*rcParams["font.family"]]
    missing = missing - _glyphs(font_manager.findfont(font_manager.FontProperties()))
    if missing:
        fonts = {
            font.name: font.fname
            for font in font_manager.fontManager.ttflist
            if font.style == "normal" and not font.name.startswith(_BLANK)
        }
        # fonts with many scripts first, since reading hundreds of fonts takes seconds
        for name in sorted(fonts, key=lambda name: (not name.startswith(_FONTS), name)):
            found = missing & _glyphs(fonts[name])
            if found:
                families.append(name)
                missing = missing - found
            if not missing:
                break
    return families, missing


@lru_cache(maxsize=4096)
def _glyphs(path):
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):  # a font that was removed or is damaged
        return frozenset()


def _matplotlib():
    try:
        import matplotlib.pyplot
    except ImportError as error:
        raise ImportError(
            "Plotting needs matplotlib, which is not installed; run `pip install skaudio[plot]`."
        ) from error
    return matplotlib


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
    plt = _matplotlib().pyplot
    n_rows = math.ceil(n / most)
    n_columns = math.ceil(n / n_rows)
    size = (margin + n_columns * width, n_rows * height)
    figure, axes = plt.subplots(
        n_rows, n_columns, figsize=size, layout="constrained", squeeze=False, **options
    )
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)  # inches
    for spare in axes.flat[n:]:
        spare.remove()
    for lowest in axes.flat[n - n_columns : n]:  # also where the panel below is missing
        lowest.tick_params(labelbottom=True)
    return axes.ravel()[:n]
