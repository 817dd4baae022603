"""The integers that a layer's weights may take: what rounding snaps to, and steps along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

INT8_LIMIT = 127


@dataclass(frozen=True)
class Grid:
    """All integers in [-limit, limit], or sorted `levels` only; times `factors` [groups, outputs, depth] where there are any.

    Values are weights divided by their channel's scale, float64 [groups, outputs, depth] or one column [groups, outputs].
    """

    limit: int = INT8_LIMIT
    levels: Array | None = None
    factors: Array | None = None

    def nearest(self, values: Array) -> Array:
        """The nearest integers."""
        return self._nearest(values, self.factors)

    def nearest_in_column(self, values: Array, column: Array) -> Array:
        """The nearest integers for weight number `column` [groups] of every output."""
        factors = self.factors
        return self._nearest(values, None if factors is None else factors[np.arange(len(column)), :, column])

    def _nearest(self, values: Array, factors: Array | None) -> Array:
        if factors is not None:
            values = values / factors
        if self.levels is None:
            found = np.clip(np.rint(values), -self.limit, self.limit)
        else:
            found = self.levels[np.searchsorted((self.levels[1:] + self.levels[:-1]) / 2, values)]
        return np.asarray(found if factors is None else found * factors)

    def gaps(self, integers: Array) -> tuple[Array, Array]:
        """How far the next integer of the grid lies above and below each, 0 where there is none."""
        return self._gaps(integers, self.factors)

    def gaps_at(self, integers: Array, at: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        """The same of integers that stand at the places `at` (groups, outputs, columns)."""
        return self._gaps(integers, None if self.factors is None else self.factors[at])

    def _gaps(self, integers: Array, factors: Array | None) -> tuple[Array, Array]:
        unit = integers if factors is None else integers / factors
        if self.levels is None:
            up, down = (unit < self.limit).astype(float), (unit > -self.limit).astype(float)
        else:
            index = np.searchsorted(self.levels, unit)
            up = np.append(np.diff(self.levels), 0)[index]
            down = np.append(0, np.diff(self.levels))[index]
        return (up, down) if factors is None else (up * factors, down * factors)


INT8_GRID = Grid()
