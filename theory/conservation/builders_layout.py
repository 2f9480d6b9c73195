"""What all builders share: parameters laid out by matrices, textbook laws from inner products, checks of widths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from theory.conservation.model import Law, Model
from theory.conservation.polynomials import Polynomial, add, multiply, scale
from theory.errors import LemmataError

MAX_PARAMETERS = 2_000
MAX_TERMS = 2_000_000  # of φ
MAX_DEGREE = 500  # of φ: a monomial is as long as its degree

Block = tuple[tuple[int, ...], ...]
Matrix = tuple[tuple[Polynomial, ...], ...]


class Layout:
    """Parameters in the order in which they are added; the names are 1-based.

    Attributes:
        names, latex: of the parameters. blocks: as in `Model`.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.latex: list[str] = []
        self.blocks: list[tuple[str, Block]] = []

    def matrix(self, name: str, rows: int, columns: int) -> Block:
        """Indices (rows, columns) of new parameters: ``u_1_1`` in block U, ``w2_1_1`` in block W2."""
        return self._add(name, [[(i, j) for j in range(columns)] for i in range(rows)])

    def vector(self, name: str, size: int) -> tuple[int, ...]:
        """Indices (size,) of new parameters ``b1_1``, ..., in a block with one column."""
        return columns_of(self._add(name, [[(i,)] for i in range(size)]))[0]

    def _add(self, name: str, places: list[list[tuple[int, ...]]]) -> Block:
        block = []
        for row in places:
            block.append(tuple(range(len(self.names), len(self.names) + len(row))))
            for place in row:
                at = [str(k + 1) for k in place]
                self.names.append("_".join([name.lower(), *at]))
                self.latex.append(f"{latex_block(name.lower())}_{{{','.join(at)}}}")
        self.blocks.append((name, tuple(block)))
        return tuple(block)

    def model(
        self,
        spec: str,
        phi: Sequence[Polynomial],
        *,
        groups: tuple[tuple[int, ...], ...] = (),
        metric: tuple[tuple[int, int, Polynomial], ...] = (),
        logarithms: tuple[Polynomial, ...] = (),
        named_laws: Iterable[Law] = (),
        default_degree: int = 2,
        default_mixed: bool = False,
        scope: str = "",
    ) -> Model:
        """The model in these parameters."""
        return Model(
            spec=spec,
            variables=tuple(self.names),
            phi=tuple(phi),
            metric=metric,
            groups=groups,
            blocks=tuple(self.blocks),
            logarithms=logarithms,
            named_laws=tuple(named_laws),
            default_degree=default_degree,
            default_mixed=default_mixed,
            latex_names=tuple(self.latex),
            scope=scope,
        )


def latex_block(name: str) -> str:
    """``W2`` as W^{(2)}, ``U`` as U."""
    head = name.rstrip("0123456789")
    return f"{head}^{{({name[len(head) :]})}}" if head != name else name


def columns_of(block: Block) -> Block:
    """The transpose."""
    return tuple(zip(*block, strict=True))


def entries(block: Block) -> Matrix:
    """The matrix of the variables themselves."""
    return tuple(tuple({(i,): 1} for i in row) for row in block)


def matrix_product(a: Matrix, b: Matrix) -> Matrix:
    """A B."""
    columns = tuple(zip(*b, strict=True))
    return tuple(
        tuple(
            add(*(multiply(x, y) for x, y in zip(row, column, strict=True))) for column in columns
        )
        for row in a
    )


def inner(xs: Sequence[int], ys: Sequence[int]) -> Polynomial:
    """Σ_i x_i y_i of variables."""
    terms: list[Polynomial] = [{(min(x, y), max(x, y)): 1} for x, y in zip(xs, ys, strict=True)]
    return add(*terms)


def squares(variables: Iterable[int], factor: int = 1) -> Polynomial:
    """factor · Σ x²."""
    return {(x, x): factor for x in variables}


def difference(p: Mapping[tuple[int, ...], int], q: Mapping[tuple[int, ...], int]) -> Polynomial:
    """p - q."""
    return add(p, scale(q, -1))


def gram_laws(left: Block, right: Block, name: str, latex: str) -> tuple[Law, ...]:
    """Entries of A Aᵀ - B Bᵀ, upper triangle, for A and B with equally many rows."""
    return tuple(
        Law(
            difference(inner(left[k], left[j]), inner(right[k], right[j])),
            name=f"({name})[{k + 1},{j + 1}]",
            latex_name=f"({latex})_{{{k + 1},{j + 1}}}",
        )
        for k in range(len(left))
        for j in range(k, len(left))
    )


def norm_law(
    incoming: Sequence[int],
    outgoing: Sequence[int],
    name: str,
    latex: str,
    *,
    factor: int = 1,
) -> Law:
    """‖incoming‖² - factor ‖outgoing‖²."""
    law = difference(squares(incoming), squares(outgoing, factor))
    return Law(law, name=name, latex_name=latex)


def output_groups(outputs: int, others: int, *, output_first: bool) -> tuple[tuple[int, ...], ...]:
    """Groups of the entries of a matrix in row-major order whose rows (or columns) are the outputs."""
    if output_first:
        return tuple(tuple(o * others + i for o in range(outputs)) for i in range(others))
    return tuple(tuple(i * outputs + o for o in range(outputs)) for i in range(others))


def no_logits(phi: Sequence[Polynomial]) -> tuple[tuple[int, ...], ...]:
    """Groups of one: no entry of φ is one of several outputs, so a cross-entropy is refused."""
    return tuple((i,) for i in range(len(phi)))


def check_widths(family: str, /, **widths: int | Sequence[int]) -> None:
    """Every width is an integer >= 1.

    Raises:
        LemmataError: one is not; it says which.
    """
    for name, given in widths.items():
        for width in given if isinstance(given, Sequence) else (given,):
            if isinstance(width, bool) or not isinstance(width, int) or width < 1:
                raise LemmataError(f"{family}: {name} = {given!r}; give integers >= 1")


def check_power(family: str, power: int) -> None:
    """An exponent from 1 to `MAX_DEGREE`.

    Raises:
        LemmataError: it is not.
    """
    check_widths(family, power=power)
    if power > MAX_DEGREE:
        raise LemmataError(f"{family}: exponent {power}; give one of at most {MAX_DEGREE}")


def check_layers(family: str, widths: Sequence[int], least: int) -> tuple[int, ...]:
    """At least so many widths, each an integer >= 1.

    Raises:
        LemmataError: too few or not positive.
    """
    widths = tuple(widths)
    if len(widths) < least:
        raise LemmataError(
            f"{family}: {len(widths)} width{'' if len(widths) == 1 else 's'} given; "
            f"give at least {least}, from input to output"
        )
    check_widths(family, widths=widths)
    return widths


def spelled(family: str, *widths: int) -> str:
    """The spec text of a model: ``linear:5,4,5``."""
    return f"{family}:{','.join(map(str, widths))}"
