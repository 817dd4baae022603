"""mcugen compiles ONNX models to standalone int8 C for microcontrollers.

    import mcugen

    graph = mcugen.load("model.onnx")
    quantized = mcugen.quantize(graph, "calib.npz")
    package = mcugen.compile(quantized, target="cortex-m4").write("build/model")
    mcugen.verify(package)
    print(mcugen.simulate(package).cycles)

or all of it, as `mcugen build` does: `mcugen.build("model.onnx", calibrate="calib.npz", target="cortex-m4")`.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcugen.build_flow import Built as Built
    from mcugen.build_flow import build as build
    from mcugen.config import BuildOptions as BuildOptions
    from mcugen.errors import CalibrationError as CalibrationError
    from mcugen.errors import DoesNotFit as DoesNotFit
    from mcugen.errors import McugenError as McugenError
    from mcugen.errors import ToolchainError as ToolchainError
    from mcugen.errors import UnsupportedModel as UnsupportedModel
    from mcugen.errors import VerificationFailed as VerificationFailed
    from mcugen.evaluation import Evaluation as Evaluation
    from mcugen.graph import Graph as Graph
    from mcugen.package import Package as Package
    from mcugen.package import open_package as open_package
    from mcugen.pipeline import Compiled as Compiled
    from mcugen.pipeline import Quantized as Quantized
    from mcugen.plan.schedule import Goal as Goal
    from mcugen.simulation import Simulation as Simulation
    from mcugen.targets import Target as Target
    from mcugen.targets import load_target as load_target
    from mcugen.verbs import Pruned as Pruned
    from mcugen.verbs import compile as compile
    from mcugen.verbs import evaluate as evaluate
    from mcugen.verbs import evaluate_layers as evaluate_layers
    from mcugen.verbs import infer as infer
    from mcugen.verbs import load as load
    from mcugen.verbs import prune as prune
    from mcugen.verbs import quantize as quantize
    from mcugen.verbs import simulate as simulate
    from mcugen.verbs import stream as stream
    from mcugen.verbs import verify as verify
    from mcugen.verification import Verification as Verification

__version__ = "0.1.0"

_ERRORS = "CalibrationError DoesNotFit McugenError ToolchainError UnsupportedModel VerificationFailed"
_VERBS = "compile evaluate evaluate_layers infer load prune quantize simulate stream verify"
_HOMES = {
    "build_flow": "Built build",
    "config": "BuildOptions",
    "errors": _ERRORS,
    "evaluation": "Evaluation",
    "graph": "Graph",
    "package": "Package open_package",
    "pipeline": "Compiled Quantized",
    "plan.schedule": "Goal",
    "simulation": "Simulation",
    "targets": "Target load_target",
    "verbs": f"Pruned {_VERBS}",
    "verification": "Verification",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = sorted(_HOME_OF)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that `import mcugen` is quick."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'mcugen' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"mcugen.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF})


class _Public(ModuleType):
    """Keeps the verbs `quantize` and `prune` from being hidden by the folders of these names when they are imported."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOME_OF and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Public
