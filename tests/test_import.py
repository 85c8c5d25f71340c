"""`import skaudio` is quick and brings nothing heavy; no module imports itself by way of others."""

import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

import skaudio
from tests.import_graph import cycle, graph, imports, modules, reached

SOURCES = modules(Path(skaudio.__file__).parent)
EDGES = graph(SOURCES)
STAGES = {
    "_functionals": 0,  # serves stages 4 and 5, and needs `_tensors`
    "_mulaw": 0,
    "audio": 1,
    "_audio": 1,
    "batching": 2,
    "frontends": 3,
    "_frontends": 3,
    "networks": 4,
    "pooling": 5,
}
# what decodes and resamples sound files
READERS = {"soundfile", "soxr"}


def test_import_brings_nothing_heavy():
    code = "import sys, skaudio; print({'torch', 'librosa', 'sklearn', 'numpy'} & {*sys.modules})"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == "set()"


def test_import_is_quick():
    def seconds(code):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return time.perf_counter() - begin

    # the best of several, against a bare interpreter: other work on the machine only adds
    bare = min(seconds("pass") for _ in range(5))
    assert min(seconds("import skaudio") for _ in range(5)) - bare < 0.1


def test_every_public_name_is_there():
    for name in skaudio.__all__:
        assert getattr(skaudio, name) is not None


# --- which module imports which ------------------------------------------------------------------


def package(**sources):
    """Sources of a package p, whose __init__ is ``p``; two underscores stand for a dot."""
    names = {name.replace("__", "."): source for name, source in sources.items()}
    return {
        name: (source, any(other.startswith(f"{name}.") for other in names))
        for name, source in names.items()
    }


@pytest.mark.parametrize(
    ("sources", "circle"),
    [
        ({"p": "", "p__a": "from . import b", "p__b": "from .a import x"}, {"p.a", "p.b"}),
        ({"p": "", "p__a": "import p.b", "p__b": "def f():\n  from p import a"}, {"p.a", "p.b"}),
        ({"p": "from .a import x", "p__a": "from . import x"}, {"p", "p.a"}),
        ({"p": "attach('p', submodules=['a'])", "p__a": "import p"}, {"p", "p.a"}),
        ({"p": "attach('p', submod_attrs={'a': ['x']})", "p__a": "import p"}, {"p", "p.a"}),
        (
            {"p": "", "p__q": "from . import a", "p__q__a": "from .. import b",
             "p__q__c": "", "p__b": "from .q.c import x"},
            {"p.q", "p.q.a", "p.b"},
        ),
        ({"p": "from .a import x", "p__a": "from . import b", "p__b": "import os"}, set()),
        ({"p": "attach('p', submodules=['a', 'b'])", "p__a": "from . import b", "p__b": ""}, set()),
        (
            {"p": "", "p__a": "from . import b",
             "p__b": "if typing.TYPE_CHECKING:\n  from . import a\nelse:\n  import torch"},
            set(),
        ),
    ],
)  # fmt: skip
def test_circles_are_found(sources, circle):
    edges = graph(package(**sources))
    found = cycle(edges)
    assert {*found} == circle
    assert all(after in edges[before] for before, after in pairwise(found))


def test_no_module_imports_itself_by_way_of_others():
    assert len(EDGES) > 90 and len(EDGES["skaudio"]) > 15
    found = cycle(EDGES)
    assert not found, " imports ".join(found)


def test_saving_is_the_top_floor():
    assert [name for name in EDGES if "skaudio.saving" in EDGES[name]] == ["skaudio"]
    assert {"skaudio.elm", "skaudio.extractors", "skaudio.compare"} <= reached(
        "skaudio.saving", EDGES
    )


def stage_of(name):
    return STAGES.get(name.split(".")[1])


STAGED = [name for name in EDGES if name.count(".") and stage_of(name) is not None]


def outside(name):
    """Packages that a module imports, other than skaudio and those of Python itself."""
    source, is_package = SOURCES[name]
    found = {imported.partition(".")[0] for imported in imports(name, source, is_package)}
    return found - {"skaudio"} - sys.stdlib_module_names


@pytest.mark.parametrize("name", STAGED)
def test_a_stage_imports_only_stages_to_its_left(name):
    # a file below them all may serve several stages: it imports nothing else of the library
    behind = {n for n in reached(name, EDGES) if EDGES[n] or stage_of(n) is not None}
    wrong = [n for n in behind if stage_of(n) is None or stage_of(n) > stage_of(name)]
    assert not wrong, f"{name} (stage {stage_of(name)}) imports {', '.join(sorted(wrong))}"


@pytest.mark.parametrize("name", STAGED)
def test_stages_need_torch_and_numpy_alone(name):
    below = {n for n in reached(name, EDGES) if stage_of(n) is None}
    used = set().union(*map(outside, {name, *below}))
    allowed = {"numpy", "torch"} | (READERS if stage_of(name) == 1 else set())
    assert used <= allowed, f"{name} uses {', '.join(sorted(used - allowed))}"
