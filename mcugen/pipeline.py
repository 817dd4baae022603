"""The compiler on one screen: each stage is a plain function of the one before."""

from __future__ import annotations

from mcugen.graph import Graph
from mcugen.passes.fold_affine import fold_affine
from mcugen.passes.fold_transpose_into_weights import fold_transpose_into_weights
from mcugen.passes.fuse_clip import fuse_clip
from mcugen.passes.merge_reshapes import merge_reshapes
from mcugen.passes.move_transposes import move_transposes

FLOAT_PASSES = (move_transposes, merge_reshapes, fold_transpose_into_weights, move_transposes, merge_reshapes, fold_affine, fuse_clip)


def canonical(graph: Graph) -> Graph:
    """The float graph after all exact rewriting, checked after every pass."""
    for run in FLOAT_PASSES:
        graph = run(graph).check()
    return graph
