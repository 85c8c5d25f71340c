"""Tables and picture of benchmarks/speed.py."""

from skaudio.plotting._style import COLOURS, new_panels

OURS, LOWER, PLAIN = "skaudio", "skaudio, bfloat16", "plain torch"
COLUMNS = ("question", "work", "threads", "way", "median", "low", "high", "limit")


def works(rows):
    """Group rows.

    Parameters
    ----------
    rows : list of dict
        Values, or text, of `COLUMNS`.

    Returns
    -------
    works : dict
        By question, then by work and threads, then by way: {q: {(work, threads): {way: row}}}.
    """
    grouped = {}
    for row in rows:
        row = row | {name: float(row[name]) for name in COLUMNS[4:]}
        some = grouped.setdefault(row["question"], {})
        some.setdefault((row["work"], row["threads"]), {})[row["way"]] = row
    return grouped


def report(works):
    """Write all tables.

    Parameters
    ----------
    works : dict
        Of `works`.

    Yields
    ------
    line : str
        Of Markdown.
    """
    for question, some in works.items():
        ways = [*dict.fromkeys(way for rows in some.values() for way in rows)]
        yield from ("", f"## {question}", "")
        if question == "machine":
            yield "| | threads | median | range |"
            yield "|---|---:|---:|---:|"
            for (work, threads), rows in some.items():
                row = rows["rate"]
                yield f"| {work} | {threads} | {row['median']:.0f} | {_range(row)} |"
            continue
        others = [way for way in ways if way != OURS]
        yield "| | threads | skaudio, s | range | limit / skaudio |" + "".join(
            f" {way} / skaudio |" for way in others
        )
        yield "|---|---:|---:|---:|---:|" + "---:|" * len(others)
        for (work, threads), rows in some.items():
            ours = rows[OURS]
            line = [work, threads, f"{ours['median']:.3g}", _range(ours)]
            line.append(f"{ours['limit'] / ours['median']:.2f}")
            for way in others:
                times = rows[way]["median"] / ours["median"] if way in rows else None
                line.append("" if times is None else f"{times:.2f}")
            yield "| " + " | ".join(map(str, line)) + " |"


def _range(row):
    return f"{row['low']:.3g} to {row['high']:.3g}"


def plot(works):
    """Draw the fraction of the limit that each way reaches, with the most threads.

    Parameters
    ----------
    works : dict
        Of `works`.

    Returns
    -------
    figure : Figure
        One panel.
    """
    shown = ("networks", "gpu", "mfcc", "files", "training", "elm", "start")
    lines = []
    for question in shown:
        some = works.get(question, {})
        most = max((threads for _, threads in some), default=None, key=int)
        for (work, threads), rows in some.items():
            if threads == most:
                label = work if question == "networks" else f"{question}: {work}"
                lines.append((label, {way: r["limit"] / r["median"] for way, r in rows.items()}))
    (ax,) = new_panels(None, 1, most=1, width=8.5, height=1.2 + 0.42 * len(lines))
    marked = {OURS: COLOURS[0], LOWER: COLOURS[4], PLAIN: COLOURS[1], "Keras": COLOURS[3]}
    seen = set()
    for y, (_, shares) in enumerate(lines):
        for way, share in shares.items():
            colour = marked.get(way, COLOURS[6])
            label = way if way in marked else "others"
            ax.plot(share, y, "o" if way == OURS else "D", color=colour,
                    label=None if label in seen else label)  # fmt: skip
            seen.add(label)
    ax.set_yticks(range(len(lines)), [label for label, _ in lines])
    ax.axvline(1, color="black", linewidth=1)
    ax.set(xlabel="share of the limit (time of the limit / time)", xscale="log")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.grid(axis="x", which="both", alpha=0.3)
    ax.invert_yaxis()
    ax.legend(fontsize=8)
    return ax.figure
