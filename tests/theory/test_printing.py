"""Quantities as text and as LaTeX: exact forms, brackets where they are needed, nothing ambiguous."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory import early_alignment as ea
from theory import printing
from theory import quantity as q
from theory.quantity import Quantity, quantity, var

a, b, c = var("a"), var("b"), var("c")
w, x, v, f = var("w", "jk"), var("x", "ik"), var("v", "j"), var("f", "i")
half = quantity(Fraction(1, 2))

FORMS: list[tuple[Quantity, str, str]] = [
    (a + b, "a + b", "a + b"),
    (a - b, "a - b", "a - b"),
    (-a, "-a", "-a"),
    ((a + b) * c, "(a + b)·c", r"\left(a + b\right)\,c"),
    (a * b * c, "a·b·c", r"a\,b\,c"),
    (a / b, "a/b", r"\frac{a}{b}"),
    (a / (b * c), "a/(b·c)", r"\frac{a}{b\,c}"),
    ((a + b) / c, "(a + b)/c", r"\frac{a + b}{c}"),
    (a**2, "a²", "a^{2}"),
    ((a + b) ** 2, "(a + b)²", r"\left(a + b\right)^{2}"),
    (a ** Fraction(1, 2), "a^(1/2)", "a^{1/2}"),
    (half * a, "1/2·a", r"\tfrac{1}{2}\,a"),
    (quantity(-2) * a, "(-2)·a", r"\left(-2\right)\,a"),
    (q.PI * a, "π·a", r"\pi\,a"),
    (q.sqrt(var("h")), "√h", r"\sqrt{h}"),
    (q.sqrt(a + b), "√(a + b)", r"\sqrt{a + b}"),
    (q.qabs(a - b), "|a - b|", "|a - b|"),
    (q.amax(q.sqnorm(w), "j"), "max_j ‖w_j‖²", r"\max_{j} \|w_{j}\|^2"),
    (q.amin(q.norm(x), "i"), "min_i ‖x_i‖", r"\min_{i} \|x_{i}\|"),
    (q.total(v**2, "j"), "Σ_j v_j²", r"\sum_{j} v_{j}^{2}"),
    (q.specnorm(w), "‖W‖₂", r"\|W\|_2"),
    (q.inner(w, x), "⟨w_j, x_i⟩", r"\langle w_{j}, x_{i}\rangle"),
    (q.relu(q.inner(w, x)), "σ(⟨w_j, x_i⟩)", r"\sigma\left(\langle w_{j}, x_{i}\rangle\right)"),
    (q.step(a), "1[a > 0]", r"\mathbf{1}[a > 0]"),
    (q.log(a / b), "log(a/b)", r"\log\left(\frac{a}{b}\right)"),
    (q.acos(a), "arccos(a)", r"\arccos\left(a\right)"),
    (q.expm1(a), "expm1(a)", r"\operatorname{expm1}\left(a\right)"),
    (q.sign(a), "sign(a)", r"\operatorname{sign}\left(a\right)"),
    (q.maximum(a, b), "max(a, b)", r"\max\left(a, b\right)"),
    (q.project_out(w, x), "P⊥[x_i](w_j)", r"P^\perp_{x_{i}}\left(w_{j}\right)"),
    (ea.eps * ea.mu, "ε·μ", r"\varepsilon\,\mu"),
    (ea.X_max, "X_max", r"X_{\max}"),
    (ea.loss, "L", r"\mathcal{L}"),
    (var("gy", "i"), "(g - y)_i", "(g-y)_{i}"),
]


@pytest.mark.parametrize("expression,text,latex", FORMS, ids=[form[1] for form in FORMS])
def test_forms(expression: Quantity, text: str, latex: str) -> None:
    assert printing.text(expression) == str(expression) == text
    assert printing.latex(expression) == latex


def test_relations() -> None:
    assert str(a <= b) == "a ≤ b"
    assert str(a < b) == "a < b"
    assert str(a >= b) == "b ≤ a"
    assert printing.relation_latex(a <= b) == r"a \le b"


# -- what is printed means what was built ---------------------------------------------------------------------------
ATOMS = st.one_of(
    st.sampled_from([a, b]),
    st.integers(-3, 3).map(quantity),
    st.fractions(-2, 2, max_denominator=5).map(quantity),
)


def _grow(inside: st.SearchStrategy[Quantity]) -> st.SearchStrategy[Quantity]:
    binary: list[Callable[[Quantity, Quantity], Quantity]] = [
        lambda u, w: u + w,
        lambda u, w: u - w,
        lambda u, w: u * w,
        lambda u, w: u / w,
    ]
    return st.one_of(
        st.tuples(st.sampled_from(binary), inside, inside).map(lambda p: p[0](p[1], p[2])),
        inside.map(lambda u: -u),
        inside.map(lambda u: u**2),
        inside.map(lambda u: q.qabs(u)),
    )


def value(expression: Quantity, at: dict[str, Fraction]) -> Fraction:
    """The exact value."""
    args = [value(arg, at) for arg in expression.args]
    if expression.op == "rat":
        return Fraction(expression.label)
    if expression.op == "var":
        return at[expression.label]
    if expression.op == "pow":
        return args[0] ** int(expression.label)
    return {
        "add": lambda: args[0] + args[1],
        "mul": lambda: args[0] * args[1],
        "div": lambda: args[0] / args[1],
        "neg": lambda: -args[0],
        "abs": lambda: abs(args[0]),
    }[expression.op]()


def read(text: str, at: dict[str, Fraction]) -> Fraction:
    """The exact value of what a reader sees, by the usual rules of precedence."""
    code = text.replace("·", "*").replace("²", "**2")
    while re.search(r"\|[^|]*\|", code):  # bars do not nest in what is generated here
        code = re.sub(r"\|([^|]*)\|", r"abs(\1)", code)
    code = re.sub(r"\b(\d+)\b(?<!\*\*2)", r"F(\1)", code).replace("**F(2)", "**2")
    return eval(code, {"F": Fraction, "abs": abs, **at})


@given(st.recursive(ATOMS, _grow, max_leaves=7).filter(lambda e: str(e).count("|") <= 2))
def test_text_reads_as_what_was_built(expression: Quantity) -> None:
    at = {"a": Fraction(7, 11), "b": Fraction(-13, 5)}
    try:
        expected = value(expression, at)
    except ZeroDivisionError:
        return
    assert read(str(expression), at) == expected, str(expression)


@given(st.recursive(ATOMS, _grow, max_leaves=7))
def test_latex_is_balanced(expression: Quantity) -> None:
    tex = printing.latex(expression)
    assert tex.count("{") == tex.count("}")
    assert tex.count(r"\left(") == tex.count(r"\right)")
