"""Statements by id, by prefix and from a user's file; mistakes are answered with the nearest name."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from proofs_checks import registry
from theory import early_alignment as ea
from theory.errors import LemmataError

USER = """
from fractions import Fraction
from theory.quantity import amax, quantity, sqnorm, var
from theory.statement import Domain, Kind, Part, Source, Statement

MINE = Statement(
    id="mine/bounded", title="Norms stay below 1", kind=Kind.INEQUALITY, source=Source("here", "now"),
    hypotheses=(),
    parts=(Part("norms", amax(sqnorm(var("w", "jk")), "j") <= 1, Domain(quantity(0), quantity(1), "for t <= 1")),),
)
NUMBER = 3
"""


@pytest.fixture
def user_file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(USER, encoding="utf-8")
    return path


def test_every_statement_of_the_topic_is_registered_in_order() -> None:
    assert list(registry.all_statements().values())[: len(ea.STATEMENTS)] == list(ea.STATEMENTS)
    assert registry.statement("early-alignment/norm-bound") is ea.NORM_BOUND


def test_a_prefix_stands_for_all_of_its_topic() -> None:
    assert registry.resolve(["early-alignment"]) == list(ea.STATEMENTS)
    assert registry.resolve(["early-alignment/"]) == list(ea.STATEMENTS)


def test_ids_are_not_repeated_and_keep_their_order() -> None:
    found = registry.resolve(
        ["early-alignment/low-rank", "early-alignment", "early-alignment/low-rank"]
    )
    assert found[0] is ea.LOW_RANK
    assert sorted(s.id for s in found) == sorted(s.id for s in ea.STATEMENTS)


def test_a_prefix_ends_at_a_slash() -> None:
    with pytest.raises(LemmataError, match="did you mean early-alignment"):
        registry.resolve(["early-align"])
    with pytest.raises(LemmataError, match="did you mean early-alignment/final-phase"):
        registry.resolve(["early-alignment/final"])


@pytest.mark.parametrize(
    "wrong,right",
    [
        ("early-alignment/norm-bond", "early-alignment/norm-bound"),
        ("early-alignmnt/low-rank", "early-alignment/low-rank"),
        ("early-alignemnt", "early-alignment"),
    ],
)
def test_the_nearest_name_is_suggested(wrong: str, right: str) -> None:
    for call in (registry.statement, lambda i: registry.resolve([i])):
        with pytest.raises(LemmataError) as caught:
            call(wrong)
        assert str(caught.value) == f"unknown statement {wrong!r}; did you mean {right}?"


@pytest.mark.parametrize("wrong", ["qqqq", "", "7"])
def test_where_nothing_is_near_the_list_is_recommended(wrong: str) -> None:
    with pytest.raises(LemmataError, match="see `lemmata list`"):
        registry.statement(wrong)


def test_a_statement_from_a_file(user_file: Path) -> None:
    found = registry.statement(f"{user_file}::MINE")
    assert found.id == "mine/bounded"
    assert [s.id for s in registry.resolve([f"{user_file}::MINE", "early-alignment/low-rank"])] == [
        "mine/bounded",
        "early-alignment/low-rank",
    ]
    # looking at a file registers nothing
    assert "mine/bounded" not in registry.all_statements()


@pytest.mark.parametrize(
    "spec,message",
    [
        ("{dir}/none.py::MINE", "no such file; give FILE.py::NAME"),
        ("{dir}::MINE", "no such file; give FILE.py::NAME"),
        ("{dir}/mine.txt::MINE", "is no Python file; give FILE.py::NAME"),
        ("{dir}/mine.py::OTHER", "has no statement 'OTHER'; it has: MINE"),
        ("{dir}/mine.py::NUMBER", "has no statement 'NUMBER'; it has: MINE"),
        ("{dir}/mine.py::", "has no statement ''; it has: MINE"),
        ("{dir}/empty.py::MINE", "has no statement 'MINE'; it has: none"),
        ("{dir}/broken.py::MINE", "does not run: ZeroDivisionError"),
        ("{dir}/syntax.py::MINE", "does not run: SyntaxError"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(user_file: Path, spec: str, message: str) -> None:
    folder = user_file.parent
    for name, content in {
        "mine.txt": USER,
        "empty.py": "",
        "broken.py": "1 / 0",
        "syntax.py": "def",
    }.items():
        (folder / name).write_text(content, encoding="utf-8")
    with pytest.raises(LemmataError, match=message):
        registry.statement(spec.format(dir=folder))


# -- plugins --------------------------------------------------------------------------------------------------------
EXTRA = replace(ea.LOW_RANK, id="plugin/extra")
TWICE = (ea.LOW_RANK,)
NOT_A_STATEMENT = ("hello",)
HERE = "lemmata_test_plugin"


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """``install(EXTRA,)``: an entry point that loads these objects; undone afterwards."""
    import sys
    import types

    def put(content: object) -> None:
        module = types.ModuleType(HERE)
        module.statements = content  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, HERE, module)
        point = EntryPoint("extra", f"{HERE}:statements", registry.GROUP)
        monkeypatch.setattr(
            registry, "entry_points", lambda group: [point] if group == registry.GROUP else []
        )
        registry.all_statements.cache_clear()

    yield put
    monkeypatch.undo()
    registry.all_statements.cache_clear()


def test_a_package_registers_statements(install) -> None:  # type: ignore[no-untyped-def]
    install((EXTRA,))
    assert registry.statement("plugin/extra") is EXTRA
    assert registry.resolve(["plugin"]) == [EXTRA]


def test_the_same_id_twice_is_refused(install) -> None:  # type: ignore[no-untyped-def]
    install(TWICE)
    with pytest.raises(
        LemmataError,
        match=f"{HERE}:statements registers early-alignment/low-rank a second time; choose",
    ):
        registry.all_statements()


def test_what_is_no_statement_is_refused(install) -> None:  # type: ignore[no-untyped-def]
    install(NOT_A_STATEMENT)
    with pytest.raises(LemmataError, match="registers 'hello', which is no Statement"):
        registry.all_statements()


def test_a_plugin_that_does_not_load_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("gone", "no_such_module_here:statements", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    registry.all_statements.cache_clear()
    try:
        with pytest.raises(
            LemmataError, match=r"plugin gone .* does not load: .*; repair or uninstall it"
        ):
            registry.all_statements()
    finally:
        registry.all_statements.cache_clear()


def test_what_a_file_prints_stays_out_of_the_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "loud.py"
    path.write_text("print('hello')\nfrom theory.early_alignment import NORM_BOUND as MINE\n")
    assert registry.statement(f"{path}::MINE").id == "early-alignment/norm-bound"
    printed = capsys.readouterr()
    assert printed.out == "" and "hello" in printed.err
