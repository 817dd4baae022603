"""Layer normalization over the last axis: exact sums, one integer square root and one division a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from mcugen.fixed_point import INT32_LIMIT, saturate
from mcugen.graph import Graph, Node, QuantParams, Tensor
from mcugen.kernels import variants
from mcugen.ops.builder import GraphBuilder
from mcugen.ops.importing import normal_axis, reshaped
from mcugen.ops.operator import Case, Importer, Lowering, Operator, QuantContext, Spec, apply_clip, integer_bounds
from mcugen.ops.refusal import refusal
from mcugen.program import KernelCall

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]

LONGEST_ROW = 32768
"""Up to here all sums fit: squares below 2^30, columns times an element below 2^23."""
LARGEST_SHIFT = 22
ROOT_ERROR = 2.0**-14
"""Relative: the 16-bit square root is at most 2^-15 too small, its reciprocal rounded to 2^-16."""


class LayerNorm(Operator):
    """`x` [..., n] -> `(x - mean) / sqrt(variance + epsilon) * scale + offset`, `scale` and `offset` [n].

    Integer meaning, for a row of n integers q: `c = n * q - sum(q)` and `D = n * sum(q^2) - sum(q)^2 + E`, where E is
    epsilon at that scale, at least 1 and rounded, so that c / sqrt(D) is the normalized value.  D is scaled by 4^-e
    into [2^30, 2^32), R is the integer square root of that, `v = (2^31 + R // 2) // R`, and
    `t = (c * v + half) >> (31 + e - f)` has f bits behind the point.  At last
    `y = clamp(sat8((t * gain + offset) >> shift))`.
    Error against the real value r / s_y with that epsilon and the normalized value u, in output steps: a half, and
    `|scale| / s_y * (2^-(f + 1) + 2^-14 * |u|) + 2^-shift * (|u| * 2^f + 2) / 2`.
    """

    name: ClassVar[str] = "layer_norm"
    onnx: ClassVar[tuple[str, ...]] = ("LayerNormalization",)
    vectorwise: ClassVar[bool] = True
    fuses_clip: ClassVar[bool] = True

    def from_onnx(self, importer: Importer) -> Sequence[str]:
        inputs = [*importer.inputs(), ""][:3]
        if importer.output_count() > 1:
            raise importer.unsupported("its outputs of mean and deviation are not supported", "export it for inference")
        shape = importer.shape(inputs[0])
        axis = normal_axis(importer, int(importer.attr("axis", -1)), len(shape))
        tail = shape[axis:]
        size = int(np.prod(tail, dtype=np.int64))
        constants = []
        for name, default, stem in ((inputs[1], 1.0, "scale"), (inputs[2], 0.0, "offset")):
            data = importer.constant(name) if name else np.array(default)
            if data is None:
                raise importer.unsupported(f"its {stem} is computed by the model, not constant")
            full = np.broadcast_to(data.astype(np.float32), tail).reshape(size)
            constants.append(importer.add_constant(np.ascontiguousarray(full), stem))
        x = reshaped(importer, inputs[0], (*shape[:axis], size))
        y = importer.emit("layer_norm", [x, *constants], epsilon=float(importer.attr("epsilon", 1e-5)))
        return [reshaped(importer, y, shape)]

    def infer(self, node: Node, inputs: Sequence[Tensor]) -> list[Spec]:
        return [Spec(inputs[0].shape)]

    def evaluate(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        x, scale, offset = inputs
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = (centred * centred).mean(axis=-1, keepdims=True)
        y = centred / np.sqrt(variance + node.attrs["epsilon"]) * scale + offset
        return [apply_clip(node, y.astype(x.dtype))]

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        in_quant, out_quant = context.activations[node.inputs[0]], context.activations[node.outputs[0]]
        columns = graph.tensors[node.inputs[0]].shape[-1]
        epsilon = max(1.0, np.rint(columns**2 * node.attrs["epsilon"] / float(in_quant.scale) ** 2))
        if columns > LONGEST_ROW or epsilon >= INT32_LIMIT:
            raise refusal(
                node,
                graph,
                f"{columns} values a row with an epsilon of {epsilon:.4g} integer steps do not fit its sums",
                hint=f"at most {LONGEST_ROW} values; check the calibration data if the input's range is far too small",
            )
        found = _gains(graph.constant(node.inputs[1]), graph.constant(node.inputs[2]), out_quant, columns)
        if found is None:
            raise refusal(
                node, graph, "its scale or offset is too large for 16-bit gains", hint="check the calibration data"
            )
        gain, offset, shift = found
        attrs = {"epsilon": int(epsilon), "fraction_bits": fraction_bits(columns), "shift": shift}
        result = replace(node, inputs=node.inputs[:1], attrs=attrs | integer_bounds(node, out_quant))
        return result, {"gain": gain, "offset": offset}

    def reference(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        q, gain, offset = (array.astype(np.int64) for array in inputs)
        a, columns = node.attrs, q.shape[-1]
        total = q.sum(axis=-1, keepdims=True)
        spread = columns * (q * q).sum(axis=-1, keepdims=True) - total * total
        inverse, exponent = inverse_root(spread + a["epsilon"])
        down = 31 + exponent - a["fraction_bits"]
        normal = ((columns * q - total) * inverse + (np.int64(1) << (down - 1))) >> down
        return [saturate((normal * gain + offset) >> a["shift"], a["act_min"], a["act_max"])]

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        x = graph.tensors[node.inputs[0]]
        columns = x.shape[-1]
        fields = ("epsilon", "fraction_bits", "shift", "act_min", "act_max")
        params = {"rows": x.size // columns, "columns": columns} | {field: int(node.attrs[field]) for field in fields}
        call = KernelCall(
            "mcugen_layer_norm_s8",
            ("layer_norm_s8.h",),
            params,
            {"gain": graph.constant(node.inputs[1]), "offset": graph.constant(node.inputs[2])},
            overlap={0: 0},
            cycles=x.size * 25.0 + x.size / columns * 400.0,
            code_bytes=260,
        )
        return [Lowering((call,)), *(Lowering((c,)) for c in variants(self.name, call, target))]

    def permute(self, node: Node, graph: Graph, perm: tuple[int, ...]) -> Node | None:
        return node if perm[-1] == len(perm) - 1 else None

    def cases(self) -> Iterator[Case]:
        shapes: list[tuple[str, tuple[int, ...], float, dict[str, Any]]] = [
            ("rows", (1, 5, 32), 1.0, {}),
            ("odd", (1, 3, 7), 0.02, {"clip_min": 0.0}),
            ("vector", (1, 300), 50.0, {"epsilon": 1e-3}),
            ("constant_rows", (1, 6, 1), 1.0, {}),
            ("near_epsilon", (1, 4, 16), 0.004, {"epsilon": 1e-4}),
        ]
        for name, shape, reach, attrs in shapes:
            rng = np.random.default_rng([*shape])
            builder = GraphBuilder(f"layer_norm_{name}")
            x = builder.input("x", shape)
            scale = builder.constant(rng.normal(1, 0.5, shape[-1]), "scale")
            offset = builder.constant(rng.normal(size=shape[-1]), "offset")
            chosen = {"epsilon": 1e-5} | attrs
            yield Case(name, builder.output(builder.emit("layer_norm", [x, scale, offset], **chosen)), -reach, reach)


def fraction_bits(columns: int) -> int:
    """As many as keep a normalized value, at most sqrt(columns), within 15 bits."""
    return 15 - int(np.ceil(np.log2(columns) / 2))


def inverse_root(x: Array) -> tuple[Array, Array]:
    """`v` and `e` with `1 / sqrt(x) ~ v / 2^(31 + e)`, for int64 x > 0; twin of mcugen_inverse_root."""
    x, exponent = x.copy(), np.zeros_like(x)
    while np.any(large := x >= 1 << 32):
        x, exponent = np.where(large, x >> 2, x), exponent + large
    while np.any(small := x < 1 << 30):
        x, exponent = np.where(small, x << 2, x), exponent - small
    root = np.floor(np.sqrt(x.astype(np.float64))).astype(np.int64)
    return ((1 << 31) + root // 2) // root, exponent


def _gains(scale: Array, offset: Array, out_quant: QuantParams, columns: int) -> tuple[Array, Array, int] | None:
    """int16 gains, int32 offsets and the largest shift with which nothing overflows; None where even 0 is too much."""
    bits = fraction_bits(columns)
    largest = np.floor(np.sqrt(columns) * (1 + ROOT_ERROR) * 2.0**bits) + 1
    ratios = scale.astype(np.float64) / float(out_quant.scale)
    zeros = offset.astype(np.float64) / float(out_quant.scale) + int(out_quant.zero_point)
    for shift in range(LARGEST_SHIFT, -1, -1):
        gain = np.floor(ratios * 2.0 ** (shift - bits) + 0.5)
        constant = np.floor(zeros * 2.0**shift + 0.5) + ((1 << shift) >> 1)
        if np.abs(gain).max() <= 32767 and (np.abs(gain) * largest + np.abs(constant)).max() < INT32_LIMIT:
            return gain.astype(np.int16), constant.astype(np.int32), shift
    return None
