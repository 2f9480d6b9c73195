"""The conservation laws of a model, with certificates that the audit kernel has accepted."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from proofs_checks.audit import audit_text
from proofs_checks.audit.core import MAX_BYTES
from proofs_checks.certificate import Certificate
from proofs_checks.files import write_json
from proofs_checks.law_certificates import count_certificate, law_certificate
from theory.conservation.analysis import STAGES, Analysis, analyse
from theory.conservation.builders import with_mirror
from theory.conservation.laws import scaled_gradient
from theory.conservation.model import Law, Model
from theory.conservation.special import (
    SpecialPoint,
    at_point,
    is_defined,
    parse_point,
    read_rational,
)
from theory.conservation.specs import parse_spec
from theory.errors import LemmataError

Progress = Callable[[int], None]
LOSSES = ("cross-entropy",)
STEPS = len(STAGES) + 1
ONE_FILE_EACH = 4 << 20  # characters; beyond, restating the model in every file would be a burden


@dataclass(frozen=True)
class LawsReport:
    """The laws of a model, bounds on their number, and what was audited.

    Attributes:
        spec: as the user gave it. analysis: laws and bounds. special: the user's point, if one was given.
        certificates: file name -> certificate, each accepted by the audit kernel.
        rigor: "proved" if the kernel accepts all certificates; None where one is beyond its limits (not in
            ``certificates``; ``remark`` says which). remark: what else should be known.
        seconds: wall-clock time, audit included.
    """

    spec: str
    analysis: Analysis
    special: SpecialPoint | None
    certificates: dict[str, Certificate]
    rigor: str | None
    remark: str
    seconds: float

    @property
    def count(self) -> int | None:
        """The number of independent laws near a generic point, where both bounds meet."""
        return self.analysis.count

    @property
    def laws(self) -> tuple[Law, ...]:
        """A basis of all laws of the ansatz."""
        return self.analysis.laws

    @property
    def text(self) -> str:
        """The answer, what it rests on, and what else should be known; one line each."""
        a = self.analysis
        lower, upper = a.rests_on
        lines = [
            f"{self.spec}: {a.text}",
            f"  at least {a.lower}: {lower}",
            f"  at most {a.upper}: {upper}",
            f"  all laws of degree {'at most ' if a.mixed else ''}{a.degree}: a space of dimension {len(a.laws)}",
        ]
        lines += [f"  scope: {a.model.scope}"] if a.model.scope else []
        lines += [f"  {self.remark}"] if self.remark else []
        lines += [f"  {self.special.text}"] if self.special is not None else []
        return "\n".join(lines)

    def to_json(self, folder: Path | None = None) -> dict[str, Any]:
        """Plain data; ``folder`` is where the certificates lie, if they were written."""
        a = self.analysis
        model = a.model
        lower, upper = a.rests_on
        data: dict[str, Any] = {
            "spec": self.spec,
            "parameters": model.size,
            "variables": list(model.field_variables),
            "lie_dimension": {
                "lower": a.lie.rank,
                "prime": a.lie.prime,
                "complete": a.lie.complete,
            },
            "laws": {"lower": a.lower, "upper": a.upper, "count": a.count},
            "rests_on": {"lower": lower, "upper": upper},
            "generic": True,
            "scope": model.scope,
            "degree": a.degree,
            "mixed": a.mixed,
            "polynomials": [
                {
                    "text": law.text(model.field_variables),
                    "latex": law.latex(model.field_latex),
                    "degree": model.degree_of(law),
                    "independent": flag,
                    "name": law.name,
                }
                for law, flag in zip(a.laws, a.independent, strict=True)
            ],
            "linear_dimension": len(a.laws),
            "rigor": self.rigor,
            "remark": self.remark,
            "certificates": [] if folder is None else [str(folder / n) for n in self.certificates],
            "seconds": self.seconds,
        }
        if self.special is not None:
            s = self.special
            data["point"] = {
                "coordinates": [str(x) for x in s.point],
                "lie_dimension": s.dimension,
                "complete": s.complete,
                "loss": s.loss,
                "laws_rank": s.laws_rank,
                "text": s.text,
            }
        return data

    def write(self, folder: Path) -> None:
        """``laws.json`` and the certificates; each file appears whole or not at all."""
        for name, certificate in self.certificates.items():
            certificate.write(folder / name)
        write_json(folder / "laws.json", self.to_json(Path()))


def model_of(
    spec: str,
    *,
    bias: bool = False,
    momentum: str | int | Fraction | None = None,
    mirror: str | None = None,
    loss: str | None = None,
) -> Model:
    """The model that a specification and its options name.

    Args:
        spec: such as ``linear:5,4,5`` or ``model.py:phi``. bias: hidden biases. momentum: friction τ >= 0 of the heavy
            ball. mirror: name of a metric. loss: "cross-entropy" for losses whose gradients on the outputs sum to 0.

    Raises:
        LemmataError: anything unknown or contradictory, or too large to build.
    """
    if loss is not None and loss not in LOSSES:
        raise LemmataError(
            f"unknown loss {loss!r}: use {', '.join(LOSSES)}, or leave it out for arbitrary losses"
        )
    model = parse_spec(spec, bias=bias)
    if mirror is not None:
        model = with_mirror(model, mirror)
    if momentum is not None:
        model = model.with_momentum(_friction(momentum))
    if loss is not None:
        model = model.with_cross_entropy()
    return model


def laws(
    spec: str | Model,
    *,
    degree: int | None = None,
    mixed: bool | None = None,
    bias: bool = False,
    momentum: str | int | Fraction | None = None,
    mirror: str | None = None,
    loss: str | None = None,
    point: Sequence[str | int | Fraction] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> LawsReport:
    """All polynomial conservation laws of a model's gradient flow up to a degree, and how many there can be.

    Args:
        spec: see `model_of`; or a `Model`, to which bias, momentum, mirror and loss do not apply.
        degree: K; mixed: degrees 1 to K, not K alone. By default where the model's known laws lie.
        point: a rational θ at which to look for a loss of dimension. seed: of the random points and primes.
        progress: called with 1 after each of `STEPS` steps.

    Raises:
        LemmataError: bad input, an ansatz beyond the memory, or a certificate that the kernel rejects.
    """
    start = time.perf_counter()
    options = {"bias": bias, "momentum": momentum, "mirror": mirror, "loss": loss}
    if isinstance(spec, Model):
        given = [name for name, value in options.items() if value not in (None, False)]
        if given:
            raise LemmataError(f"{given[0]} does not apply to a finished model; change the model")
        model = spec
    else:
        model = model_of(spec, bias=bias, momentum=momentum, mirror=mirror, loss=loss)
    coordinates = None if point is None else parse_point(point, model)
    stages = 0

    def stage(_: str) -> None:
        nonlocal stages
        if progress is not None and stages:
            progress(1)
        stages += 1

    analysis = analyse(model, degree=degree, mixed=mixed, seed=seed, progress=stage)
    stage("auditing")
    special = None
    if coordinates is not None:
        slopes = [scaled_gradient(law) for law in analysis.laws if is_defined(law, coordinates)]
        special = at_point(
            model,
            coordinates,
            generic=analysis.lie.rank,
            words=analysis.lie.words,
            gradients=slopes,
        )
    certificates, rigor, beyond = _audit(_certificates(analysis))
    stage("")
    return LawsReport(
        spec if isinstance(spec, str) else model.spec,
        analysis,
        special,
        certificates,
        rigor,
        "; ".join(filter(None, (analysis.remark, beyond))),
        time.perf_counter() - start,
    )


def _friction(value: str | int | Fraction) -> Fraction:
    tau = read_rational(value)
    if tau is None or tau < 0:
        raise LemmataError(
            f"momentum {str(value)[:40]!r}: the friction τ is a rational number >= 0, such as 1/2"
        )
    return tau


def _certificates(analysis: Analysis) -> dict[str, Certificate]:
    """One for every law (one for all where the model is large), and one for the count."""
    a, out = analysis, {}
    if a.laws:
        size = sum(map(len, a.model.phi)) * 16 * len(a.laws)  # a term is about 16 characters
        width = len(str(len(a.laws)))
        if size <= ONE_FILE_EACH:
            for k, law in enumerate(a.laws, 1):
                out[f"law-{k:0{width}}.json"] = law_certificate(a.model, [law])
        else:
            out["law-all.json"] = law_certificate(a.model, a.laws)
    out["law-count.json"] = count_certificate(
        a.model,
        lower_laws=[law for law, flag in zip(a.laws, a.independent, strict=True) if flag],
        law_rank=(a.law_prime, a.law_point),
        words=a.lie.words,
        lie_rank=(a.lie.prime, a.lie.point),
        upper=a.upper,
    )
    return out


def _audit(
    certificates: dict[str, Certificate],
) -> tuple[dict[str, Certificate], str | None, str]:
    """The certificates that the kernel accepts, "proved" if that is all, and which are beyond its limits.

    Its limits of size and time are no rejection of the claim; what exceeds them is not handed out.

    Raises:
        LemmataError: the kernel rejects one.
    """
    accepted, remarks = {}, []
    for name, certificate in certificates.items():
        text = certificate.to_json()
        if len(text) > MAX_BYTES:
            remarks.append(f"{name} would be longer than {MAX_BYTES} bytes")
            continue
        found = audit_text(text)
        if found.accepted:
            accepted[name] = certificate
        elif "not re-derived within" in found.reason:
            remarks.append(f"{name}: {found.reason}")
        else:
            raise LemmataError(
                f"the audit kernel rejects {name}: {found.reason}; this is a bug, please report it"
            )
    if remarks:
        return accepted, None, f"beyond the limits of the audit kernel: {'; '.join(remarks)}"
    return accepted, "proved", ""
