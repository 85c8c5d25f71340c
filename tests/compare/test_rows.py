"""Rows in files and as a table."""

import csv
import json
import math
from dataclasses import asdict, replace

import pytest

from skaudio.compare import ComparisonRow, read_rows, table_lines, write_rows

ROW = ComparisonRow(
    data="dogs",
    extractor="a, with comma",
    classifier="é",
    accuracy=1 / 3,
    accuracy_std=0.0,
    balanced_accuracy=0.25,
    balanced_accuracy_std=0.0,
    chance=0.1,
    draws=1,
    n_features=120,
    seconds_per_hour=20.0,
    configuration="0123456789abcdef",
    confusion=[[3, 1], [0, 5]],
)
SECOND = replace(
    ROW,
    extractor="vgg",
    classifier="SVM",
    accuracy=0.625,
    accuracy_std=0.01,
    balanced_accuracy=1.0,
    draws=3,
    n_features=3585,
    seconds_per_hour=float("inf"),
)


def test_json_there_and_back(tmp_path):
    path = tmp_path / "rows.json"
    write_rows([ROW, SECOND], path)
    assert read_rows(path) == read_rows(str(path)) == [ROW, SECOND]
    assert [item.name for item in tmp_path.iterdir()] == ["rows.json"]
    assert len(path.read_text().splitlines()) == 4  # brackets and a line per row


def test_csv_there_and_back_without_confusions(tmp_path):
    path = tmp_path / "rows.csv"
    write_rows(iter([ROW, SECOND]), path)
    assert read_rows(path) == [replace(row, confusion=None) for row in (ROW, SECOND)]
    assert [item.name for item in tmp_path.iterdir()] == ["rows.csv"]
    with open(path, newline="", encoding="utf-8") as file:
        assert [name for name in asdict(ROW) if name != "confusion"] == next(csv.reader(file))


def test_no_rows_and_no_length(tmp_path):
    for name in ("rows.csv", "rows.json"):
        write_rows([], tmp_path / name)
        assert read_rows(tmp_path / name) == []
        write_rows([replace(ROW, seconds_per_hour=float("nan"))], tmp_path / name)
        (row,) = read_rows(tmp_path / name)
        assert math.isnan(row.seconds_per_hour)


def test_columns_of_other_names_are_left_out(tmp_path):
    line = {**asdict(ROW), "machine": "mine"}
    (tmp_path / "rows.json").write_text(json.dumps([line]))
    assert read_rows(tmp_path / "rows.json") == [ROW]
    with open(tmp_path / "rows.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, line)
        writer.writeheader()
        writer.writerow(line)
    assert read_rows(tmp_path / "rows.csv") == [replace(ROW, confusion=None)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rows.csv", "data,extractor\ndogs,MFCC\n"),
        ("rows.json", "data,extractor\ndogs,MFCC\n"),
        ("rows.json", '[{"data": "dogs"}]'),
        ("rows.json", '{"data": "dogs"}'),
        ("rows.json", "3"),
    ],
)
def test_other_files(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=f"{name} holds no rows of a comparison"):
        read_rows(tmp_path / name)


def test_wrong_number_in_csv(tmp_path):
    write_rows([ROW], tmp_path / "rows.csv")
    (tmp_path / "rows.csv").write_text((tmp_path / "rows.csv").read_text().replace("120", "x"))
    with pytest.raises(ValueError, match=r"rows.csv holds no rows .*'x'"):
        read_rows(tmp_path / "rows.csv")


def test_a_failing_write_keeps_the_file(tmp_path):
    def failing():
        yield ROW
        raise KeyboardInterrupt

    for name in ("rows.csv", "rows.json"):
        write_rows([SECOND], tmp_path / name)
        before = (tmp_path / name).read_bytes()
        with pytest.raises(KeyboardInterrupt):
            write_rows(failing(), tmp_path / name)
        assert (tmp_path / name).read_bytes() == before


def test_table_is_aligned_and_lazy():
    def rows():
        yield replace(ROW, extractor="MFCC", classifier="SVM")
        asked.append("second")
        yield replace(SECOND, seconds_per_hour=1234.56)

    asked = []
    lines = table_lines(rows(), width=12)
    words = ["extractor", "classifier", "accuracy", "balanced", "features", "s/hour"]
    heading = next(lines)
    assert heading.split() == words
    first = next(lines)
    assert not asked
    (second,) = lines
    assert first.split() == ["MFCC", "SVM", "0.333", "0.250", "120", "20.0"]
    assert "0.625 ± 0.010" in second and "1.000 ± 0.000" in second
    assert len(heading) == len(first) == len(second) <= 80
    for word, value in (("classifier", "SVM"), ("accuracy", "0.333"), ("balanced", "0.250")):
        assert heading.index(word) == first.index(value)


def test_two_processes_may_write_one_file(tmp_path):
    path = tmp_path / "rows.json"

    def rows():
        yield ROW
        write_rows([SECOND], path)  # the other one is through in the meantime
        assert read_rows(path) == [SECOND]
        yield SECOND

    write_rows(rows(), path)
    assert read_rows(path) == [ROW, SECOND]
    assert [item.name for item in tmp_path.iterdir()] == ["rows.json"]


def test_a_failing_write_leaves_nothing(tmp_path):
    with pytest.raises(TypeError, match="object is not JSON serializable"):
        write_rows([replace(ROW, data=object())], tmp_path / "rows.json")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("name", ["rows.csv", "rows.json"])
@pytest.mark.parametrize("share", [0, 0.3, 0.6, 0.9])
def test_half_a_file(tmp_path, name, share):
    path = tmp_path / name
    write_rows([ROW, replace(SECOND, versions="torch 2")], path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=f"{name} holds no rows .* delete it, or .*--fresh"):
        read_rows(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [("accuracy", "0.5"), ("draws", 2.5), ("configuration", [1]), ("confusion", 3), ("data", None)],
)
def test_values_of_another_kind(tmp_path, field, value):
    (tmp_path / "rows.json").write_text(json.dumps([{**asdict(ROW), field: value}]))
    with pytest.raises(ValueError, match=f"holds no rows .*{field} is "):
        read_rows(tmp_path / "rows.json")


def test_what_is_no_text(tmp_path):
    (tmp_path / "rows.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"rows.json holds no rows of a comparison"):
        read_rows(tmp_path / "rows.json")


def test_narrow_tables_lose_their_last_columns():
    whole = [*table_lines([ROW, SECOND], width=12)]
    for limit, last in ((80, "s/hour"), (73, "features"), (65, "balanced"), (50, "accuracy")):
        lines = [*table_lines([ROW, SECOND], width=12, limit=limit)]
        assert lines[0].split()[-1] == last
        assert all(len(line) <= limit for line in lines)
        assert [full.startswith(line) for full, line in zip(whole, lines, strict=True)] == 3 * [
            True
        ]
    assert all(len(line) <= 10 for line in table_lines([ROW], width=12, limit=10))
