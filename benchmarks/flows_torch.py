"""torchdiffeq and torchode, eager: all lanes in one batch, across the kinks."""

from __future__ import annotations

from typing import Any

import torch
import torchode
from torchdiffeq import odeint

from benchmarks.flows_methods import ATOL, Method, Outcome, Run
from benchmarks.flows_problem import Task


class Field:
    """The field of all lanes, states (B, h (d + 1)), and how often it was evaluated."""

    def __init__(self, task: Task) -> None:
        self.X, self.y = torch.from_numpy(task.X), torch.from_numpy(task.y)
        _, self.h, self.d = task.W0.shape
        self.count = 0

    def __call__(self, _: Any, u: torch.Tensor) -> torch.Tensor:
        self.count += 1
        return self.slope(u)

    def slope(self, u: torch.Tensor) -> torch.Tensor:
        """The field, not counted."""
        lanes, split = u.shape[0], self.h * self.d
        w, v = u[:, :split].reshape(lanes, self.h, self.d), u[:, split:]
        z = w @ self.X.T
        active = (z > 0).to(u.dtype)
        f = torch.einsum("bj,bji->bi", v, active * z)
        g = self.y * torch.exp(-self.y * f)
        G = (active * g[:, None, :]) @ self.X
        return torch.cat([(v[:, :, None] * G).reshape(lanes, split), (G * w).sum(2)], dim=1)


def prepare_torchdiffeq(task: Task, until: float) -> Run:
    """dopri5 of torchdiffeq, which takes one step size for the whole batch."""
    times = torch.tensor([0.0, until], dtype=torch.float64)

    def run(task: Task, rtol: float) -> Outcome:
        field = Field(task)
        start = torch.from_numpy(task.starts())
        with torch.no_grad():
            end = odeint(field, start, times, method="dopri5", rtol=rtol, atol=ATOL * rtol)[-1]
        return Outcome(task.unpack(end.numpy()), float(field.count))

    return run


def prepare_torchode(task: Task, until: float) -> Run:
    """Tsit5 of torchode, which takes a step size for each lane."""

    def run(task: Task, rtol: float) -> Outcome:
        field = Field(task)
        term = torchode.ODETerm(field)
        step = torchode.Tsit5(term=term)
        control = torchode.IntegralController(atol=ATOL * rtol, rtol=rtol, term=term)
        solver = torchode.AutoDiffAdjoint(step, control)
        start = torch.from_numpy(task.starts())
        zero = torch.zeros(task.lanes, dtype=torch.float64)
        problem = torchode.InitialValueProblem(
            y0=start, t_start=zero, t_end=zero + until, t_eval=(zero + until)[:, None]
        )
        with torch.no_grad():
            out = solver.solve(problem)
        if not bool((out.status == torchode.Status.SUCCESS.value).all()):
            raise RuntimeError(f"torchode stopped with {out.status.tolist()}")
        return Outcome(task.unpack(out.ys[:, -1].numpy()), float(field.count))

    return run


METHODS = (
    Method("torch-torchdiffeq", "torchdiffeq dopri5", "across", prepare_torchdiffeq),
    Method("torch-torchode", "torchode Tsit5", "across", prepare_torchode),
)
