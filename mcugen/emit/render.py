"""From the program to texts: {path in the output folder: text}; nothing here touches the disk but to read templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
import numpy as np
import numpy.typing as npt

from mcugen.emit.numbers import c_numbers
from mcugen.emit.view import CTYPES, model_view, runtime_files
from mcugen.program import Port, Program
from mcugen.resources import resource_folder

Array = npt.NDArray[Any]

SOURCES = {
    "src/{c}.h": "model.h.j2",
    "src/{c}.c": "model.c.j2",
    "src/{c}_weights.h": "weights.h.j2",
    "src/{c}_weights.c": "weights.c.j2",
    "test/{c}_golden.h": "golden.h.j2",
    "test/{c}_selftest.c": "selftest.c.j2",
}


def render(
    program: Program,
    target_name: str,
    golden: tuple[Sequence[Array], Sequence[Array]],
    *,
    stream: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """Every text file of the output folder but the report.

    `golden`: integer inputs and the reference's outputs, one array [vectors, ...] a port.  `stream`: how it takes its
    input, where it is one.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(resource_folder("templates")),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    model = model_view(program, target_name)
    model["stream"] = stream
    context = {"model": model, "version": model["version"], "golden": _golden(program, golden)}
    files = {
        path.format(c=program.name): environment.get_template(name).render(context) for path, name in SOURCES.items()
    }
    for name in environment.list_templates():
        if name.startswith("folder/"):
            files[name.removeprefix("folder/").removesuffix(".j2")] = environment.get_template(name).render(context)
    for name, text in runtime_files(header["name"] for header in model["headers"]).items():
        files[f"src/mcugen/{name}"] = text
    return dict(sorted(files.items()))


def _golden(program: Program, golden: tuple[Sequence[Array], Sequence[Array]]) -> dict[str, Any]:
    inputs, outputs = golden
    arrays = [_golden_array(program, "input", program.inputs, i, array) for i, array in enumerate(inputs)]
    arrays += [_golden_array(program, "output", program.outputs, i, array) for i, array in enumerate(outputs)]
    return {"count": len(inputs[0]), "arrays": arrays}


def _golden_array(program: Program, kind: str, ports: Sequence[Port], index: int, array: Array) -> Mapping[str, Any]:
    suffix = f"_{index}" if len(ports) > 1 else ""
    rows = np.asarray(array).reshape(len(array), -1)
    return {
        "name": f"{program.name}_golden_{kind}{suffix}",
        "ctype": CTYPES[str(rows.dtype)],
        "size": rows.shape[1],
        "rows": [c_numbers(row, "        ") for row in rows],
    }
