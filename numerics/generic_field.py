"""A user's loss, switches and quantities as batched torch functions of flat states.

A state is a row theta: (R, N) that holds all parameters of one trajectory one after another;
``pattern``: (R, S) says which switch functions are held positive, S = 0 without switches. The
functions are written for one trajectory and vectorised by ``torch.func.vmap``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import grad, grad_and_value, hessian, jvp, vmap

from numerics.descent_graph import COMPARED, SHAPED, SIGNED, operation, trace
from numerics.errors import NumericsError

Array = NDArray[np.float64]
Params = dict[str, Tensor]

DTYPES = {"float64": torch.float64, "float32": torch.float32}


def device_of(name: str) -> torch.device:
    """The torch device for "cpu", "cuda" or "auto"; without a GPU the CPU, with a warning.

    Raises:
        NumericsError: another name.
    """
    if name not in {"cpu", "cuda", "auto"}:
        raise NumericsError(f"unknown device {name!r}; use cpu, cuda or auto")
    if name == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    warnings.warn(
        f"device={name!r}: no CUDA GPU is available to torch, so this runs on the CPU; "
        "use device='cpu' to say so",
        RuntimeWarning,
        stacklevel=4,
    )
    return torch.device("cpu")


class Layout:
    """How named parameters lie in a flat state."""

    def __init__(self, start: Mapping[str, Array]) -> None:
        self.shapes = {name: array.shape[1:] for name, array in start.items()}
        self.sizes = [int(np.prod(shape)) for shape in self.shapes.values()]
        self.lanes = next(iter(start.values())).shape[0]
        self.size = sum(self.sizes)

    def flat(self, start: Mapping[str, Array]) -> Array:
        """(B, N)."""
        return np.concatenate([a.reshape(self.lanes, -1) for a in start.values()], axis=1)

    def params(self, theta: Tensor) -> Params:
        """The parameters of one trajectory from theta: (N,)."""
        parts = torch.split(theta, self.sizes)
        return {
            name: part.reshape(shape)
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }

    def arrays(self, theta: Array) -> dict[str, Array]:
        """The parameters (..., shape) from theta: (..., N)."""
        parts = np.split(theta, np.cumsum(self.sizes)[:-1], axis=-1)
        return {
            name: part.reshape(*theta.shape[:-1], *shape)
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }


class Fields:
    """Batched evaluations of the flow theta' = -grad loss(theta, pattern).

    Args:
        loss, switches: of one trajectory. quantities: of one trajectory, without a pattern.
    """

    def __init__(
        self,
        layout: Layout,
        loss: Callable[..., Tensor],
        switches: Callable[..., Tensor] | None,
        quantities: Mapping[str, Callable[[Params], Tensor]],
    ) -> None:
        self.layout = layout
        params = layout.params

        def loss_at(theta: Tensor, pattern: Tensor) -> Tensor:
            return loss(params(theta)) if switches is None else loss(params(theta), pattern)

        def switches_at(theta: Tensor, pattern: Tensor | None) -> Tensor:
            if switches is None:
                return theta.new_zeros(0)
            return switches(params(theta), pattern)

        def slope(theta: Tensor, pattern: Tensor) -> Tensor:
            return -grad(loss_at)(theta, pattern)

        def speed(theta: Tensor, pattern: Tensor, direction: Tensor) -> Tensor:
            return jvp(lambda a: switches_at(a, pattern), (theta,), (direction,))[1]

        def switch_slope(theta: Tensor, pattern: Tensor, index: Tensor) -> Tensor:
            return grad(lambda a: switches_at(a, pattern).index_select(0, index[None])[0])(theta)

        self.loss_at, self.switches_at, self.slope_at = loss_at, switches_at, slope
        self.loss: Callable[..., Tensor] = vmap(loss_at)
        self.slope: Callable[..., Tensor] = vmap(slope)
        self.hessian: Callable[..., Tensor] = vmap(hessian(loss_at))
        self.switches: Callable[..., Tensor] = vmap(switches_at)
        self.speed: Callable[..., Tensor] = vmap(speed)
        # (R, N), (R, S) and indices (R,) -> the gradients (R, N) of these switches.
        self.switch_gradients: Callable[..., Tensor] = vmap(switch_slope)
        # One state, several directions: (R, N), (R, S), (D, N) -> (R, D, S).
        self.speeds: Callable[..., Tensor] = vmap(
            vmap(speed, in_dims=(None, None, 0)), in_dims=(0, 0, None)
        )
        self.quantities: dict[str, Callable[..., tuple[Tensor, Tensor]]] = {
            name: _with_gradient(function, params) for name, function in quantities.items()
        }


def _with_gradient(
    function: Callable[[Params], Tensor], params: Callable[[Tensor], Params]
) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """theta: (R, N) -> gradients (R, N) and values (R,)."""
    batched: Callable[[Tensor], tuple[Tensor, Tensor]] = vmap(
        grad_and_value(lambda theta: function(params(theta)))
    )
    return batched


def _raised(what: str, error: Exception) -> str:
    return f"{what} cannot be evaluated at the start: {type(error).__name__}: {error}; repair it"


def _scalar(what: str, function: Callable[[], Any], theta: Tensor) -> None:
    """Call a function of one trajectory and insist on a scalar of the state's type."""
    try:
        value = function()
    except TypeError as error:
        raise NumericsError(
            f"{what} cannot be called as it is declared: {error}; without switches it takes "
            "(params), with switches the loss takes (params, pattern)"
        ) from error
    except Exception as error:
        raise NumericsError(_raised(what, error)) from error
    if not isinstance(value, Tensor):
        raise NumericsError(f"{what} returns {type(value).__name__}; return a torch tensor")
    if value.shape != ():
        raise NumericsError(
            f"{what} returns the shape {tuple(value.shape)} for one trajectory; return a scalar, "
            "such as the sum or the mean over the data points"
        )
    if value.dtype != theta.dtype:
        raise NumericsError(
            f"{what} returns {value.dtype} for parameters of {theta.dtype}; convert the data "
            "to the type of the parameters"
        )


def check_functions(
    fields: Fields, theta: Tensor, quantities: Mapping[str, Callable[[Params], Tensor]]
) -> Tensor:
    """Try every function on the first trajectory, then on all; the patterns (B, S) at the start.

    Raises:
        NumericsError: a value that is no scalar, another type than the parameters', switches that
            are not (S,), a loss or a gradient that is not finite at the start, a loss that is not
            the same when it is evaluated again, or code that raises or cannot be vectorised.
    """
    first = theta[0]
    try:
        signs = fields.switches_at(first, None)
    except TypeError as error:
        raise NumericsError(f"switches takes (params, pattern): {error}") from error
    except Exception as error:
        raise NumericsError(_raised("switches", error)) from error
    if not isinstance(signs, Tensor) or signs.ndim != 1:
        raise NumericsError("switches must return a tensor (S,) for one trajectory")
    pattern = signs > 0
    _scalar("the loss", lambda: fields.loss_at(first, pattern), theta)
    for name, function in quantities.items():
        _scalar(
            f"the quantity {name!r}",
            lambda function=function: function(fields.layout.params(first)),  # type: ignore[misc]
            theta,
        )
    try:
        patterns: Tensor = vmap(lambda a: fields.switches_at(a, None) > 0)(theta)
        if fields.switches(theta, patterns).shape != patterns.shape:
            raise NumericsError("switches must return the same shape (S,) with and without pattern")
        values, slopes = fields.loss(theta, patterns), fields.slope(theta, patterns)
        again = fields.loss(theta, patterns)
        for quantity in fields.quantities.values():
            quantity(theta)
    except NumericsError:
        raise
    except Exception as error:
        raise NumericsError(
            "the loss, the switches or a quantity cannot be vectorised and differentiated: use "
            "torch operations on the parameters only, torch.where in place of if, and nothing in "
            f"place: {error}"
        ) from error
    # On a GPU sums may be taken in another order.
    if not torch.allclose(
        values, again, rtol=0 if theta.device.type == "cpu" else 1e-5, equal_nan=True, atol=0
    ):
        raise NumericsError(
            "the loss has other values when it is evaluated again; draw its random numbers before"
        )
    for what, array in (("loss", values), ("gradient", slopes)):
        bad = torch.nonzero(~torch.isfinite(array.reshape(theta.shape[0], -1)).all(dim=1))
        if bad.numel():
            lane = int(bad[0, 0])
            raise NumericsError(
                f"the {what} is not finite at the start of trajectory {lane}; start elsewhere or "
                "rescale the data"
            )
    return patterns


JUMPS = SIGNED | (COMPARED - {"eq", "ne"}) | {"threshold_backward", "hardtanh_backward", "sort"}
JUMPS |= {"clamp", "clamp_min", "clamp_max", "amax", "amin", "max", "min", "topk", "argmax"}
JUMPS |= {"argmin", "floor", "ceil", "round", "trunc", "frac", "fmod", "remainder"}


def undeclared(fields: Fields, theta: Tensor, pattern: Tensor) -> list[str]:
    """Names of operations in the gradient of the loss that may jump, at states (R, N) and patterns (R, S).

    A declared switch leaves no trace: for a given pattern both functions are smooth. Equality with a number, as in the
    derivative of a norm, is met at single points only, and is not listed.
    """
    graph = trace(lambda a: fields.slope_at(a, pattern[0]), theta[0]).graph
    moving, found = {next(iter(graph.nodes))}, set()
    for node in graph.nodes:
        if moving.intersection(node.all_input_nodes) and operation(node) not in SHAPED:
            moving.add(node)
            found |= {operation(node)} & JUMPS
    return sorted(found)


def host(a: Tensor) -> Array:
    """A tensor as a float64 array."""
    return a.detach().to("cpu", torch.float64).numpy()


def norms(a: Tensor) -> Array:
    """(R,) Euclidean norms of rows (R, N)."""
    return host(torch.linalg.vector_norm(a, dim=1))
