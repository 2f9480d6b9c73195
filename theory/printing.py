"""Quantities and relations as text and as LaTeX."""

from __future__ import annotations

from fractions import Fraction

from theory.quantity import Quantity, Relation

_GREEK = {
    "eps": "ε", "mu": "μ", "alpha": "α", "beta": "β", "gamma": "γ", "Gamma": "Γ", "delta": "δ", "eta": "η",
    "lambda": "λ", "nu": "ν", "rho": "ρ", "tau": "τ", "phi": "φ", "Omega": "Ω",
}  # fmt: skip
# The usual TeX names but for the letters that have two forms.
GREEK_TEX = {name: f"\\{name}" for name in _GREEK} | {"eps": r"\varepsilon", "phi": r"\varphi"}
_NAMED = {  # names that are words in code and symbols on paper
    "x_plus_norm": ("‖x_+‖", r"\|x_+\|"),
    "x_minus_norm": ("‖x_-‖", r"\|x_-\|"),
    "loss": ("L", r"\mathcal{L}"),
    "gy": ("(g - y)", "(g-y)"),
    "grad_sq": ("‖∇L‖²", r"\|\nabla \mathcal{L}\|^2"),
}
_SUM, _PRODUCT, _POWER, _ATOM = range(4)


def text(q: Quantity) -> str:
    """One line of Unicode text."""
    return _Printer(tex=False).show(q, _SUM)


def latex(q: Quantity) -> str:
    """LaTeX without dollar signs."""
    return _Printer(tex=True).show(q, _SUM)


def relation_text(r: Relation) -> str:
    """``lhs ≤ rhs`` as text."""
    op = {"<=": "≤", "==": "="}.get(r.op, r.op)
    return f"{text(r.lhs)} {op} {text(r.rhs)}"


def relation_latex(r: Relation) -> str:
    """``lhs \\le rhs`` as LaTeX."""
    op = {"<=": r"\le", "==": "="}.get(r.op, r.op)
    return f"{latex(r.lhs)} {op} {latex(r.rhs)}"


class _Printer:
    def __init__(self, *, tex: bool) -> None:
        self.tex = tex

    def name(self, label: str, axes: frozenset[str]) -> str:
        # the coordinate axis is not printed: w_j is the vector
        index = "".join(a for a in "ji" if a in axes)
        if label in _NAMED:
            shown = _NAMED[label][self.tex]
            return shown + (f"_{{{index}}}" if self.tex else f"_{index}") if index else shown
        base, _, sub = label.partition("_")
        base = (GREEK_TEX if self.tex else _GREEK).get(base, base)
        sub = ",".join(
            p
            for p in (sub.replace("max", r"\max") if self.tex and sub == "max" else sub, index)
            if p
        )
        if not sub:
            return base
        return f"{base}_{{{sub}}}" if self.tex else f"{base}_{sub}"

    def wrap(self, body: str, level: int, wanted: int) -> str:
        if level >= wanted:
            return body
        return rf"\left({body}\right)" if self.tex else f"({body})"

    def call(self, function: str, body: str) -> str:
        return rf"\{function}\left({body}\right)" if self.tex else f"{function}({body})"

    def bars(self, body: str, kind: str = "norm") -> str:
        left, right = {"norm": ("\\|", "\\|") if self.tex else ("‖", "‖"), "abs": ("|", "|")}[kind]
        return f"{left}{body}{right}"

    def show(self, q: Quantity, wanted: int) -> str:
        body, level = self.render(q)
        return self.wrap(body, level, wanted)

    def render(self, q: Quantity) -> tuple[str, int]:
        op, args = q.op, q.args
        if op == "rat":
            value = Fraction(q.label)
            if value.denominator == 1:
                return str(value), _ATOM if value >= 0 else _SUM
            return (
                (rf"\tfrac{{{value.numerator}}}{{{value.denominator}}}", _POWER)
                if self.tex
                else (str(value), _PRODUCT)
            )
        if op == "pi":
            return (r"\pi" if self.tex else "π"), _ATOM
        if op == "var":
            return self.name(q.label, q.axes), _ATOM
        if op == "add":
            out = self.show(args[0], _SUM)
            for a in args[1:]:
                out += (
                    f" - {self.show(a.args[0], _PRODUCT)}"
                    if a.op == "neg"
                    else f" + {self.show(a, _SUM)}"
                )
            return out, _SUM
        if op == "neg":
            return f"-{self.show(args[0], _PRODUCT)}", _SUM
        if op == "mul":
            return (r"\," if self.tex else "·").join(self.show(a, _PRODUCT) for a in args), _PRODUCT
        if op == "div":
            if self.tex:
                return rf"\frac{{{self.show(args[0], _SUM)}}}{{{self.show(args[1], _SUM)}}}", _POWER
            return f"{self.show(args[0], _PRODUCT)}/{self.show(args[1], _POWER)}", _PRODUCT
        if op == "pow":
            exponent = (
                f"^{{{q.label}}}"
                if self.tex
                else {"2": "²", "3": "³"}.get(q.label, f"^({q.label})")
            )
            return self.show(args[0], _ATOM) + exponent, _POWER
        return self.function(q), _ATOM

    def function(self, q: Quantity) -> str:
        op, args = q.op, q.args
        inside = self.show(args[0], _SUM)
        if op in ("norm", "abs"):
            return self.bars(inside, op)
        if op == "sqnorm":
            return self.bars(inside) + ("^2" if self.tex else "²")
        if op == "specnorm":
            # the norm of the whole matrix, whose rows are indexed by j
            matrix = args[0].label.upper() if args[0].op == "var" else inside
            return self.bars(matrix) + ("_2" if self.tex else "₂")
        if op == "inner":
            other = self.show(args[1], _SUM)
            return rf"\langle {inside}, {other}\rangle" if self.tex else f"⟨{inside}, {other}⟩"
        if op == "project_out":
            other = self.show(args[1], _SUM)
            return (
                rf"P^\perp_{{{other}}}\left({inside}\right)"
                if self.tex
                else f"P⊥[{other}]({inside})"
            )
        if op in ("sum", "amax", "amin"):
            word = (
                {"sum": r"\sum", "amax": r"\max", "amin": r"\min"}[op]
                if self.tex
                else {"sum": "Σ", "amax": "max", "amin": "min"}[op]
            )
            body = self.show(args[0], _PRODUCT)
            return rf"{word}_{{{q.label}}} {body}" if self.tex else f"{word}_{q.label} {body}"
        if op == "sqrt":
            return (
                rf"\sqrt{{{inside}}}"
                if self.tex
                else f"√({inside})"
                if args[0].args
                else f"√{inside}"
            )
        if op == "step":
            return rf"\mathbf{{1}}[{inside} > 0]" if self.tex else f"1[{inside} > 0]"
        if op == "relu":
            return self.call("sigma", inside) if self.tex else f"σ({inside})"
        if op in ("max", "min"):
            return self.call(op, ", ".join(self.show(a, _SUM) for a in args))
        if op == "acos":
            return self.call("arccos", inside)
        if op in ("expm1", "log1p"):
            return rf"\operatorname{{{op}}}\left({inside}\right)" if self.tex else f"{op}({inside})"
        if op == "sign":
            return rf"\operatorname{{sign}}\left({inside}\right)" if self.tex else f"sign({inside})"
        return self.call(op, inside)
