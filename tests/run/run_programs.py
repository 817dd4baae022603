"""The small C programs that the tests of this folder run, and what they compute."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from mcugen.run.interface import Int8Array, ModelInterface
from mcugen.run.toolchain import Compiler, find_cross_compiler
from mcugen.targets import Target, list_targets

PROGRAMS = Path(__file__).parent / "programs"
PAIR = ModelInterface("pair", (("image", 144), ("divisors", 64)), (("features", 64), ("quotients", 64)))
PAIR_SOURCES = [PROGRAMS / "pair.c", PROGRAMS / "pair_weights.c"]
PAIR_ARENA = 4 + 144 + 64 + 64 + 64
PAIR_CONSTANTS = 144 + 4 * 4
TINY = ModelInterface("tiny", (("x", 1),), (("y", 1),))
TINY_SOURCES = [PROGRAMS / "tiny.c"]
COUNTED = ModelInterface("counted", (("x", 64),), (("y", 64),))
COUNTED_SOURCES = [PROGRAMS / "counted.c"]

# the generic target is compiled and emulated as a core that is in the list anyway
EMULATED = [target for target in list_targets() if target.family != "host" and not target.generic]
IN_UNICORN = [target for target in EMULATED if target.unicorn is not None]
COMPILERS = ("gcc", "zig")


def qemu_missing(target: Target) -> bool:
    return target.qemu is None or shutil.which(target.qemu.program) is None


def cross_compiler(target: Target, kind: str) -> Compiler:
    """The compiler of that kind; the test is skipped where a GNU compiler is not installed (zig comes with mcugen)."""
    name = {"arm": "arm-none-eabi-gcc", "riscv": "riscv64-unknown-elf-gcc"}[target.family]
    if kind == "gcc" and shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    return find_cross_compiler(target, kind)


def pair_vectors(count: int, seed: int = 0) -> list[Int8Array]:
    rng = np.random.default_rng(seed)
    return [rng.integers(-128, 128, (count, size)).astype(np.int8) for _, size in PAIR.inputs]


def pair_reference(inputs: list[Int8Array]) -> list[Int8Array]:
    """What pair.c computes, from its source's constants."""
    text = (PROGRAMS / "pair_weights.c").read_text(encoding="utf-8")
    tables = [[int(n) for n in re.findall(r"-?\d+", body)] for body in re.findall(r"= \{(.*?)\}", text, re.S)]
    weights, bias = np.array(tables[0]).reshape(4, 3, 3, 4), np.array(tables[1])
    images = inputs[0].astype(np.int64).reshape(-1, 6, 6, 4)
    windows = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(1, 2))
    sums = np.einsum("nyxcij,oijc->nyxo", windows, weights) + bias
    features = np.clip(((sums * 5000000 + (1 << 31)) >> 32) - 3, -128, 127).reshape(len(images), 64)
    divisors = inputs[1].astype(np.int64)
    truncated = np.fix(features * 8 / np.where(divisors == 0, 1, divisors)).astype(np.int64)
    quotients = np.clip(np.where(divisors == 0, 0, truncated), -128, 127)
    return [features.astype(np.int8), quotients.astype(np.int8)]
