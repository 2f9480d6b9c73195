"""The commands. Their bodies import what they need, so that ``--help`` loads none of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lemmata._version import __version__
from lemmata.cli import options as opt
from lemmata.cli.campaign import campaign
from lemmata.cli.flow import flow
from lemmata.cli.refute import refute
from lemmata.cli.solve import solve

app = typer.Typer(
    name="lemmata",
    help="Check theorems about training neural networks: proofs, constants, trajectories.",
    epilog="Exit codes: 0 well, 1 violated or rejected, 2 bad usage or input, 3 unfinished.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


app.add_typer(solve)
app.command()(refute)
app.command()(campaign)
app.command()(flow)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    pass


@app.command("list")
def list_(json: opt.Json = False) -> None:
    """List the statements that are registered."""
    from lemmata.cli import render, terminal
    from proofs_checks.registry import all_statements

    statements = list(all_statements().values())
    if json:
        terminal.print_json([render.summary(statement) for statement in statements])
    else:
        terminal.print_page([render.statement_table(statements)])


@app.command()
def show(id: opt.Id) -> None:
    """Show a statement: text, LaTeX, hypotheses, constants, source, derivation steps."""
    from lemmata.cli import render, terminal

    statement = opt.chosen_one(id)
    terminal.print_page(render.statement_page(statement))


@app.command()
def verify(
    ids: opt.Ids = None,
    data: opt.Data = None,
    label: opt.Label = None,
    center: opt.Center = False,
    normalise: opt.Normalise = False,
    exact_decimals: opt.ExactDecimals = False,
    cases: opt.Cases = None,
    seed: opt.Seed = 0,
    everything: Annotated[bool, typer.Option("--all", help="Every registered statement.")] = False,
    allow_vacuous: Annotated[
        bool,
        typer.Option("--allow-vacuous", help="Accept statements that are vacuous on every case."),
    ] = False,
    json: opt.Json = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="DIR", help="Write verdicts.json, the cases and figures."
        ),
    ] = None,
) -> None:
    """Check derivations and verify statements on cases; without ID, early-alignment.

    Without --data the cases are the default ones and the shipped real data.

    A derivation that was verified before, by the same sources and
    versions, is not checked again. This is remembered in the user's cache
    directory, or in the one that LEMMATA_CACHE names; LEMMATA_CACHE=off
    checks everything.
    """
    from lemmata.cli import render, staging, terminal

    dataset = opt.read_data(
        data, label, center=center, normalise=normalise, exact_decimals=exact_decimals
    )
    statements = opt.chosen(ids, everything=everything)
    with staging.staged_directory(out) as folder, terminal.progress("Verifying") as start:
        from proofs_checks import api

        report = api.verify(
            statements,
            dataset=dataset,
            cases=cases,
            seed=seed,
            progress=start(api.case_count(statements, dataset, cases)),
            out=folder,
        )
    code = report.exit_code(allow_vacuous=allow_vacuous)
    if json:
        terminal.print_json(report.to_json())
    else:
        width = terminal.console().width
        terminal.print_page(render.verdict_page(report, code=code, out=out, width=width))
    raise typer.Exit(code)


@app.command()
def constants(
    ids: opt.Ids = None,
    cases: opt.Cases = None,
    seed: opt.Seed = 0,
    joint: Annotated[
        bool, typer.Option("--joint", help="Sharpen all constants together: the Pareto set.")
    ] = False,
    json: opt.Json = False,
) -> None:
    """Compare each constant: as stated, the best of the same proof, the best observed."""
    from lemmata.cli import render, terminal

    statements = opt.chosen(ids)
    with terminal.progress("Sharpening") as start:
        from proofs_checks import api

        rows = api.constants(
            statements, cases=cases, seed=seed, joint=joint, progress=start(len(statements))
        )
    if json:
        terminal.print_json(rows)
    else:
        terminal.print_page(render.pareto_page(rows) if joint else render.constants_page(rows))


@app.command()
def profile(
    id: opt.Id,
    data: opt.Data = None,
    label: opt.Label = None,
    center: opt.Center = False,
    normalise: opt.Normalise = False,
    exact_decimals: opt.ExactDecimals = False,
    seed: opt.Seed = 0,
    json: opt.Json = False,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FILE.png", help="Write the waterfall figure."),
    ] = None,
) -> None:
    """Measure the factor that each step of a proof gives away on a case."""
    from lemmata.cli import render, staging, terminal

    figure = staging.figure_path(out)
    dataset = opt.read_data(
        data, label, center=center, normalise=normalise, exact_decimals=exact_decimals
    )
    statement = opt.chosen_one(id)
    with terminal.progress("Profiling"):
        from proofs_checks import api

        report = api.profile(statement, dataset=dataset, seed=seed)
        if figure is not None:
            report.figure(figure)
    if json:
        terminal.print_json(report.to_json())
    else:
        terminal.print_page(render.profile_page(report.to_json()))


@app.command()
def replay(
    casefile: Annotated[
        Path, typer.Argument(metavar="CASEFILE", help="Written by verify, refute or pytest.")
    ],
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            metavar="FILE.py::NAME",
            help="Its statement or conjecture, if that is not registered; the file is executed.",
        ),
    ] = None,
    json: opt.Json = False,
) -> None:
    """Re-run a saved case; exit 0 if every verdict is identical, 1 if one differs."""
    from lemmata.cli import render, terminal

    with terminal.progress("Replaying"):
        from proofs_checks import api

        report = api.replay(casefile, target=target)
    if json:
        terminal.print_json(report.to_json())
    else:
        terminal.print_page([render.replay_table(report.to_json())])
    raise typer.Exit(0 if report.identical else 1)


@app.command()
def laws(
    spec: Annotated[
        str,
        typer.Argument(
            metavar="SPEC",
            help="Such as linear:5,4,5, relu:3,3,3, nmf:3,2,3, attention:4,2, conv:3,8,2, or FILE.py:NAME.",
            show_default=False,
        ),
    ],
    degree: Annotated[
        int | None,
        typer.Option(
            "--degree", metavar="K", help="Degree of the laws; by default the model's own."
        ),
    ] = None,
    mixed: Annotated[
        bool, typer.Option("--mixed", help="All degrees from 1 to K, not K alone.")
    ] = False,
    bias: Annotated[bool, typer.Option("--bias", help="Hidden units have biases.")] = False,
    momentum: Annotated[
        str | None,
        typer.Option("--momentum", metavar="TAU", help="Heavy ball with this friction."),
    ] = None,
    mirror: Annotated[
        str | None,
        typer.Option("--mirror", metavar="NAME", help="Mirror flow: entropy, burg, ..."),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            "--loss", metavar="NAME", help="cross-entropy: loss gradients sum to 0 over outputs."
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="X,Y,...", help="A rational point to look at as well."),
    ] = None,
    seed: opt.Seed = 0,
    json: opt.Json = False,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="DIR", help="Write laws.json and the certificates."),
    ] = None,
) -> None:
    """Find the conservation laws of a model's gradient flow, and prove how many there are."""
    from lemmata.cli import render_laws, staging, terminal

    with staging.staged_directory(out) as folder, terminal.progress("Finding laws") as start:
        from proofs_checks import laws as engine

        report = engine.laws(
            spec,
            degree=degree,
            mixed=True if mixed else None,
            bias=bias,
            momentum=momentum,
            mirror=mirror,
            loss=loss,
            point=None if at is None else at.split(","),
            seed=seed,
            progress=start(engine.STEPS),
        )
        if folder is not None:
            report.write(folder)
    if json:
        terminal.print_json(report.to_json(out))
    else:
        terminal.print_page(render_laws.laws_page(report, out=out))


@app.command()
def audit(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Certificates.")],
) -> None:
    """Re-check certificates; exit 0 accepted, 1 rejected (reason printed), 2 unreadable."""
    from proofs_checks.audit import main

    raise typer.Exit(main(files))
