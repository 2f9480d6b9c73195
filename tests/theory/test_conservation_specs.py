"""Models from text, from sympy and from files: sizes, round trips, and every refusal with its message."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from math import prod
from pathlib import Path

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from theory.conservation import builders
from theory.conservation.laws import first_violation
from theory.conservation.model import Law
from theory.conservation.polynomials import Polynomial
from theory.conservation.specs import FAMILIES, parse_spec
from theory.conservation.symbolic import from_sympy, law_from_sympy, law_to_sympy, load_phi
from theory.errors import LemmataError

x, y, z = sympy.symbols("x y z")
EXAMPLES = {
    "linear": "linear:2,3,2",
    "relu": "relu:2,3,2,2",
    "prelu": "prelu:2,3,2",
    "prelu-learned": "prelu-learned:2,3,2,2",
    "power": "power:2,3,2,3",
    "factorisation": "factorisation:2,3,2",
    "cp": "cp:2,3,4,2",
    "diagonal": "diagonal:3,2",
    "hadamard": "hadamard:2,3",
    "conv": "conv:2,4,3,2",
    "linear-conv": "linear-conv:2,3,2",
    "attention": "attention:3,2",
    "nmf": "nmf:3,2,3",
    "icnn": "icnn:2,3,2",
    "residual": "residual:2,1,2",
}


# -- specs


def test_every_family_has_an_example() -> None:
    assert EXAMPLES.keys() == FAMILIES.keys()


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("spec", EXAMPLES.values())
def test_the_size_is_known_before_building(spec: str, bias: bool) -> None:
    name, _, widths = spec.partition(":")
    family = FAMILIES[name]
    if bias and not family.bias:
        with pytest.raises(LemmataError, match=f"{name} has no biases; drop --bias"):
            parse_spec(spec, bias=True)
        return
    model = parse_spec(spec, bias=bias)
    parameters, terms = family.size(tuple(map(int, widths.split(","))), bias)
    assert model.spec == spec
    assert model.size == parameters
    found = sum(map(len, model.phi))
    assert found <= terms if name == "residual" else found == terms


def test_optional_outputs_of_a_convolution() -> None:
    assert parse_spec("conv:2,4,3").phi == parse_spec("conv:2,4,3,1").phi


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("linera:3,3", "did you mean linear"),
        ("", "unknown model ''"),
        ("transformer", "use one of linear, relu, .*residual, or PATH.py:NAME"),
        ("linear", "linear: no widths; write linear:w0,w1"),
        ("linear:", "'' is no integer"),
        ("linear:3,0,3", "'0' is no integer from 1"),
        ("linear:3,-1", "'-1' is no integer"),
        ("linear:3,1.5", "'1.5' is no integer"),
        ("linear:²,3", "'²' is no integer"),
        ("linear:1000000000000,3", "is no integer from 1"),
        ("linear:3", "1 number given, at least 2 wanted; write linear:"),
        ("relu:3,3", "2 numbers given, at least 3 wanted"),
        ("nmf:1,2", "2 numbers given, 3 wanted; write nmf:n,r,m"),
        ("conv:2,3,4,5,6", "5 numbers given, 3 to 4 wanted"),
        ("conv:3,2,1", "filter_length 3 > input_length 2"),
        ("linear:2000,2000", "4,000,000 parameters and 4,000,000 terms of φ; at most 2,000"),
        ("relu:15,15,15,15,15,15", "1,125 parameters and 11,390,625 terms"),
        ("linear:" + ",".join(["99999999"] * 600), "about 2.* terms of φ"),
        ("linear:" + ",".join(["1"] * 3000), "3,000 widths; at most 2,000"),
        ("power:2,2,2,999999999", "4,000,000,000 terms"),
        ("power:1,1,1,999999999", "exponent 999999999; give one of at most 500"),
        ("hadamard:1,9999999", "exponent 9999999"),
        ("model.py", "give PATH.py:NAME"),
        ("nowhere.py:phi", "no such file"),
    ],
)
def test_bad_specs(spec: str, message: str) -> None:
    with pytest.raises(LemmataError, match=message):
        parse_spec(spec)


def test_bias_on_a_file() -> None:
    with pytest.raises(LemmataError, match="--bias does not apply to a file"):
        parse_spec("model.py:phi", bias=True)


def test_specs_load_no_algebra_system() -> None:
    code = (
        "import sys; from theory.conservation.specs import parse_spec; parse_spec('linear:2,2,2');"
        "sys.exit('sympy' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


# -- sympy


def test_a_polynomial_vector() -> None:
    u, v = sympy.Matrix(2, 2, sympy.symbols("u1:5")), sympy.Matrix(3, 2, sympy.symbols("v1:7"))
    model = from_sympy(u * v.T)
    expected = builders.matrix_factorisation(2, 3, 2)
    assert model.phi == expected.phi
    assert model.variables[:5] == ("u1", "u2", "u3", "u4", "v1")
    assert all(first_violation(law, model.fields) is None for law in expected.named_laws)


def test_parameters_are_sorted_by_number_and_may_be_given() -> None:
    w2, w10 = sympy.symbols("w2 w10")
    assert from_sympy([w10 * w2]).variables == ("w2", "w10")
    model = from_sympy([w10], [w10, x])
    assert model.variables == ("w10", "x")
    assert model.phi == ({(0,): 1},)


def test_every_entry_keeps_its_denominator() -> None:
    """Differences of entries must keep their direction: x/2 - y/3 is not x - y."""
    model = from_sympy([x / 2, y / 3])
    assert (model.phi, model.denominators) == (({(0,): 1}, {(1,): 1}), ({(): 2}, {(): 3}))
    assert model.with_cross_entropy().fields == ({0: {(): 3}, 1: {(): -2}},)
    assert from_sympy([4 * x / 6 - 2 * y]).functions == (({(0,): 2, (1,): -6}, {(): 3}),)
    assert from_sympy([x * y, 2 * x]).denominators == ()


def test_rational_functions_are_reduced() -> None:
    model = from_sympy([(x**2 - y**2) / (2 * x - 2 * y), 1 / x + z])
    half, fraction = model.functions
    assert half == ({(0,): 1, (1,): 1}, {(): 2})
    assert fraction == ({(): 1, (0, 2): 1}, {(0,): 1})
    # x/y depends on the ratio only: x² + y² is conserved
    ratio = from_sympy([x / y])
    assert first_violation(Law({(0, 0): 1, (1, 1): 1}), ratio.fields) is None
    assert first_violation(Law({(0, 0): 1, (1, 1): -1}), ratio.fields) == 0


def test_names_become_identifiers() -> None:
    given = sympy.symbols(r"\theta_1 θ w^{(1)}_{2} 1a x'", seq=True)
    model = from_sympy([prod(given)], given)
    assert model.variables == ("theta_1", "theta", "w_1_2", "x1a", "x")
    clash = sympy.symbols("x' x x+")
    assert from_sympy([prod(clash)], clash).variables == ("x_2", "x", "x_3")


def test_a_metric() -> None:
    model = from_sympy([x * y], metric=[x / 2, y / 3])
    assert model.metric == ((0, 0, {(0,): 3}), (1, 1, {(1,): 2}))
    full = from_sympy([x * y], metric=sympy.Matrix([[1, x], [x, y]]))
    assert full.metric == ((0, 0, {(): 1}), (0, 1, {(0,): 1}), (1, 0, {(0,): 1}), (1, 1, {(1,): 1}))
    for metric, message in (
        ([x], "the metric has 1 entries; give the diagonal"),
        (sympy.Matrix([[1, x], [0, 1]]), "not symmetric"),
        ([0, 0], "the metric is zero"),
        ([1, 1 / x], r"metric entry \(2, 2\): 1/x is not polynomial"),
    ):
        with pytest.raises(LemmataError, match=message):
            from_sympy([x * y], metric=metric)


@pytest.mark.parametrize(
    ("phi", "message"),
    [
        ([x, sympy.sqrt(x)], r"entry 2: sqrt\(x\) has the exponent 1/2; write the base as a power"),
        ([x**y], "a parameter in the exponent"),
        ([sympy.exp(x)], r"exp\(x\) is not polynomial or rational"),
        (
            [x + sympy.sin(y)],
            r"sin\(y\) is not polynomial.*; make it a parameter of its own, f, with the metric",
        ),
        ([sympy.Abs(x)], r"Abs\(x\) has kinks; use path products"),
        ([sympy.Max(x, 0)], "use path products"),
        ([sympy.Function("relu")(x)], "use path products"),
        ([0.1 * x], r"is a float; write Rational\(1, 10\)"),
        ([x, 0.5], r"entry 2: 0.5 is a float; write Rational\(1, 2\)"),
        ([sympy.pi * x], "the constant pi is not rational"),
        ([sympy.sqrt(2) * x], r"the constant sqrt\(2\) is not rational; rescale the parameters"),
        ([sympy.I * x], "the constant I is not rational"),
        ([sympy.zoo], "not finite; look for a division by zero"),
        ([x, x + sympy.oo], "entry 2: .* is not finite"),
        ([x, float("nan")], "is a float"),
        ([1 / ((x + 1) ** 2 - x**2 - 2 * x - 1)], "divides by zero"),
        ([], "φ is empty"),
        ([3, sympy.Rational(1, 2)], "φ has no parameter"),
        (["x*y"], "'x\\*y' is no sympy expression"),
        ([True], "no sympy expression"),
        ([x - x + z - z], "φ has no parameter"),
        ([sympy.Symbol("x", positive=True) * x], "several parameters are called x"),
        ([sympy.Symbol("A", commutative=False)], "no commutative"),
        ([x**100000], "degree 100,000 in the parameters; at most 64"),
        ([x**65], "degree 65 in the parameters; at most 64: give a model of lower degree"),
        ([x * y**64 / z], "degree 65 in the parameters"),
        ([x ** (2**20000)], "a number has more than 1000 digits"),
        ([x + 2**1000000 * x * y], "a number has more than 1000 digits; rescale φ"),
        ([x, 2**1000000], "entry 2: a number has more than 1000 digits"),
        ([x / 10**1001], "a number has more than 1000 digits"),
        ([(10**999 * x + y) ** 5], "a coefficient has more than 1000 digits; rescale φ"),
        (
            [sympy.Mul(sympy.Pow(3, 10**9, evaluate=False), x, evaluate=False)],
            "a coefficient has more than 1000 digits",
        ),
        ([x / 10**900 + y / 11**900], "a coefficient has more than 1000 digits"),
        ([sympy.Float("1e5000") * x], "entry 1: 1.*… is a float; write a rational number"),
        ([sum(sympy.symbols("a:60")) ** 20], "terms when expanded; at most 2,000,000"),
        (sympy.symbols("a:2001"), "2,001 parameters; at most 2,000"),
    ],
)
def test_bad_phi(phi: object, message: str) -> None:
    with pytest.raises(LemmataError, match=message):
        from_sympy(phi)


def test_the_remedy_for_a_sine_works() -> None:
    """φ = sin θ · y in f = sin θ: f' = -(1 - f²) ∂ℓ/∂f conserves log|f² - 1| + y², which is log cos² θ + y²."""
    f = x
    model = from_sympy([f * y], [f, y], metric=[1 - f**2, 1])
    law = Law({(1, 1): 1}, ((1, {(0, 0): 1, (): -1}),))
    assert first_violation(law, model.fields) is None


def test_a_degree_is_judged_after_reduction() -> None:
    model = from_sympy([sum(x / (x + 1) ** k for k in range(1, 14)), x**64])
    assert model.functions[0][1] and max(map(len, model.functions[0][1])) == 13


def test_a_metric_of_too_long_coefficients() -> None:
    metric = [sympy.Rational(1, 10**900), sympy.Rational(1, 11**900)]
    with pytest.raises(LemmataError, match="metric: a coefficient has more than 1000 digits"):
        from_sympy([x * y], metric=metric)


def test_a_symbol_that_is_no_parameter() -> None:
    with pytest.raises(LemmataError, match="y is not among the parameters; add it to symbols"):
        from_sympy([x * y], [x])
    with pytest.raises(LemmataError, match="φ does not depend on any parameter"):
        from_sympy([sympy.Integer(3)], [x])


def test_bad_groups() -> None:
    with pytest.raises(LemmataError, match="groups are disjoint"):
        from_sympy([x, y], groups=[[0, 1], [1]])


coefficients = st.fractions(-3, 3, max_denominator=4)
monomials = st.lists(st.integers(0, 2), max_size=3).map(sorted).map(tuple)
polynomials = st.dictionaries(monomials, coefficients.filter(bool), min_size=1, max_size=4)


@given(polynomials, polynomials)
def test_expressions_are_read_exactly(p: Polynomial, q: Polynomial) -> None:
    symbols = (x, y, z)

    def expression(r: Polynomial) -> sympy.Expr:
        return sum(sympy.Rational(c) * sympy.Mul(*(symbols[i] for i in m)) for m, c in r.items())

    e = (expression(p) * (x + 1) - expression(q)) * expression(p) + x * y * z
    if e.free_symbols:
        ((n, d),) = from_sympy([e], symbols).functions
        assert sympy.cancel(expression(n) / expression(d) - e) == 0


laws = st.dictionaries(monomials, st.integers(-5, 5).filter(bool), min_size=1, max_size=4)


@given(laws, st.lists(st.sampled_from([1, -2, 3]), max_size=2))
def test_laws_round_trip(p: Polynomial, weights: list[int]) -> None:
    model = from_sympy([x * y * z])
    forms: list[Polynomial] = [{(0,): 1, (1,): 1}, {(0,): 1, (2,): -1}]
    law = Law(p, tuple(zip(weights, forms, strict=False)))
    back = law_from_sympy(law_to_sympy(law, model), model)
    assert back.polynomial == law.polynomial
    assert sorted(back.logarithms, key=str) == sorted(law.logarithms, key=str)


def test_a_law_with_rational_coefficients_and_logarithms() -> None:
    u, v, s, t = symbols = sympy.symbols("u v s t", positive=True)
    model = from_sympy([(1 + u * v) * (1 + s * t)], symbols)
    h = (u**2 + v**2) / 4 + sympy.log(u + v) - (s**2 + t**2) / 4 - sympy.log(sympy.Abs(s + t))
    law = law_from_sympy(h, model)
    assert law.polynomial == {(0, 0): 1, (1, 1): 1, (2, 2): -1, (3, 3): -1}
    assert {c for c, _ in law.logarithms} == {4, -4}
    assert first_violation(law, model.fields) is None
    with pytest.raises(LemmataError, match="law: w is no variable of phi; use u, v, s, t"):
        law_from_sympy(sympy.Symbol("w"), model)
    with pytest.raises(LemmataError, match="is not polynomial"):
        law_from_sympy(u * sympy.log(v), model)
    with pytest.raises(LemmataError, match="multiply by the denominator"):
        law_from_sympy(u / v, model)


# -- files

FILE = """
import sympy
from theory.conservation.builders import linear
x, y = sympy.symbols("x y")
phi = sympy.Matrix([x * y, x**2])
pair = (x, y / 2)
alone = x * y
symbol = x
def made():
    return [x * y]
def model():
    return linear([2, 2])
def broken():
    raise RuntimeError("no data")
text = "x*y"
number = 3
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "model.py"
    file.write_text(FILE)
    return file


@pytest.mark.parametrize(
    ("name", "size", "length"),
    [("phi", 2, 2), ("pair", 2, 2), ("alone", 2, 1), ("symbol", 1, 1), ("made", 2, 1)],
)
def test_files(path: Path, name: str, size: int, length: int) -> None:
    model = parse_spec(f"{path}:{name}")
    assert (model.size, len(model.phi), model.spec) == (size, length, f"{path}:{name}")
    assert load_phi(f"{path}::{name}").phi == model.phi


def test_a_model_in_a_file(path: Path) -> None:
    model = parse_spec(f"{path}:model")
    assert model.phi == builders.linear([2, 2]).phi
    assert model.spec == f"{path}:model"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("psi", "has no 'psi'; it has: .*phi"),
        ("broken", "broken.* does not run: RuntimeError: no data"),
        ("text", "is of type str; give a sympy Matrix"),
        ("number", "is of type int"),
        ("a b", "give PATH.py:NAME"),
        ("", "give PATH.py:NAME"),
    ],
)
def test_bad_names_in_files(path: Path, name: str, message: str) -> None:
    with pytest.raises(LemmataError, match=message):
        parse_spec(f"{path}:{name}")


@pytest.mark.parametrize("code", ["1/0", "def", "raise SystemExit(2)", "import nothing_like_this"])
def test_files_that_do_not_run(tmp_path: Path, code: str) -> None:
    (tmp_path / "bad.py").write_text(code)
    with pytest.raises(LemmataError, match=r"bad\.py does not run: "):
        parse_spec(f"{tmp_path / 'bad.py'}:phi")


def test_what_a_file_prints_goes_to_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """stdout is for the answer, such as JSON."""
    (tmp_path / "loud.py").write_text(
        "import sympy\nprint('loading')\ndef phi():\n    print('building')\n    return [sympy.Symbol('x')]\n"
    )
    parse_spec(f"{tmp_path / 'loud.py'}:phi")
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err == "loading\nbuilding\n"


def test_a_file_of_floats(tmp_path: Path) -> None:
    (tmp_path / "f.py").write_text("import sympy\nphi = [0.25 * sympy.Symbol('x')]")
    with pytest.raises(LemmataError, match=r"f\.py:phi, entry 1: 0\.25\S* is a float"):
        parse_spec(f"{tmp_path / 'f.py'}:phi")


def test_numbers_as_entries() -> None:
    model = from_sympy([x, 2, Fraction(1, 2)])
    assert model.functions == (({(0,): 1}, {(): 1}), ({(): 2}, {(): 1}), ({(): 1}, {(): 2}))
