"""The example of the README prints what the README says it prints."""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_example_prints_what_stands_below_it(data_dir, monkeypatch, capsys):
    text = README.read_text(encoding="utf-8")
    code, printed = re.search(
        r"<!-- tests/test_readme.py.*?```python\n(.*?)```\s+```text\n(.*?)```", text, re.DOTALL
    ).groups()
    monkeypatch.chdir(data_dir / "fsdd")
    exec(compile(code, str(README), "exec"), {})
    assert capsys.readouterr().out == printed
