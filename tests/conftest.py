"""What all tests share: building a graph into a folder of C."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mcugen.graph import Graph
from mcugen.package import Package
from mcugen.pipeline import compile_model, quantize

BuildPackage = Callable[..., Package]


@pytest.fixture
def build_package(tmp_path: Path) -> BuildPackage:
    """A function `(graph, samples, target=...) -> Package` that quantizes, compiles and writes into a temporary folder."""

    def build(graph: Graph, samples: dict[str, object], *, target: str = "cortex-m") -> Package:
        quantized = quantize(graph, samples)  # type: ignore[arg-type]
        return compile_model(quantized, target=target).write(tmp_path / "package")

    return build
