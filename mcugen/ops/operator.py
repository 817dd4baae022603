"""The contract of an operator: everything that mcugen knows of it is in one class, in one file of this folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from mcugen.errors import UnsupportedModel
from mcugen.graph import Graph, Node, QuantParams, Tensor
from mcugen.program import KernelCall

if TYPE_CHECKING:
    from mcugen.targets import Target

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Spec:
    """The shape and dtype of an output."""

    shape: tuple[int, ...]
    dtype: str = "float32"


@dataclass(frozen=True)
class Cost:
    """What one inference of a node costs, whatever the target: multiply-accumulates, and elements written."""

    macs: int = 0
    elements: int = 0


@dataclass(frozen=True)
class Keep:
    """What of a node's output lives on to the next run: `size` bytes from `offset` on, each `initial` before the first run.

    `call` moves them there, from within the output, behind the last step that reads it.
    """

    call: KernelCall
    offset: int
    size: int
    initial: int


@dataclass(frozen=True)
class Lowering:
    """One way to run a node: calls in order; no calls and `view` = the output is the bytes of input 0 as they lie."""

    calls: tuple[KernelCall, ...] = ()
    view: bool = False
    keep: Keep | None = None

    @property
    def cycles(self) -> float:
        return sum(call.cycles for call in self._all_calls)

    @property
    def flash(self) -> int:
        """Bytes of constants and code without `shared_code`."""
        return sum(call.weight_bytes + call.code_bytes for call in self._all_calls)

    @property
    def _all_calls(self) -> tuple[KernelCall, ...]:
        return self.calls if self.keep is None else (*self.calls, self.keep.call)

    @property
    def shared_code(self) -> dict[str, int]:
        """The functions that are in a firmware once, whoever calls them, and their bytes."""
        return {name: size for call in self.calls for name, size in call.shared_code.items()}

    @property
    def scratch(self) -> int:
        return max((call.scratch for call in self.calls), default=0)


@dataclass(frozen=True)
class RowWindow:
    """Which rows (axis 1) of its inputs an operator needs for a row of its output.

    Output row `r` is computed from the `kernel` rows from `r * stride - pad_top` on, of every activation; a row beside the
    image holds `pad_value` everywhere.
    """

    kernel: int = 1
    stride: int = 1
    pad_top: int = 0
    pad_value: int = 0


@dataclass(frozen=True)
class Case:
    """A test case of an operator: a small float graph that uses it; inputs are drawn from [low, high]."""

    name: str
    graph: Graph
    low: float = -1.0
    high: float = 1.0


class Importer(Protocol):
    """What an operator's `from_onnx` may ask of the reader and do with it (implemented by onnx_reader)."""

    opset: int

    @property
    def label(self) -> str:
        """`node 'NAME' (OpType)`, for messages."""

    def inputs(self) -> list[str]:
        """Graph tensor names of the ONNX node's inputs; '' for an omitted optional one."""

    def output_count(self) -> int:
        """How many outputs the ONNX node has, up to the last one that is used."""

    def output_used(self, index: int) -> bool:
        """Whether anything reads the ONNX node's output `index`."""

    def attr(self, name: str, default: Any = None) -> Any: ...

    def attrs(self) -> Mapping[str, Any]: ...

    def shape(self, name: str) -> tuple[int, ...]: ...

    def constant(self, name: str) -> Array | None:
        """The data of a constant tensor; None for '' and for a tensor that is not constant."""

    def producer(self, name: str) -> Node | None:
        """The node that makes a tensor; None for inputs and constants."""

    def quant(self, name: str, axis: int) -> QuantParams | None:
        """How the model stores a constant in integers, per tensor or along `axis`, which becomes axis 0; None where it does not."""

    def add_constant(self, data: Array, stem: str = "const", quant: QuantParams | None = None) -> str: ...

    def emit(self, op: str, inputs: Sequence[str], **attrs: Any) -> str:
        """Append a node with one output; shapes are inferred; returns the output's name."""

    def emit_many(self, op: str, inputs: Sequence[str], count: int, **attrs: Any) -> list[str]: ...

    def unsupported(self, reason: str, hint: str | None = None) -> UnsupportedModel:
        """An error that names the node; the caller raises it."""


@dataclass(frozen=True)
class QuantContext:
    """What `Operator.quantize` is given: chosen parameters of activations, and integer weights already rounded.

    `weights[name] = (integers, scale)` holds the rounded weights of the node of that name, in the axis order of its float
    weights, with the scale per output channel; of a recurrent node both matrices side by side, with a scale of each per row.
    """

    activations: Mapping[str, QuantParams]
    weights: Mapping[str, tuple[Array, Array]] = field(default_factory=dict)


class Operator:
    """One operator.  Activations are channels-last; axis 0 is the batch, 1 in the graph and any size in the arrays given
    to `evaluate` and `reference` where `batchable` says so."""

    name: ClassVar[str] = ""
    onnx: ClassVar[tuple[str, ...]] = ()
    """The ONNX operators (default domain; `domain::Op` for others) that `from_onnx` imports."""
    weight_input: ClassVar[int | None] = None
    """The input that holds weights to be quantized per output channel (axis 0), with the bias behind it."""
    elementwise: ClassVar[bool] = False
    """Whether each output element depends only on the input elements at the same place (broadcasting allowed)."""
    vectorwise: ClassVar[bool] = False
    """Whether each vector along the output's last axis depends only on the input's vector at the same place."""
    windowed: ClassVar[bool] = False
    """Whether windows slide over an image: attributes strides, dilations, pads, and kernel or weights [O, h, w, ...]."""
    int16_inputs: ClassVar[bool] = False
    """Whether the activations that it reads may be int16, each on its own."""
    int16_output: ClassVar[bool] = False
    """Whether its output may be int16, whatever it reads."""
    stateful: ClassVar[bool] = False
    """Whether a run's outputs depend on earlier runs: `advance` is then the meaning, and `reference` its first run."""
    fuses_clip: ClassVar[bool] = False
    """Whether a clip that follows can be taken over as `clip_min`, `clip_max` (real bounds, reached by saturation)."""

    def from_onnx(self, importer: Importer) -> Sequence[str]:
        """Emit canonical nodes for one ONNX node; returns the names of its outputs."""
        raise importer.unsupported(f"{self.name} has no ONNX form")

    def infer(self, node: Node, inputs: Sequence[Tensor]) -> list[Spec]:
        raise NotImplementedError(self.name)

    def evaluate(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        """In float32 (or the dtype of the inputs)."""
        raise NotImplementedError(self.name)

    def output_quant(self, node: Node, graph: Graph) -> QuantParams | str:
        """What the node demands of its output: "observe" its range, "same" parameters as input 0, or fixed parameters."""
        return "observe"

    def output_quants(self, node: Node, graph: Graph) -> Sequence[QuantParams | str]:
        """The same for each output, where they differ."""
        return [self.output_quant(node, graph)] * len(node.outputs)

    def input_quant(self, node: Node, graph: Graph, name: str) -> QuantParams | None:
        """Fixed parameters that the node demands of its input `name` where that is the model's; None: observe its range."""
        return None

    def state_reach(self, node: Node, inputs: Sequence[Array]) -> float | None:
        """The largest magnitude of a value inside the node that needs a range; attribute `state_reach` holds it for `quantize`.

        None where there is none such.
        """
        return None

    def takes_int16(self, node: Node) -> bool:
        """Whether this node can do what `int16_inputs` and `int16_output` say of its operator."""
        return True

    def quantize(self, node: Node, graph: Graph, context: QuantContext) -> tuple[Node, dict[str, Array]]:
        """The integer node: attributes that are integers only, and new constant inputs by the field's name.

        The returned node lists in `inputs` the activations it reads; the constants follow in the order of the dict.
        """
        raise NotImplementedError(self.name)

    def reference(self, node: Node, inputs: Sequence[Array]) -> list[Array]:
        """The exact integer meaning of the integer node."""
        raise NotImplementedError(self.name)

    def advance(self, node: Node, inputs: Sequence[Array], state: Array | None) -> tuple[list[Array], Array]:
        """One run of a stateful operator, in floats or integers: its outputs and the next state; None before the first."""
        raise NotImplementedError(self.name)

    def lower(self, node: Node, graph: Graph, target: Target) -> list[Lowering]:
        """All ways to run the integer node on the target; the first is the plain one, always possible."""
        raise NotImplementedError(self.name)

    def row_window(self, node: Node, graph: Graph) -> RowWindow | None:
        """How the integer node works its way down the rows of an image; None where it does not.

        With its `pads` above and below taken away, the node on `kernel + (n - 1) * stride` rows must then make `n` rows,
        the same as on the whole image (see plan.row_blocks).
        """
        return None

    def separates(self, node: Node, graph: Graph, axis: int) -> bool:
        """Whether a place along `axis`, where all activations have the same size, depends on that place of the inputs alone."""
        rank = len(graph.tensors[node.outputs[0]].shape)
        return self.elementwise or (self.vectorwise and axis != rank - 1)

    def cost(self, node: Node, graph: Graph) -> Cost:
        return Cost(elements=sum(graph.tensors[o].size for o in node.outputs))

    def permute(self, node: Node, graph: Graph, perm: tuple[int, ...]) -> Node | None:
        """The node that does the same to data whose axes are permuted by `perm` (new axis i = old axis perm[i]), or None.

        Outputs come permuted likewise.  The pass that moves transposes permutes constant inputs of elementwise operators.
        """
        return node if self.elementwise else None

    def batchable(self, node: Node, graph: Graph) -> bool:
        """Whether arrays with any size of axis 0 may be given, each sample treated alone."""
        names = [n for n in (*node.inputs, *node.outputs) if not graph.is_constant(n)]
        return all(len(graph.tensors[n].shape) > 0 and graph.tensors[n].shape[0] == 1 for n in names)

    def cases(self) -> Iterator[Case]:
        """Test cases: every attribute, and the edges of every kernel's blocking."""
        raise NotImplementedError(self.name)


def image_rows(node: Node, graph: Graph) -> int | None:
    """The height that all activations of a node share, being images [1, H, W, C] like its output; None where not."""
    shapes = [graph.tensors[n].shape for n in (*node.inputs, *node.outputs) if not graph.is_constant(n)]
    images = all(len(shape) == 4 and shape[0] == 1 for shape in shapes)
    heights = {shape[1] for shape in shapes if images}
    return heights.pop() if len(heights) == 1 else None


def clip_bounds(node: Node) -> tuple[float, float]:
    """The real bounds of a fused activation."""
    return float(node.attrs.get("clip_min", -np.inf)), float(node.attrs.get("clip_max", np.inf))


def apply_clip(node: Node, value: Array) -> Array:
    low, high = clip_bounds(node)
    return np.clip(value, low, high).astype(value.dtype) if np.isfinite(low) or np.isfinite(high) else value


def output_attrs(node: Node, quant: QuantParams) -> dict[str, Any]:
    """`out_zero_point`, the fused activation's bounds, and `out_dtype` where it is not int8."""
    attrs: dict[str, Any] = {"out_zero_point": int(quant.zero_point), **integer_bounds(node, quant)}
    return attrs if quant.dtype == "int8" else attrs | {"out_dtype": quant.dtype}


def integer_bounds(node: Node, quant: QuantParams) -> dict[str, int]:
    """`act_min`, `act_max`: the fused activation's bounds as integers of the output."""
    low, high = clip_bounds(node)
    scale, zero_point = float(quant.scale), int(quant.zero_point)
    act_min = max(quant.low, int(np.rint(low / scale)) + zero_point) if np.isfinite(low) else quant.low
    act_max = min(quant.high, int(np.rint(high / scale)) + zero_point) if np.isfinite(high) else quant.high
    return {"act_min": min(act_min, quant.high), "act_max": max(act_max, quant.low)}
