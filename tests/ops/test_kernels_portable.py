"""Every operator's plain kernels against its integer reference, bit for bit; and the reference against float."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from mcugen.ops import operators

sys.path.insert(0, str(Path(__file__).parent))
from harness import quantized, real, run_as_c

NAMES = list(operators())


@pytest.mark.parametrize("name", NAMES)
def test_c_equals_reference(name: str, tmp_path: Path) -> None:
    assert run_as_c([quantized(case) for case in operators()[name].cases()], tmp_path) == []


@pytest.mark.parametrize("name", NAMES)
def test_reference_is_near_float(name: str) -> None:
    """The integer result strays from the float one by no more than the operands' rounding can move it."""
    for case in operators()[name].cases():
        result = quantized(case)
        for output in case.graph.outputs:
            quant = result.graph.tensors[output].quant
            assert quant is not None
            want = result.wanted[output]
            assert result.values[output].shape == quant.held_shape(want.shape)
            got = real(quant, result.values[output], want.shape)
            spread = float(np.ptp(want)) or 1.0
            assert np.abs(got - want).max() <= max(0.06 * spread, 2 * float(quant.scale)), case.name
