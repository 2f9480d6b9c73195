"""``lemmata flow``: an ensemble of gradient-flow trajectories with error bounds."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lemmata.cli import options as opt

if TYPE_CHECKING:
    from rich.console import RenderableType

    from proofs_checks.flow_ensemble import FlowEnsemble


class Device(StrEnum):
    """Where trajectories are integrated."""

    cpu = "cpu"
    cuda = "cuda"
    auto = "auto"


class Reduction(StrEnum):
    """What the training loss is of the losses of the points."""

    sum = "sum"
    mean = "mean"


class Precision(StrEnum):
    """Floating-point format."""

    float64 = "float64"
    float32 = "float32"


def flow(
    reduction: Annotated[
        Reduction, typer.Option("--reduction", help="Training loss: sum or mean over the points.")
    ],
    data: opt.Data = None,
    label: opt.Label = None,
    center: opt.Center = False,
    normalise: opt.Normalise = False,
    exact_decimals: opt.ExactDecimals = False,
    loss: Annotated[
        str,
        typer.Option("--loss", metavar="LOSS", help="exponential, logistic, logistic2, squared."),
    ] = "exponential",
    width: Annotated[int, typer.Option("--width", metavar="H", min=1, help="Neurons.")] = 50,
    bias: Annotated[bool, typer.Option("--bias", help="Hidden biases.")] = False,
    eps: Annotated[
        float, typer.Option("--eps", metavar="E", help="Scale of the initialisation.")
    ] = 1e-4,
    runs: Annotated[int, typer.Option("--runs", metavar="B", min=1, help="Initialisations.")] = 64,
    until: Annotated[
        float | None,
        typer.Option(
            "--until", metavar="T", help="End time; default: the early phase.", show_default=False
        ),
    ] = None,
    rtol: Annotated[
        float | None,
        typer.Option(
            "--rtol", metavar="R", help="Tolerance of a step; default 1e-13.", show_default=False
        ),
    ] = None,
    device: Annotated[Device, typer.Option("--device", help="Where to integrate.")] = Device.cpu,
    dtype: Annotated[
        Precision, typer.Option("--dtype", help="float32 on CUDA alone.")
    ] = Precision.float64,
    seed: opt.Seed = 0,
    json: opt.Json = False,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="DIR", help="Write report.json and runs.npz."),
    ] = None,
) -> None:
    """Integrate gradient flow of two-layer ReLU networks, stopping at every kink, with error bounds.

    Without --data on 20 orthogonally separable points. Exit codes: 0 every trajectory reached its end with a finite
    error bound, 3 some did not, 2 bad usage or input.
    """
    from lemmata.cli import staging, terminal

    points = opt.read_data(
        data, label, center=center, normalise=normalise, exact_decimals=exact_decimals
    )
    with (
        staging.staged_directory(out, stale=("report.json", "runs.npz")) as folder,
        terminal.progress("Integrating") as start,
        terminal.plain_warnings(),
    ):
        from proofs_checks.flow_ensemble import flow_ensemble

        report = flow_ensemble(
            points, reduction=reduction.value, loss=loss, h=width, eps=eps, runs=runs, until=until, bias=bias,
            seed=seed, device=device.value, dtype=dtype.value, rtol=rtol, progress=_steps(start(runs)),
        )  # fmt: skip
        if folder is not None:
            report.write(folder)
    if json:
        terminal.print_json(report.to_json())
    else:
        terminal.print_page(_page(report))
    raise typer.Exit(report.exit_code)


def _steps(advance: Callable[[int], None]) -> Callable[[int, int], None]:
    done = 0

    def show(now: int, _: int) -> None:
        nonlocal done
        advance(now - done)
        done = now

    return show


def _page(report: FlowEnsemble) -> list[RenderableType]:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    answer = report.to_json()
    head = Table(box=box.SIMPLE, show_header=False, padding=(0, 1, 0, 0))
    head.add_row("data", Text(f"{answer['data']}: n = {answer['n']}, d = {answer['d']}"))
    head.add_row("network", Text(f"h = {answer['h']}, log eps = {answer['log_eps']:.6g}"))
    weight = f"{answer['reduction']}, weight {answer['weight']:.6g} per point"
    head.add_row("loss", Text(f"{answer['loss']}, {weight}"))
    head.add_row("until", Text(f"{answer['until']:.10g}"))
    head.add_row("device", Text(f"{answer['device']}, {answer['dtype']}"))
    status = ", ".join(f"{k} {name}" for name, k in answer["status"].items())
    head.add_row("trajectories", Text(f"{answer['runs']}: {status}"))
    for name, reason in answer["reasons"].items():
        head.add_row("", Text(f"{name}: {reason}"))
    per_run = answer["kinks"] / answer["runs"]
    head.add_row("seconds", Text(f"{answer['seconds']:.3g} ({per_run:.4g} kinks per run)"))
    table = Table("quantity", "supremum", "error", "run", "at t", box=box.SIMPLE)
    for name, row in answer["quantities"].items():
        words = f"log {name}" if row["logarithm"] else name
        if row["supremum"] is None:
            table.add_row(words, "-", "-", "-", "-")
            continue
        error = "unbounded" if row["error"] is None else f"{row['error']:.2g}"
        value = f"{row['supremum']:.12g}"
        table.add_row(words, value, error, str(row["run"]), f"{row['time']:.6g}")
    note = Text("Suprema over time, the largest over the runs that reached the end.", style="dim")
    return [head, table, note]
