"""Flash, RAM, stack and cycles of the example models on the emulated cores; `make budgets` renews budgets.json."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from mcugen import pipeline
from mcugen.bench_kernels import bench_kernels
from mcugen.pipeline import Quantized
from mcugen.plan.schedule import Goal
from mcugen.quantize.calibration import load_samples
from mcugen.quantize.precision import INT8, choose_precision
from mcugen.run.toolchain import Compiler, find_cross_compiler
from mcugen.simulation import core_of, simulate_package

ROOT = Path(__file__).parents[2]
BUDGETS = Path(__file__).with_name("budgets.json")
MODELS = ("digits", "motion", "tabular")
ROWS = (
    ("cortex-m4", "speed"),
    ("cortex-m4", "balanced"),
    ("cortex-m4", "size"),
    ("cortex-m4", "ram"),
    ("cortex-m", "balanced"),
    ("cortex-m0plus", "balanced"),
    ("riscv32", "balanced"),
)
KERNELS = "kernels cortex-m4"
LIMITED = {"digits cortex-m4 1800-bytes": Goal(ram=1800)}
"""What keeps a limit of RAM row by row."""
STREAMS = ("motion-exact", "motion-causal")
"""A model and the padding of its stream."""
MIXED = {"digits-int16": "int16", "digits-int4": "int4", "motion-int16-int4": "int16+int4"}
"""A model and words for its precision."""
KEYS = [*(f"{model} {target} {optimize}" for model in MODELS for target, optimize in ROWS), *LIMITED]
KEYS += [f"{model} cortex-m4 balanced" for model in (*STREAMS, *MIXED)]


@cache
def quantized(model: str) -> Quantized:
    if model in STREAMS:
        plain, padding = model.split("-")
        return pipeline.stream(quantized(plain), {"window": 2}, padding=padding)
    folder = model.split("-", maxsplit=1)[0]
    graph = pipeline.load(ROOT / f"examples/{folder}/{folder}.onnx")
    samples = load_samples(graph, ROOT / f"examples/{folder}/calib.npz")
    return pipeline.quantize(graph, samples, effort="fast", precision=choose_precision(graph, MIXED.get(model, INT8)))


def compiler_for(key: str, choice: str) -> Compiler:
    return find_cross_compiler(core_of(key.split()[1], None), choice)


def measure(key: str, choice: str) -> dict[str, int]:
    """Bytes and cycles for one row of the table."""
    model, target, optimize = key.split()
    core = core_of(target, None)
    goal = LIMITED.get(key) or Goal(optimize)
    compiled = pipeline.compile_model(quantized(model), target=core, goal=goal)
    with tempfile.TemporaryDirectory(prefix="mcugen-") as folder:
        run = simulate_package(compiled.stage(Path(folder) / model), core, vectors=2, compiler=choice)
    assert run.cycles is not None
    return {"flash": run.sizes.flash_total, "ram": run.sizes.arena, "stack": run.stack, "cycles": run.cycles}


def measure_kernels(choice: str) -> dict[str, int]:
    """Cycles of every kind of layer alone on a Cortex-M4."""
    return {row.layer: row.cycles for row in bench_kernels("cortex-m4", compiler=choice)}


def measure_all(choices: tuple[str, ...] = ("gcc", "zig")) -> dict[str, dict[str, dict[str, int]]]:
    table: dict[str, dict[str, dict[str, int]]] = {}
    for choice, key in _pairs(choices):
        table.setdefault(compiler_for(key, choice).version, {})[key] = measure(key, choice)
    for choice in choices:
        table[compiler_for(KERNELS, choice).version][KERNELS] = measure_kernels(choice)
    return table


def _pairs(choices: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    return ((choice, key) for choice in choices for key in KEYS)


if __name__ == "__main__":
    BUDGETS.write_text(json.dumps(measure_all(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
