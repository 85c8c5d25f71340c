"""Settings of the documentation, built by `make docs`."""

import csv
from pathlib import Path

import skaudio
from skaudio.compare import read_rows

project = "skaudio"
author = "the skaudio developers"
copyright = f"2026, {author}"
version = release = skaudio.__version__

# No intersphinx: the documentation builds without a network.
extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "examples"]
templates_path = ["_templates"]
default_role = "py:obj"

autosummary_generate = True
numpydoc_show_class_members = False  # the class template lists the members
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "within_subsection_order": "ExampleTitleSortKey",
    "capture_repr": (),  # what an example says, it prints
    "min_reported_time": 3600,
    "write_computation_times": False,
    "download_all_examples": False,
    "notebook_extensions": set(),
    "show_signature": False,
}

html_theme = "pydata_sphinx_theme"
html_title = f"skaudio {version}"
html_theme_options = {
    "show_prev_next": False,
    "secondary_sidebar_items": [],  # makes room for lines of code
}
html_show_sourcelink = False


# The sets of the benchmark, and what they are called in the tables.
SETS = {
    "fsdd": "digits",
    "esc10": "environment",
    "emodb_2s": "emotion",
    "fsd_instruments10": "instruments",
    "emotify_genres": "genres",
    "folk_rhythm_rendered": "rhythm",
}


def write_tables(app):
    """Turn the benchmark's rows into one table for each classifier, in percent."""
    here = Path(__file__).parent
    rows = read_rows(here.parent / "benchmarks" / "results" / "compare.csv")
    folder = here / "guide" / "generated"
    folder.mkdir(exist_ok=True)
    for classifier in ("SVM", "ELM"):
        some = [row for row in rows if row.classifier == classifier]
        best = {data: max(row.accuracy for row in some if row.data == data) for data in SETS}
        lines = {row.extractor: {} for row in some}
        for row in some:
            text = f"{100 * row.accuracy:.1f}"
            lines[row.extractor][row.data] = (
                f"**{text}**" if row.accuracy == best[row.data] else text
            )
        lines["(chance)"] = {row.data: f"{100 * row.chance:.1f}" for row in some}
        path = folder / f"compare_{classifier.lower()}.csv"
        with open(path, "w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["", *SETS.values()])
            table.writerows(
                [name, *(line.get(data, "") for data in SETS)] for name, line in lines.items()
            )


def setup(app):
    """Have the tables written before the pages are read."""
    app.connect("builder-inited", write_tables)
