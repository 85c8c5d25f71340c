"""The examples of the README print what the README says they print."""

import re
from pathlib import Path

import pytest
from joblib.externals.loky import get_reusable_executor

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture
def examples(data_dir, tmp_path, monkeypatch):
    """Code and output of the examples that need the recordings, in a folder that has these."""
    (tmp_path / "recordings").symlink_to(data_dir / "fsdd" / "recordings")
    monkeypatch.chdir(tmp_path)
    get_reusable_executor().shutdown()  # workers of earlier tests are in another folder
    return blocks()[1:]


def blocks():
    """Code and output of all examples."""
    text = README.read_text(encoding="utf-8")
    pattern = r"<!-- tests/test_readme.py.*?```python\n(.*?)```\s+```text\n(.*?)```"
    return re.findall(pattern, text, re.DOTALL)


def run(code):
    exec(compile(code, str(README), "exec"), {})


def test_first_example_runs_as_it_stands(capsys):
    code, printed = blocks()[0]
    run(code)
    assert capsys.readouterr().out == printed


def test_example_prints_what_stands_below_it(examples, capsys):
    code, printed = examples[0]
    run(code)
    assert capsys.readouterr().out == printed


def test_training_example_prints_as_many_lines(examples, capsys):
    preparation, (code, printed) = examples[0][0].partition("pipe =")[0], examples[1]
    for what, less in (("max_minutes=2", "max_minutes=0.02"), ("LeaveOneGroupOut()", "2")):
        assert what in code
        code = code.replace(what, less)
    run(preparation + code)
    shape = re.compile(r"(c|z) +\d\.\d\d\n")
    assert len(shape.findall(capsys.readouterr().out)) == len(shape.findall(printed)) == 2
    assert len([*Path("trainings").iterdir()]) == 3  # two folds and all
