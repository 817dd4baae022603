"""Graphs as files: an uncompressed .npz of the arrays and one JSON text; the same graph gives the same bytes everywhere."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from mcugen.errors import UnsupportedModel
from mcugen.graph import DYNAMIC, DynamicQuantParams, Graph, Node, QuantParams, Tensor

SCHEMA = 1
EPOCH = (1980, 1, 1, 0, 0, 0)


def graph_bytes(graph: Graph) -> bytes:
    """The file's content."""
    arrays: dict[str, Any] = {}
    tensors = {}
    for name, tensor in sorted(graph.tensors.items()):
        record: dict[str, Any] = {"shape": list(tensor.shape), "dtype": tensor.dtype}
        if tensor.quant is not None:
            q = tensor.quant
            record["quant"] = [np.asarray(q.scale).tolist(), np.asarray(q.zero_point).tolist(), q.axis, q.dtype]
            record["quant"] += ["dynamic"] if isinstance(q, DynamicQuantParams) else []
        if tensor.data is not None:
            record["data"] = f"array_{len(arrays)}"
            arrays[record["data"]] = tensor.data
        tensors[name] = record
    nodes = [
        {
            "op": n.op,
            "name": n.name,
            "in": n.inputs,
            "out": n.outputs,
            "attrs": dict(sorted(n.attrs.items())),
            "origin": n.origin,
        }
        for n in graph.nodes
    ]
    text = json.dumps(
        {
            "schema": SCHEMA,
            "name": graph.name,
            "inputs": graph.inputs,
            "outputs": graph.outputs,
            "nodes": nodes,
            "tensors": tensors,
        },
        default=_plain,
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo("graph.json", EPOCH), text)
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", EPOCH), member.getvalue())
    return buffer.getvalue()


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else list(value)


def read_graph(path: Path) -> Graph:
    """The graph of a file that `graph_bytes` made; raises UnsupportedModel for anything else."""
    try:
        with zipfile.ZipFile(path) as archive:
            record = json.loads(archive.read("graph.json"))
            if record["schema"] != SCHEMA:
                raise UnsupportedModel(
                    f"{path.name}: written by another version of mcugen", hint="build the folder again"
                )
            names = [t["data"] for t in record["tensors"].values() if "data" in t]
            arrays = {
                name: np.lib.format.read_array(io.BytesIO(archive.read(f"{name}.npy")), allow_pickle=False)
                for name in names
            }
        return _graph(record, arrays)
    except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise UnsupportedModel(f"{path}: not a graph file of mcugen ({error})", hint="build the folder again") from None


def _graph(record: dict[str, Any], arrays: dict[str, Any]) -> Graph:
    tensors = {}
    for name, t in record["tensors"].items():
        quant = None
        if "quant" in t:
            scale, zero_point, axis, dtype, *kind = t["quant"]
            quant = QuantParams(np.asarray(scale, np.float64), np.asarray(zero_point, np.int64), axis, dtype)
            quant = DYNAMIC if kind else quant
        data = arrays[t["data"]] if "data" in t else None
        tensors[name] = Tensor(name, tuple(t["shape"]), t["dtype"], data, quant)
    nodes = [
        Node(
            n["op"],
            n["name"],
            tuple(n["in"]),
            tuple(n["out"]),
            {k: _tuples(v) for k, v in n["attrs"].items()},
            tuple(n["origin"]),
        )
        for n in record["nodes"]
    ]
    return Graph(record["name"], nodes, tensors, record["inputs"], record["outputs"])


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
