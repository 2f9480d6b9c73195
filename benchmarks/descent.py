"""Discrete dynamics: batches of trajectories against loops over them, on the same work.

    OMP_NUM_THREADS=1 python -m benchmarks.descent [-o benchmarks/results] [--compile]

CPU seconds on one thread, tracing included. "Loop" is one trajectory after the other with autograd and a hand-written
update; "torch.optim" is the library's optimizer, one per trajectory; "torch.optim, one tensor" is what a careful user
writes: the sum of the losses over a batch of parameters, so that every trajectory gets its own gradient. Loops over
many trajectories are measured on a few and scaled up, which the table says. The error is the largest difference to
ours, relative to the largest weight.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from numerics.descent import GradientDescent, HeavyBall, RunOptions, descend
from numerics.minimax import Bilinear, ExtraGradient, minimax
from proofs_checks.files import replace_with

FILE = "descent.md"
LANES = (1, 64, 1024)
ITERATIONS = 200
MEASURED = 8  # trajectories that a loop is measured on
SIZE, DIM, HIDDEN = 20, 10, 20
ETA, BETA = 0.05, 0.9
SMALL = {"X": 6, "d": 3, "h": 3}


def data(n: int, d: int) -> tuple[torch.Tensor, torch.Tensor]:
    """n points in d dimensions with labels ±1."""
    rng = np.random.default_rng(0)
    return torch.tensor(rng.normal(size=(n, d)) / np.sqrt(d)), torch.tensor(
        np.sign(rng.normal(size=n))
    )


def network(X: torch.Tensor, y: torch.Tensor) -> Callable[[Any], torch.Tensor]:
    """Mean logistic loss of a two-layer ReLU network, for one trajectory."""

    def loss(p: Any) -> torch.Tensor:
        f = torch.relu(X @ p["W"].T) @ p["v"]
        return torch.logaddexp(torch.zeros_like(f), -y * f).mean()

    return loss


def starts(lanes: int, d: int, h: int) -> dict[str, Any]:
    """Gaussian weights."""
    rng = np.random.default_rng(1)
    return {"W": rng.normal(size=(lanes, h, d)) / np.sqrt(d), "v": rng.normal(size=(lanes, h)) / h}


def seconds(run: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds and the result."""
    begin = time.process_time()
    result = run()
    return time.process_time() - begin, result


def loop(loss: Callable[[Any], torch.Tensor], start: dict[str, Any]) -> list[Any]:
    """Heavy ball by hand, lane by lane."""
    out = []
    for lane in range(len(start["W"])):
        p = {name: torch.tensor(part[lane], requires_grad=True) for name, part in start.items()}
        old = {name: part.detach().clone() for name, part in p.items()}
        for _ in range(ITERATIONS):
            gradients = torch.autograd.grad(loss(p), list(p.values()))
            for (name, part), g in zip(p.items(), gradients, strict=True):
                new = part.detach() - ETA * g + BETA * (part.detach() - old[name])
                old[name], p[name] = part.detach(), new.requires_grad_()
        out.append(p["W"].detach().numpy())
    return out


def optim(loss: Callable[[Any], torch.Tensor], start: dict[str, Any], *, batch: bool) -> Any:
    """torch.optim.SGD with momentum, whose buffer is that of heavy ball; one tensor for all lanes, or one per lane."""

    def one(part: dict[str, Any], value: Callable[[Any], torch.Tensor]) -> Any:
        p = {name: torch.tensor(array, requires_grad=True) for name, array in part.items()}
        optimizer = torch.optim.SGD(p.values(), lr=ETA, momentum=BETA)
        for _ in range(ITERATIONS):
            optimizer.zero_grad()
            value(p).backward()
            optimizer.step()
        return p["W"].detach().numpy()

    if batch:
        return one(start, lambda p: torch.func.vmap(loss)(p).sum())
    lanes = range(len(start["W"]))
    return [one({name: part[lane] for name, part in start.items()}, loss) for lane in lanes]


def network_section(*, compile: bool) -> tuple[list[str], list[str]]:
    """Rows of the table for heavy ball on networks, and what is not as it must be."""
    loss = network(*data(SIZE, DIM))
    lines = [
        "| trajectories | method | CPU s | ratio | error |",
        "|---|---|---|---|---|",
    ]
    problems = []
    for lanes in LANES:
        start = starts(lanes, DIM, HIDDEN)
        few = {name: part[:MEASURED] for name, part in start.items()}
        scale = max(1.0, lanes / MEASURED)

        def ours(start: dict[str, Any] = start, **options: Any) -> Any:
            return descend(
                loss,
                start,
                method=HeavyBall(BETA),
                step=ETA,
                iterations=ITERATIONS,
                options=RunOptions(bound=False, **options),
            ).iterate["W"]

        rows: list[tuple[str, Callable[[], Any], float]] = [("batched", ours, 1.0)]
        if compile:
            rows.append(("batched, compiled (warm)", lambda ours=ours: ours(compile=True), 1.0))
        rows += [
            ("torch.optim, one tensor", lambda s=start: optim(loss, s, batch=True), 1.0),
            ("torch.optim", lambda s=few: optim(loss, s, batch=False), scale),
            ("loop", lambda s=few: loop(loss, s), scale),
        ]
        reference, base = None, 0.0
        for name, run, times in rows:
            if "compiled" in name:
                run()  # compilation is reported by torch, not measured here
            spent, found = seconds(run)
            spent *= times
            if reference is None:
                reference, base = found, spent
            count = len(found)
            error = np.abs(np.array(found) - reference[:count]).max() / np.abs(reference).max()
            if not error < 1e-12:
                problems.append(f"{lanes} trajectories, {name}: differs by {error:.1e}")
            mark = " (scaled up)" if times > 1 else ""
            lines.append(
                f"| {lanes} | {name}{mark} | {spent:.3f} | {spent / base:.1f} | {error:.0e} |"
            )
    return lines, problems


def bound_section() -> tuple[list[str], list[str]]:
    """What the bound costs, and how large it is after 200 iterations."""
    loss = network(*data(SMALL["X"], SMALL["d"]))
    start = starts(64, SMALL["d"], SMALL["h"])
    field = Bilinear(np.diag([1.0, 0.5, 0.2]))
    point = {"x": start["v"], "y": start["W"][:, 0]}
    lines = [
        "| 64 trajectories | CPU s without | with | lanes with a bound | median relative bound |",
        "|---|---|---|---|---|",
    ]
    problems = []
    for name, run in (
        (
            "gradient descent, network, 12 weights",
            lambda o: descend(
                loss, start, method=GradientDescent(), step=ETA, iterations=ITERATIONS, options=o
            ),
        ),
        (
            "heavy ball, the same",
            lambda o: descend(
                loss, start, method=HeavyBall(BETA), step=ETA, iterations=ITERATIONS, options=o
            ),
        ),
        (
            "extragradient, bilinear, 6 numbers",
            lambda o: minimax(
                field, point, method=ExtraGradient(), step=0.5, iterations=ITERATIONS, options=o
            ),
        ),
    ):
        plain, _ = seconds(lambda run=run: run(RunOptions(bound=False)))
        dear, result = seconds(lambda run=run: run(RunOptions()))
        fine = np.isfinite(result.radius)
        parts = [part.reshape(64, -1) for part in result.iterate.values()]
        size = np.linalg.norm(np.concatenate(parts, axis=1), axis=1)
        relative = float(np.median(result.radius[fine] / size[fine]))
        lines.append(f"| {name} | {plain:.2f} | {dear:.2f} | {fine.sum()} | {relative:.0e} |")
        if fine.sum() < 32:
            problems.append(f"{name}: a bound in {fine.sum()} of 64 lanes")
    return lines, problems


def main() -> int:
    """Print (and write) the tables; 1 if anything is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", dest="folder", type=Path, help="write the results to this folder")
    parser.add_argument("--compile", action="store_true", help="measure torch.compile too")
    arguments = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":
        print("set OMP_NUM_THREADS=1: one thread for all", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    descend(
        lambda p: p["x"] ** 2, {"x": [1.0]}, method=GradientDescent(), step=0.1, iterations=1
    )  # imports
    networks, problems = network_section(compile=arguments.compile)
    bounds, more = bound_section()
    machine = f"{date.today()}, {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy"))
    text = "\n".join(
        [
            "# Discrete dynamics: benchmark",
            "",
            f"{machine}, {packages}.",
            "",
            "    OMP_NUM_THREADS=1 python -m benchmarks.descent -o benchmarks/results"
            + (" --compile" if arguments.compile else ""),
            "",
            f"Heavy ball on two-layer ReLU networks (n = {SIZE}, d = {DIM}, h = {HIDDEN}), {ITERATIONS} iterations.",
            "CPU seconds on one thread, tracing included; ratio to the batched run; error relative to it.",
            f'"Scaled up" is measured on {MEASURED} trajectories.',
            "",
            *networks,
            "",
            f"The price of the error bound, {ITERATIONS} iterations:",
            "",
            *bounds,
            "",
        ]
    )
    print(text)
    if arguments.folder is not None:
        replace_with(arguments.folder / FILE, lambda path: path.write_text(text, encoding="utf-8"))
    for line in problems + more:
        print(f"not as expected: {line}", file=sys.stderr)
    return int(bool(problems + more))


if __name__ == "__main__":
    sys.exit(main())
