"""The convex programs: solve, prove the gap, hand over a certificate."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lemmata.cli import options as opt

if TYPE_CHECKING:
    from rich.console import RenderableType

solve = typer.Typer(
    name="solve",
    help="Solve a convex program, prove the gap, and write a certificate for `lemmata audit`.",
    epilog="Exit codes: 0 solved, 3 undecided, 2 bad usage or input.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
UNDECIDED = 3
MOST = 3  # entries of a list on the page; the JSON has all

Table = Annotated[
    Path,
    typer.Argument(metavar="DATA.csv", help="A header, numeric columns.", show_default=False),
]
Label = Annotated[str, typer.Option("--label", metavar="COL", help="Column with the classes.")]
Bias = Annotated[bool, typer.Option("--bias", help="Append a column of ones.")]
ExactDecimals = Annotated[
    bool, typer.Option("--exact-decimals", help="Read values as rationals, not as binary64.")
]
Gap = Annotated[
    float, typer.Option("--gap", metavar="FLOAT", help="Relative gap that counts as solved.")
]
Json = Annotated[
    bool,
    typer.Option(
        "--json", help="Print JSON, and nothing else; without -o the certificate is part of it."
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("-o", "--out", metavar="DIR", help="Write the solution and its certificate."),
]


@solve.command("convex-relu")
def convex_relu(
    data: Table,
    target: Annotated[
        str, typer.Option("--target", metavar="COL", help="Column with the targets y.")
    ],
    beta: Annotated[
        str,
        typer.Option(
            "--beta",
            metavar="FLOAT|FLOATmax",
            help="Weight of the regulariser; 0.1max is a tenth of the β that gives the zero network.",
        ),
    ],
    loss: Annotated[
        str, typer.Option("--loss", metavar="NAME", help="squared, or logistic (y = ±1).")
    ] = "squared",
    bias: Bias = False,
    exact_decimals: ExactDecimals = False,
    network: Annotated[
        Path | None,
        typer.Option(
            "--network", metavar="FILE.npz", help="Your trained network: W (m, d) and v (m,)."
        ),
    ] = None,
    width: Annotated[
        int | None,
        typer.Option("--width", metavar="M", min=1, help="At most so many neurons."),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(
            "--sample",
            metavar="N",
            min=1,
            help="Random activation patterns instead of all; the list is then not complete.",
        ),
    ] = None,
    gap: Gap = 1e-6,
    seed: opt.Seed = 0,
    json: Json = False,
    out: Out = None,
) -> None:
    """Train a two-layer ReLU network to the global optimum: min loss + (β/2) Σ(‖w‖² + v²)."""
    absolute, relative = _beta(beta)
    from proofs_checks.csv_columns import read_regression

    table = read_regression(data, target=target, exact_decimals=exact_decimals)
    given = None
    if network is not None:
        from proofs_checks.network_file import read_network

        given = read_network(network)

    def run(folder: Path | None) -> Any:
        from proofs_checks.relu_training import convex_relu as optimum

        found = optimum(
            table.X,
            table.y,
            beta=absolute,
            relative_beta=relative,
            loss=loss,
            bias=bias,
            gap=gap,
            width=width,
            network=given,
            sample=sample,
            seed=seed,
        )
        if folder is not None:
            from proofs_checks.network_file import write_network

            write_network(folder / "network.npz", found.W, found.v)
        return found

    _answer("Training", run, json=json, out=out)


Classes = Annotated[int, typer.Option("--classes", metavar="K", help="Number of classes.")]
PerClass = Annotated[
    str,
    typer.Option(
        "--per-class", metavar="n|n1,n2,...", help="Points of every class, or of each class."
    ),
]
FeatureLoss = Annotated[
    str, typer.Option("--loss", metavar="ce|mse", help="Cross-entropy or squared, averaged.")
]
LambdaW = Annotated[
    float, typer.Option("--lambda-w", metavar="A", help="of (A/2)‖W‖², the classifier.")
]
LambdaH = Annotated[
    float, typer.Option("--lambda-h", metavar="B", help="of (B/2)‖H‖², the features.")
]
FreeBias = Annotated[bool, typer.Option("--bias", help="A free bias, not regularised.")]
Full = Annotated[
    bool, typer.Option("--full", help="Solve the full lift, not the one reduced by symmetry.")
]


@solve.command()
def ufm(
    classes: Classes,
    per_class: PerClass,
    loss: FeatureLoss,
    lambda_w: LambdaW,
    lambda_h: LambdaH,
    bias: FreeBias = False,
    full: Full = False,
    gap: Gap = 1e-6,
    json: Json = False,
    out: Out = None,
) -> None:
    """Solve the unconstrained-features model: W and H free."""
    _features(
        "ufm", classes, per_class, loss, lambda_w, lambda_h, bias, full, gap, json=json, out=out
    )


@solve.command()
def upfm(
    classes: Classes,
    per_class: PerClass,
    loss: FeatureLoss,
    lambda_w: LambdaW,
    lambda_h: LambdaH,
    bias: FreeBias = False,
    full: Full = False,
    gap: Gap = 1e-6,
    json: Json = False,
    out: Out = None,
) -> None:
    """Solve the unconstrained-features model with H ≥ 0 (features after a ReLU)."""
    _features(
        "upfm", classes, per_class, loss, lambda_w, lambda_h, bias, full, gap, json=json, out=out
    )


def _features(
    model: str,
    classes: int,
    per_class: str,
    loss: str,
    lambda_w: float,
    lambda_h: float,
    bias: bool,
    full: bool,
    gap: float,
    *,
    json: bool,
    out: Path | None,
) -> None:
    counts = _counts(per_class)

    def run(folder: Path | None) -> Any:
        from proofs_checks import features

        found = getattr(features, model)(
            classes=classes,
            per_class=counts,
            loss=loss,
            lambda_w=lambda_w,
            lambda_h=lambda_h,
            bias=bias,
            full=full,
            gap=gap,
        )
        if folder is not None:
            from proofs_checks.network_file import write_arrays

            write_arrays(
                folder / "features.npz",
                W=found.W,
                H=found.H,
                b=found.b,
                multiplicities=found.multiplicities,
            )
        return found

    _answer("Solving", run, json=json, out=out)


@solve.command()
def collapse(
    data: Table,
    label: Label,
    hidden: Annotated[
        int | None,
        typer.Option(
            "--hidden", metavar="D1", help="Three layers: a random first layer of this width."
        ),
    ] = None,
    exact_decimals: ExactDecimals = False,
    seed: opt.Seed = 0,
    json: Json = False,
    out: Out = None,
) -> None:
    """Decide whether a ReLU network on these points can collapse, class by class."""
    from proofs_checks.csv_columns import read_labelled

    table = read_labelled(data, label=label, exact_decimals=exact_decimals)

    def run(folder: Path | None) -> Any:
        from proofs_checks.feasibility import collapse_feasibility

        return collapse_feasibility(table.X, table.labels, hidden=hidden, seed=seed)

    _answer("Deciding", run, json=json, out=out)


@solve.command()
def margin(
    data: Table,
    label: Label,
    space: Annotated[
        str,
        typer.Option(
            "--space", metavar="f1|f2", help="Variation norm, or the kernel of the first layer."
        ),
    ],
    bias: Bias = False,
    exact_decimals: ExactDecimals = False,
    gap: Gap = 1e-6,
    json: Json = False,
    out: Out = None,
) -> None:
    """Enclose the margin of two classes in a space of infinitely wide ReLU networks."""
    from proofs_checks.csv_columns import read_labelled

    table = read_labelled(data, label=label, exact_decimals=exact_decimals)
    X = tuple((*row, 1) for row in table.X) if bias else table.X
    signs = table.signs

    def run(folder: Path | None) -> Any:
        from proofs_checks.margins import margin as enclose

        return enclose(X, signs, space=space, gap=gap)

    _answer("Solving", run, json=json, out=out)


def _answer(title: str, run: Callable[[Path | None], Any], *, json: bool, out: Path | None) -> None:
    """Run, write, print and leave with the exit code of the status."""
    from lemmata.cli import staging, terminal

    with (
        staging.staged_directory(out) as folder,
        terminal.progress(title),
        terminal.plain_warnings(),
    ):
        found = run(folder)
        answer = found.to_json()
        if found.certificate is None:
            answer["certificate"] = None
        elif out is not None and folder is not None:
            found.certificate.write(folder / "certificate.json")
            answer["certificate"] = str(out / "certificate.json")
        else:
            answer["certificate"] = found.certificate.to_data()
        # that the relaxation is not tight is a claim of its own
        further = getattr(found, "gap_certificate", None)
        if further is not None and folder is not None:
            further.write(folder / "gap-certificate.json")
        if folder is not None:
            from proofs_checks.files import write_json

            write_json(folder / "solution.json", answer)
    if json:
        terminal.print_json(answer)
    else:
        terminal.print_page(_page(found, answer, out))
    raise typer.Exit(0 if found.status == "solved" else UNDECIDED)


def _page(found: Any, answer: dict[str, Any], out: Path | None) -> list[RenderableType]:
    """The answer as a table, one line per key."""
    from rich import box
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid(box=box.SIMPLE, show_header=False, padding=(0, 1, 0, 0))
    network = answer.get("network")
    for key, value in answer.items():
        if key in ("certificate", "network", "reason", "remark"):
            continue
        grid.add_row(key.replace("_", " "), Text(_shown(value)))
    blocks: list[RenderableType] = [grid]
    if isinstance(network, dict):
        blocks.append(Text(f"your network: {network['summary']}"))
    blocks += [Text(answer[key]) for key in ("reason", "remark") if answer.get(key)]
    if found.certificate is None:
        blocks.append(Text("no certificate"))
    elif out is not None:
        blocks.append(Text(f"re-check it: lemmata audit {answer['certificate']}"))
    else:
        blocks.append(Text("-o DIR writes the certificate"))
    return blocks


def _shown(value: Any) -> str:
    if isinstance(value, list) and len(value) > MOST:
        return f"{len(value)} entries: see --json"
    if isinstance(value, dict):
        return ", ".join(f"{k}: {_shown(v)}" for k, v in value.items())
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "–" if value is None else str(value)


def _beta(text: str) -> tuple[float | None, float | None]:
    """β itself, or β as a multiple of β_max.

    Raises LemmataError if the text is neither.
    """
    from theory.errors import LemmataError

    match = re.fullmatch(r"([0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+\.)(max)?", text.strip())
    value = float(match[1]) if match else 0.0
    if match is None or value <= 0 or value == float("inf"):
        raise LemmataError(f"--beta {text}: give a positive number, or one followed by max: 0.1max")
    return (None, value) if match[2] else (value, None)


def _counts(text: str) -> int | list[int]:
    """A number of points, or one for each class.

    Raises LemmataError if the text is neither.
    """
    from theory.errors import LemmataError

    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        raise LemmataError(
            f"--per-class {text}: give a whole number, or one for each class: 3,3,1"
        ) from None
    return counts[0] if len(counts) == 1 else counts
