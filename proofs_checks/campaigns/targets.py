"""What a campaign measures: statements and conjectures, found again in every process by name."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from hypothesis.strategies import SearchStrategy

from proofs_checks import registry
from proofs_checks.campaigns.models import MODELS, Model
from proofs_checks.campaigns.rules import Rule
from proofs_checks.campaigns.spec import Value, nearest
from proofs_checks.conjectures.conjecture import Conjecture
from theory.errors import LemmataError
from theory.linear_networks import IMBALANCE_FLOW_RELU
from theory.statement import Statement
from theory.user_file import load, run

if TYPE_CHECKING:
    from proofs_checks.conjectures.targets import Target

FACTORIES = (
    "CASES"  # in a file: name of a conjecture -> function of the axes that returns a strategy
)
USAGE = "FILE.py::NAME"


@dataclass(frozen=True)
class Named:
    """One target.

    Attributes:
        name: as in the results. source: id, or the absolute path of a file with ``::NAME``. digest: SHA-256 of the
            file, empty for registered statements.
    """

    name: str
    source: str
    digest: str = ""

    def find(self) -> Target:
        """The statement or conjecture.

        Raises:
            LemmataError: it is unknown in this process, or its file is another one now.
        """
        path, separator, _ = self.source.rpartition("::")
        if separator and _digest(path) != self.digest:
            raise LemmataError(
                f"{path} is not the file with which the campaign was started; restore it, or use a new folder"
            )
        return _find(self.source, self.digest)

    def strategy(self, values: Mapping[str, Value]) -> SearchStrategy[Any]:
        """The strategy of a conjecture at a point.

        Raises:
            LemmataError: the file's factory fails there, or returns no strategy.
        """
        found = self.find()
        factory = _factory(self.source, self.digest)
        if factory is None:
            if not isinstance(found, Conjecture):
                raise LemmataError(f"{self.name} is no conjecture; its cases come from its model")
            return found.case
        made = run(lambda: factory(**values), f"{FACTORIES}[{self._own!r}]")
        if not isinstance(made, SearchStrategy):
            raise LemmataError(
                f"{FACTORIES}[{self._own!r}] returns {made!r:.60}, which is no strategy"
            )
        return made

    @property
    def _own(self) -> str:
        return self.source.rpartition("::")[2]

    def rules(self) -> dict[str, Rule]:
        """The axes of a conjecture: the parameters of its factory."""
        factory = _factory(self.source, self.digest)
        if factory is None:
            return {}
        names = {}
        for p in inspect.signature(factory).parameters.values():
            if p.kind not in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY):
                raise LemmataError(
                    f"{FACTORIES}[{self._own!r}]: give its parameters names, without *"
                )
            names[p.name] = Rule(None, text=f"of {FACTORIES}[{self._own!r}]")
        return names

    def required(self) -> list[str]:
        """Parameters of the factory without a default."""
        factory = _factory(self.source, self.digest)
        known = inspect.signature(factory).parameters.values() if factory else ()
        return [p.name for p in known if p.default is p.empty]


@dataclass(frozen=True)
class Group:
    """Targets that are measured on the same cases: statements about one model, or one conjecture.

    Attributes:
        model: key of `proofs_checks.campaigns.models.MODELS`, empty for a conjecture. losses: of the statements.
    """

    targets: tuple[Named, ...]
    model: str = ""
    losses: tuple[str, ...] = ()

    def to_data(self) -> dict[str, Any]:
        """Plain data; see `read_group`."""
        return {
            "targets": [[t.name, t.source, t.digest] for t in self.targets],
            "model": self.model,
            "losses": list(self.losses),
        }

    def try_out(self, values: Mapping[str, Value], seed: int) -> None:
        """Draw one case of a conjecture and trace it, so that mistakes show before the work starts.

        Raises:
            LemmataError: it cannot be evaluated, or it has free constants.
        """
        if self.model:
            return
        from proofs_checks.campaigns.draws import draw_cases

        (target,) = self.targets
        found = target.find()
        missing = [name for name in target.required() if name not in values]
        if missing:
            raise LemmataError(
                f"{target.name}: {FACTORIES}[...] needs {missing[0]}; make it an axis, or give it a default"
            )
        if not isinstance(found, Conjecture):
            raise LemmataError(f"{target.name} is no conjecture")
        (case,) = draw_cases(target.strategy(values), 1, seed)
        constants = found.trace(case).constants
        if constants:
            raise LemmataError(
                f"{target.name} has the free constant {next(iter(constants))!r}: it claims nothing for a single value; "
                "put a number there, or search for its best value with `lemmata refute`"
            )


def read_group(data: Mapping[str, Any]) -> Group:
    """The inverse of `Group.to_data`."""
    targets = tuple(Named(*t) for t in data["targets"])
    return Group(targets, data["model"], tuple(data["losses"]))


def resolve(specs: Sequence[str], folder: Path) -> tuple[Group, ...]:
    """The targets that a campaign names, grouped by the cases that they share.

    Args:
        folder: what paths of files are relative to.

    Raises:
        LemmataError: unknown, named twice, or of a model for which no cases can be made.
    """
    named = [n for spec in specs for n in _named(spec, folder)]
    names = [n.name for n in named]
    twice = next((n for k, n in enumerate(names) if n in names[:k]), None)
    if twice is not None:
        raise LemmataError(f"target {twice} is named twice; leave one out, or rename its file")
    groups: dict[tuple[Any, ...], list[Named]] = {}
    for n in named:
        found = n.find()
        key: tuple[Any, ...] = (n.name,)
        if isinstance(found, Statement):
            model = "neurons" if found.claim == IMBALANCE_FLOW_RELU.claim else found.setting.model
            if model not in MODELS:
                raise LemmataError(
                    f"{n.name} speaks of the model {model!r}, of which a campaign can make no cases; it has to be one "
                    f"of {', '.join(MODELS)}, or write it as a conjecture"
                )
            key = (model, found.setting.losses)
        groups.setdefault(key, []).append(n)
    return tuple(
        Group(tuple(own), key[0] if len(key) == 2 else "", key[1] if len(key) == 2 else ())
        for key, own in groups.items()
    )


def rules_of(groups: Sequence[Group], axes: Sequence[str]) -> dict[str, Rule]:
    """The rules of the axes of a campaign; every axis has to be one of every group.

    Raises:
        LemmataError: it is not; the message lists the axes.
    """
    out: dict[str, Rule] = {}
    for group in groups:
        model = MODELS.get(group.model, Model("", {}))
        known = dict(model.axes) if group.model else group.targets[0].rules()
        what = (
            f"the model {group.model}" if group.model else f"the conjecture {group.targets[0].name}"
        )
        for axis in axes:
            if axis not in known:
                listed = nearest(axis, list(known))
                hint = "" if group.model or known else _no_factory(group.targets[0])
                raise LemmataError(f"{axis} is no axis of {what}; {listed}{hint}")
        for pair in model.exclusive:
            if set(pair) <= set(axes):
                raise LemmataError(f"{pair[0]} and {pair[1]} exclude each other; leave one out")
        for axis, rule in known.items():
            other = out.setdefault(axis, rule)
            if axis in axes and other.kind is not rule.kind:
                raise LemmataError(
                    f"{axis} means different things for the targets; make a campaign for each"
                )
    return out


def _no_factory(target: Named) -> str:
    own = target.source.rpartition("::")[2]
    return (
        f" (a conjecture has axes where its file says {FACTORIES} = {{{own!r}: function}}, a function of the axes that "
        "returns a strategy)"
    )


def _named(spec: str, folder: Path) -> list[Named]:
    path_text, separator, name = spec.rpartition("::")
    if not separator:
        if spec.endswith(".py"):
            raise LemmataError(f"{spec}: name what to measure, {spec}::NAME")
        return [Named(s.id, s.id) for s in registry.resolve([spec])]
    path = (folder / path_text).absolute()
    return [Named(f"{path.name}::{name}", f"{path}::{name}", _digest(str(path)))]


def _digest(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        raise LemmataError(
            f"{path} cannot be read: {error.strerror}; workers need the file at the same place"
        ) from error


@cache
def _find(source: str, digest: str) -> Target:
    if "::" not in source:
        return registry.statement(source)
    from proofs_checks.conjectures.targets import find

    return find(source)


@cache
def _module(path: str, digest: str) -> ModuleType:
    return load(path, USAGE)


def _factory(source: str, digest: str) -> Any:
    """The function of the axes that returns the strategy of a conjecture; None if its file has none."""
    path, separator, name = source.rpartition("::")
    if not separator:
        return None
    factories = getattr(_module(path, digest), FACTORIES, {})
    if not isinstance(factories, Mapping):
        raise LemmataError(f"{path}: {FACTORIES} = {factories!r:.60}: make it a dictionary")
    factory = factories.get(name)
    if factory is not None and not callable(factory):
        raise LemmataError(f"{path}: {FACTORIES}[{name!r}] is no function")
    return factory
