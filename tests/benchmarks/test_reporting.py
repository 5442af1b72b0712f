"""What a run tells: the table, the plot, and whether a bar was missed."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks.compare import COLUMNS, Row
from benchmarks.figures import Bar, Figure
from benchmarks.machine import describe
from benchmarks.report import BEGIN, END, OURS, README, Result, as_json, as_markdown, peers_as_text, write, write_readme

SVG = "{http://www.w3.org/2000/svg}"


def result(**values: float) -> Result:
    figures = [Figure(key, f"the measure {key}", values.get(key, 0.5), Bar(1)) for key in OURS.values()]
    figures.append(Figure("rate", "a rate", values.get("rate", 0.99), Bar(0.97, at_least=True)))
    peers = [Row("slow<er", "2.0", {"RS256": 3.0, "new": 4.0}), Row("absent", "", {}, "not installed: No module")]
    return Result(describe(), "quick", figures, peers)


def test_a_table_says_which_bar_was_missed_and_which_was_not() -> None:
    lines = as_markdown(result(stream=1.5, rate=0.5)).splitlines()
    assert "| the measure stream | ≤ 1 | 1.500 | missed |  |" in lines
    assert "| the measure added_new | ≤ 1 | 0.500 | ok |  |" in lines
    assert "| a rate | ≥ 0.97 | 0.500 | missed |  |" in lines


def test_a_peer_that_is_not_there_stands_in_every_table_with_its_reason() -> None:
    for text in (as_markdown(result()), peers_as_text(result())):
        assert "not installed: No module" in text
    (absent,) = [peer for peer in json.loads(as_json(result()))["peers"] if peer["name"] == "absent"]
    assert absent["reason"] == "not installed: No module"


def test_json_has_every_digit_and_every_verdict() -> None:
    measures = {each["key"]: each for each in json.loads(as_json(result(stream=1.23456)))["measures"]}
    assert (measures["stream"]["value"], measures["stream"]["ok"]) == (1.23456, False)
    assert (measures["rate"]["bar"], measures["rate"]["at_least"], measures["rate"]["ok"]) == (0.97, True, True)


def test_the_machine_is_described_without_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.node", lambda: "secret-host")
    told = describe()
    assert told["python"].startswith("CPython 3.")
    assert "secret-host" not in str(told)


def test_the_plot_is_an_svg_with_a_bar_for_each_figure_and_us_set_apart(tmp_path: Path) -> None:
    write(result(), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"speed.md", "speed.json", "speed.svg"}
    svg = ET.parse(tmp_path / "speed.svg").getroot()
    groups = [group for group in svg.iter(f"{SVG}g") if group.get("class") == "ours"]
    assert [len(list(group.iter(f"{SVG}rect"))) for group in groups] == [2, 2], "two panels, two columns"
    assert "slow<er" in [text.text for text in svg.iter(f"{SVG}text")]


def test_the_readme_changes_between_its_two_marks_alone(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nan older table\n{END}\nafter\n")
    write_readme(result(), readme)
    text = readme.read_text()
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "older" not in text
    assert "| a rate | ≥ 0.97 | 0.990 | ok |" in text

    readme.write_text("no marks")
    with pytest.raises(ValueError, match="lacks"):
        write_readme(result(), readme)
    assert BEGIN in README.read_text(encoding="utf-8"), "the project's own has them"


@pytest.mark.parametrize(
    ("arguments", "missed", "status"), [([], True, 0), (["--check"], True, 1), (["--check"], False, 0)]
)
def test_check_fails_where_a_bar_is_missed(
    arguments: list[str],
    missed: bool,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(command, "run", lambda *_, **__: result(stream=2.0 if missed else 0.5))
    monkeypatch.setattr("sys.argv", ["benchmarks", "--quick", *arguments])
    try:
        command.main()
        ended = 0
    except SystemExit as end:
        ended = int(str(end.code))
    assert ended == status
    printed = capsys.readouterr()
    assert ("missed: the measure stream: 2.000, bar ≤ 1" in printed.err) == missed
    assert all(column in printed.out for column in COLUMNS)
