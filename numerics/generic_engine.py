"""The loop of the generic path: attempts, switches, bounds, book-keeping, for one chunk of lanes.

All running lanes attempt one step at a time, each with its own time and length. What is one number
per lane is kept in float64 on the host, what has an entry per parameter or switch on the device.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from numerics.generic_bound import MOST_DENSE, advance_radius, step_bound
from numerics.generic_cross import Outcome, Place, cross
from numerics.generic_field import Fields, host, norms
from numerics.generic_scan import Scan, scan, slopes_of_switches
from numerics.generic_step import Attempt, Stepper
from numerics.generic_tableau import ORDER
from numerics.generic_types import GenericOptions, SwitchEvent
from numerics.generic_watch import Accepted, Watch
from numerics.problem import FlowStatus

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

MOST_HALVINGS = 48
MOST_LANDINGS = 6
PROBES = 16
TWICE = "a switch may vanish twice on every step, however short"
UNIT = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Setup:
    """What the loop is given beside the lanes."""

    fields: Fields
    stepper: Stepper
    rtol: float
    atol: float
    options: GenericOptions
    unit: float


class Engine:
    """Integrates B lanes; ``run`` leaves the outcome in the attributes."""

    def __init__(
        self, setup: Setup, y: Tensor, pattern: Tensor, end: Array, radius: Array, watch: Watch
    ) -> None:
        lanes, size = y.shape
        self.setup, self.fields, self.options = setup, setup.fields, setup.options
        self.y, self.pattern, self.end, self.radius, self.watch = y, pattern, end, radius, watch
        self.fresh = torch.zeros_like(pattern)
        self.near = torch.zeros_like(pattern)
        self.switching = pattern.shape[1] > 0
        bound = self.options.bound
        self.bounded = bound != "none"
        self.dense = bound == "dense" or (bound == "auto" and size <= MOST_DENSE)
        self.exact_probes = size <= PROBES
        generator = torch.Generator().manual_seed(size)
        probes = torch.randn(PROBES, size, generator=generator, dtype=torch.float64)
        self.probes = (torch.eye(size) if self.exact_probes else probes).to(y)
        self.t, self.carry = np.zeros(lanes), np.zeros(lanes)
        self.change = np.zeros(lanes)
        self.target = np.full(lanes, -1, dtype=np.int64)
        self.tries, self.halvings = np.zeros(lanes, dtype=np.int64), np.zeros(lanes, dtype=np.int64)
        self.steps, self.rejected = np.zeros(lanes, dtype=np.int64), np.zeros(lanes, dtype=np.int64)
        self.kinks = np.zeros(lanes, dtype=np.int64)
        self.events: list[SwitchEvent] = []
        self.status: list[FlowStatus | None] = [None] * lanes
        self.reason = [""] * lanes
        if not self.bounded:
            self.radius = np.full(lanes, np.inf)

    def run(self) -> None:
        """Integrate all lanes to their ends, or to where they stop."""
        every = np.arange(self.t.size)
        self.f = self.fields.slope(self.y, self.pattern)
        self.steep = self._steep(self.y, self.pattern)
        self._begin(every)
        speed, size = norms(self.f), norms(self.y) + self.setup.atol
        with np.errstate(divide="ignore", invalid="ignore"):
            guess = np.where(speed > 0, 0.05 * size / speed, self.end)
        first = self.options.fixed_step or self.options.first_step
        self.h = np.minimum(self.end, guess if first is None else first)
        self.resume = self.h.copy()
        self.watch.at_start(self.y, self.radius)
        while True:
            rows = np.array([b for b in every if self.status[b] is None], dtype=np.int64)
            if rows.size == 0:
                return
            self._attempt(rows)

    # --- one attempt -----------------------------------------------------------------------

    def _attempt(self, rows: Ints) -> None:
        """Attempt a step in each of the lanes ``rows``; accept, shorten or stop each."""
        setup = self.setup
        remaining = (self.end[rows] - self.t[rows]) - self.carry[rows]
        length = np.minimum(self.h[rows], remaining)
        index = self._index(rows)
        y, h = self.y[index], torch.as_tensor(length, device=self.y.device).to(self.y.dtype)
        tried = setup.stepper(y, self.f[index], h, self.pattern[index])
        scale = setup.atol + setup.rtol * np.maximum(norms(y), norms(tried.end))
        finite = torch.isfinite(tried.nodes).all(dim=2).all(dim=0)
        finite &= torch.isfinite(tried.slopes).all(dim=2).all(dim=0)
        with np.errstate(all="ignore"):
            ratio = host(tried.error) / scale
            sound = finite.cpu().numpy() & np.isfinite(ratio)
            wished = np.clip(0.9 * np.maximum(ratio, 1e-30) ** (-1.0 / ORDER), 0.2, 6.0)
        fixed = self.options.fixed_step is not None
        good = sound & ((ratio <= 1.0) | fixed)
        for k in np.flatnonzero(~good):
            self.h[rows[k]] = length[k] * (min(wished[k], 0.9) if sound[k] else 0.25)
            self.target[rows[k]] = -1
        seen = None
        if self.switching and good.any():
            good, seen = self._look(rows, length, tried, np.flatnonzero(good))
        self.rejected[rows[~good]] += 1
        self._give_up(rows[~good], fixed)
        taken = np.flatnonzero(good)
        if taken.size:
            wished = np.where(fixed, self.options.fixed_step or 1.0, length * wished)
            longer = np.where(length[taken] >= remaining[taken], self.h[rows[taken]], 0.0)
            self._accept(rows, taken, length, h, tried, seen)
            landed = self.target[rows[taken]] >= 0
            self.h[rows[taken]] = np.where(
                landed, self.resume[rows[taken]], np.maximum(wished[taken], longer)
            )
            self.target[rows[taken]] = -1
        self._spend(rows)

    def _look(
        self, rows: Ints, length: Array, tried: Attempt, good: Ints
    ) -> tuple[Bools, tuple[Ints, Scan]]:
        """Where do switches end the steps ``good``? True for the lanes whose step is taken."""
        some = self._index(good)
        index = self._index(rows[good])
        pattern, steep = self.pattern[index], self.steep[index]
        nodes = tried.nodes[:, some]
        m, count, size = nodes.shape
        values = self.fields.switches(nodes.reshape(m * count, size), pattern.repeat(m, 1))
        values = values.reshape(m, count, -1)
        largest = torch.linalg.vector_norm(nodes, dim=2).amax(dim=0)[:, None]
        noise = 8.0 * self.setup.unit * largest * steep
        floor = self._floor(rows[good], largest, steep)
        found = scan(values, pattern, self.fresh[index], self.near[index], floor, noise)
        taken = np.zeros(rows.size, dtype=bool)
        value, speed = host(found.value), host(found.speed)
        blur = host(noise)
        for q, k in enumerate(good):
            row, tau = int(rows[k]), float(length[k])
            if found.broken[q] >= 0:
                text = f"switch {found.broken[q]} returns to 0 at once after its change"
                self._stop(row, FlowStatus.grazing, text)
            elif found.split[q]:
                self.h[row], self.target[row] = 0.5 * tau, -1
                self.halvings[row] += 1
                if self.halvings[row] > MOST_HALVINGS:
                    self._stop(row, FlowStatus.grazing, TWICE)
            elif found.switch[q] >= 0 or self.target[row] >= 0:
                taken[k] = self._land(row, tau, q, found, value, speed, blur)
            else:
                taken[k] = True
            if taken[k] and found.touch[q] >= 0:
                text = f"switch {found.touch[q]} comes nearer to 0 than its error and turns round"
                self._stop(row, FlowStatus.grazing, text)
                taken[k] = False
        return taken, (good, found)

    def _land(
        self, row: int, tau: float, q: int, found: Scan, value: Array, speed: Array, blur: Array
    ) -> bool:
        """Is the end of the step on the first sign change? If not, aim at it again."""
        if found.switch[q] >= 0:
            switch, off = int(found.switch[q]), (float(found.root[q]) - 1.0) * tau
        else:
            switch = int(self.target[row])
            if speed[q, switch] >= 0.0:
                self.target[row] = -1
                return True
            off = -float(value[q, switch] / speed[q, switch]) * tau
        pace = abs(float(speed[q, switch])) / tau
        close = 4.0 * UNIT * (self.t[row] + tau)
        if pace > 0.0:
            close = max(close, float(blur[q, switch]) / pace)
        if self.target[row] < 0:
            self.resume[row], self.tries[row] = self.h[row], 0
        self.target[row] = switch
        if abs(off) <= close or self.tries[row] >= MOST_LANDINGS:
            return True
        self.tries[row] += 1
        self.h[row] = max(tau + off, UNIT * (self.t[row] + tau))
        return False

    def _accept(
        self,
        rows: Ints,
        taken: Ints,
        length: Array,
        h: Tensor,
        tried: Attempt,
        seen: tuple[Ints, Scan] | None,
    ) -> None:
        """Move the lanes rows[taken] to the ends of their steps and through their switches."""
        lanes, some = rows[taken], self._index(taken)
        index = self._index(lanes)
        step = Attempt(
            tried.end[some], tried.slopes[:, some], tried.nodes[:, some], tried.error[some]
        )
        y, pattern, h = self.y[index], self.pattern[index], h[some]
        peak = self.radius[lanes]
        force, stiffness = norms(step.slopes[12]), np.zeros(lanes.size)
        if self.bounded:
            bound = step_bound(self.fields, y, h, step, pattern, dense=self.dense)
            told = np.where(np.isnan(bound.change), self.change[lanes], bound.change)
            self.change[lanes] = np.maximum(told, 0.5 * self.change[lanes])
            self.radius[lanes], peak = advance_radius(
                self.radius[lanes], length[taken], bound, self.change[lanes], self.setup.unit
            )
            # The length may have been rounded on the device, the time on the host.
            slip = np.abs(host(h) - length[taken]) + UNIT * (self.t[lanes] + length[taken])
            self.radius[lanes] += slip * bound.force
            force, stiffness = bound.force, bound.stiffness
        t0 = self.t[lanes]
        whole = (self.end[lanes] - t0) - self.carry[lanes]
        t1 = t0 + (length[taken] + self.carry[lanes])
        self.carry[lanes] = (t0 - t1) + (length[taken] + self.carry[lanes])
        done = length[taken] >= whole
        self.t[lanes] = np.where(done, self.end[lanes], t1)
        self.y[index], self.f[index] = step.end, step.slopes[12]
        self.steps[lanes] += 1
        self.halvings[lanes] = 0
        peak = np.maximum(peak, self.radius[lanes])
        self.watch.on_step(Accepted(lanes, t0, self.t[lanes], y, h, step, peak))
        if seen is not None:
            self._switch(lanes, np.searchsorted(seen[0], taken), seen[1], stiffness, force)

    # --- switches --------------------------------------------------------------------------

    def _begin(self, rows: Ints) -> None:
        """Decide the patterns of switches that vanish at the start."""
        if not self.switching:
            return
        value = self.fields.switches(self.y, self.pattern)
        size = torch.linalg.vector_norm(self.y, dim=1, keepdim=True)
        floor = self._floor(rows, size, self.steep)
        zero = value.abs() <= floor
        # A switch that stays at 0 whatever its pattern is not positive, and never will be.
        still = torch.ones_like(zero)
        for side in (False, True):
            pattern = torch.where(zero, side, self.pattern)
            speed = self.fields.speed(self.y, pattern, self.fields.slope(self.y, pattern))
            still &= (speed == 0) & (value == 0)
        self.pattern &= ~still
        together = (zero & ~still).cpu().numpy()
        self._decide(rows, together, host(value), host(floor), np.zeros(rows.size), norms(self.f))
        self.f = self.fields.slope(self.y, self.pattern)

    def _switch(self, lanes: Ints, q: Ints, found: Scan, stiffness: Array, force: Array) -> None:
        """Cross the switches on which steps have ended, and keep the marks up to date."""
        index = self._index(lanes)
        chosen = self._index(q)
        self.steep[index] = self._steep(self.y[index], self.pattern[index])
        size = torch.linalg.vector_norm(self.y[index], dim=1, keepdim=True)
        floor = self._floor(lanes, size, self.steep[index])
        value = found.value[chosen]
        self.fresh[index] &= value <= 4.0 * floor
        self.near[index] = found.near[chosen] & ~self.fresh[index]
        landed = np.flatnonzero(self.target[lanes] >= 0)
        if landed.size == 0:
            return
        pick = self._index(landed)
        together = (value[pick].abs() <= floor[pick]).cpu().numpy()
        together &= (self.steep[index][pick] > 0).cpu().numpy()
        together[np.arange(landed.size), self.target[lanes[landed]]] = True
        self._decide(
            lanes[landed],
            together,
            host(value[pick]),
            host(floor[pick]),
            stiffness[landed],
            force[landed],
        )
        crossed = self._index(lanes[landed])
        self.f[crossed] = self.fields.slope(self.y[crossed], self.pattern[crossed])
        wrong = (value[pick] < -floor[pick]).cpu().numpy() & ~together
        for k in np.flatnonzero(wrong.any(axis=1)):
            text = f"switch {int(wrong[k].argmax())} has changed its sign beside another"
            self._stop(int(lanes[landed[k]]), FlowStatus.grazing, text)

    def _decide(
        self,
        lanes: Ints,
        together: Bools,
        value: Array,
        floor: Array,
        stiffness: Array,
        force: Array,
    ) -> None:
        """Let ``cross`` decide the switches ``together``: (R, S) of the lanes."""
        busy = np.flatnonzero(together.any(axis=1))
        error = self._error(lanes, norms(self.y[self._index(lanes)]))
        places = []
        for k in busy:
            marked = np.flatnonzero(together[k])
            places.append(
                Place(
                    y=self.y[int(lanes[k])],
                    pattern=self.pattern[int(lanes[k])],
                    together=tuple(int(i) for i in marked),
                    value=value[k, marked],
                    floor=np.maximum(floor[k, marked], np.abs(value[k, marked])),
                    radius=float(error[k]),
                    stiffness=float(stiffness[k]),
                    force=float(force[k]),
                )
            )
        for k, outcome, place in zip(busy, cross(self.fields, places), places, strict=True):
            self._apply(int(lanes[k]), outcome, place)

    def _apply(self, row: int, outcome: Outcome, place: Place) -> None:
        if outcome.status is not None:
            self._stop(row, outcome.status, outcome.reason)
            return
        self.pattern[row] = outcome.pattern
        marked = torch.as_tensor(place.together, device=self.y.device)
        self.fresh[row, marked], self.near[row, marked] = True, False
        if np.isfinite(self.radius[row]):
            self.radius[row] = outcome.radius
        for flip in outcome.flips if self.steps[row] else ():
            self.kinks[row] += 1
            self.events.append(SwitchEvent(row, float(self.t[row]), *astuple(flip)))

    # --- helpers ---------------------------------------------------------------------------

    def _index(self, rows: Ints) -> Tensor:
        return torch.as_tensor(rows, dtype=torch.int64, device=self.y.device)

    def _steep(self, y: Tensor, pattern: Tensor) -> Tensor:
        """(R, S) bounds on the norms of the switches' gradients."""
        if not self.switching:
            return torch.zeros_like(pattern, dtype=y.dtype)
        return slopes_of_switches(self.fields.speeds(y, pattern, self.probes), self.exact_probes)

    def _error(self, rows: Ints, size: Array) -> Array:
        """(R,) errors of the states; the tolerance where there is no bound."""
        tolerance = self.setup.atol + self.setup.rtol * size
        radius = self.radius[rows]
        return np.where(np.isfinite(radius), radius, tolerance)

    def _floor(self, rows: Ints, size: Tensor, steep: Tensor) -> Tensor:
        """(R, S) errors of the switches, for states of norm (R, 1)."""
        error = self._error(rows, host(size)[:, 0])
        radius = torch.as_tensor(error, device=steep.device).to(steep.dtype)[:, None]
        if not self.bounded:
            radius = 0.0 * radius
        return (2.0 * radius + 8.0 * self.setup.unit * size) * steep

    def _give_up(self, rows: Ints, fixed: bool) -> None:
        """Stop lanes whose steps cannot become shorter."""
        for row in rows:
            if self.status[row] is not None or self.target[row] >= 0:
                continue
            late = self.t[row] + self.h[row] == self.t[row]
            if not (late or self.h[row] < 1e-300 or (fixed and self.halvings[row] == 0)):
                continue
            if self.halvings[row] > 0:
                self._stop(int(row), FlowStatus.grazing, TWICE)
            else:
                self._stop(int(row), FlowStatus.diverged, "the step underflows")

    def _spend(self, rows: Ints) -> None:
        for row in rows:
            if self.status[row] is not None:
                continue
            if self.t[row] >= self.end[row]:
                self.status[row] = FlowStatus.ok
            elif self.steps[row] + self.rejected[row] >= self.options.max_steps:
                self._stop(int(row), FlowStatus.budget, "max_steps")
            elif self.kinks[row] > self.options.max_kinks:
                self._stop(int(row), FlowStatus.budget, "max_kinks")

    def _stop(self, row: int, status: FlowStatus, text: str) -> None:
        self.status[row] = status
        self.reason[row] = f"at t = {self.t[row]:.9g}: {text}; {status.value}"
