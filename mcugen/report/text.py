"""Results as text for people: tables and numbers with their units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

from mcugen.report.units import bytes_text, count_text, ratio_text

if TYPE_CHECKING:
    from mcugen.evaluation import Evaluation
    from mcugen.simulation import Simulation
    from mcugen.verification import Verification

Lines = Sequence["str | Table"]


def table(*columns: str) -> Table:
    """A table without frame; a column whose name begins with `>` holds numbers."""
    result = Table(box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    for column in columns:
        right = column.startswith(">")
        result.add_column(column.removeprefix(">"), justify="right" if right else "left", no_wrap=right)
    return result


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def layer_table(layers: Sequence[Mapping[str, Any]]) -> Table:
    """Layers of a report, with their measured cycles where it has some."""
    rows = table(">#", "layer", "kernel", "input", "output", ">MACs", ">const", ">est. cycles")
    for layer in layers:
        rows.add_row(
            str(layer["index"]),
            layer["name"],
            " ".join([layer["op"], layer["variant"], layer.get("weights", "")]).rstrip(),
            _shape(layer["in_shape"]),
            _shape(layer["out_shape"]),
            count_text(layer["macs"]),
            bytes_text(layer["constants"]),
            count_text(layer["estimated_cycles"]),
        )
    return rows


def ports_table(report: Mapping[str, Any]) -> Table:
    """Inputs and outputs of a built model."""
    rows = table("", "name", "shape", "type", ">scale", ">zero point")
    for kind in ("inputs", "outputs"):
        for port in report[kind]:
            known = not port.get("dynamic", False)
            scale, zero_point = (f"{port['scale']:.6g}", str(port["zero_point"])) if known else ("dynamic", "dynamic")
            rows.add_row(kind[:-1], port["name"], _shape(port["shape"]), port["dtype"], scale, zero_point)
    return rows


def build_text(report: Mapping[str, Any], folder: str) -> Lines:
    """What a build ends with."""
    flash = report.get("flash")
    rows = table("", "")
    rows.add_row("model", f"{report['name']}, {count_text(report['macs'])} MACs, {len(report['layers'])} layers")
    rows.add_row("target", report["target"])
    rows.add_row("RAM", _ram(report["ram"]))
    for name, value in row_texts(report):
        rows.add_row(name, value)
    if report.get("stream"):
        rows.add_row("stream", _stream(report))
    if flash:
        code = bytes_text(flash["code"] + flash["runtime"])
        rows.add_row("flash", f"{bytes_text(flash['total'])} (weights {bytes_text(flash['weights'])}, code {code})")
    else:
        rows.add_row("flash", f"{bytes_text(report['constants'])} of constants; the code is not measured")
    if report.get("cycles"):
        rows.add_row("cycles", f"{report['cycles']:,}")
    if report.get("pruning"):
        rows.add_row("pruned", _pruned(report["pruning"]))
    dead = report.get("dead_channels") or {}
    if dead.get("channels_removed"):
        saved = dead["macs_before"] - dead["macs_after"]
        rows.add_row(
            "dead", f"{dead['channels_removed']} channels removed without any change, {count_text(saved)} MACs"
        )
    if report.get("precision_search"):
        rows.add_row("precision", precision_line(report["precision_search"]))
    rows.add_row("verified", _verified(report))
    rows.add_row("folder", folder)
    return [rows]


def row_texts(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What runs row by row, and how the input arrives."""
    texts = []
    if report.get("input_rows"):
        rows = report["input_rows"]
        call = f"{report['name']}_push_row"
        texts.append(("input", f"row by row through {call}: {rows['rows']} rows of {bytes_text(rows['row_bytes'])}"))
    for region in report.get("row_regions", []):
        held = sum(w["capacity"] * w["row_bytes"] for w in region["windows"] if not w["shared"])
        whole = sum(w["height"] * w["row_bytes"] for w in region["windows"])
        span = f"layers {region['first']} to {region['last']}"
        texts.append(("rows", f"{span}: {bytes_text(held)} of {bytes_text(whole)} are held at a time"))
    return texts
def _stream(report: Mapping[str, Any]) -> str:
    """Frames a call, and what a call takes of what the whole window would."""
    stream, window = report["stream"], report["stream"]["window"]
    frames = f"{stream['frames']} of {max(stream['windows'].values())} frames a call"
    cycles = stream["estimated_cycles"] / max(1, window["estimated_cycles"])
    whole = f"the whole window: {bytes_text(window['arena'])} RAM, {count_text(window['macs'])} MACs"
    kept = f"{bytes_text(stream['kept'])} kept between calls"
    padding = "" if stream["padding"] == "exact" else "; padding along time only before the first frame"
    return f"{frames}, {cycles:.0%} of the window's estimated cycles, {kept} ({whole}){padding}"


def _ram(ram: Mapping[str, Any]) -> str:
    parts = [f"{bytes_text(ram['arena'])} arena"]
    if "stack" in ram:
        parts += [f"{bytes_text(ram['stack'])} stack", f"{bytes_text(ram['data'])} other data"]
    return ", ".join(parts)


def _pruned(pruning: Mapping[str, Any]) -> str:
    macs = f"{count_text(pruning['macs_before'])} to {count_text(pruning['macs_after'])} MACs"
    weights = f"{count_text(pruning['weights_before'])} to {count_text(pruning['weights_after'])} weights"
    costs = [f"{name} {_decibels(value)}" for name, value in pruning["outputs"].items() if value is not None]
    return f"{macs}, {weights}" + (f"; SQNR against the model as it was: {', '.join(costs)}" if costs else "")


def precision_line(search: Mapping[str, Any]) -> str:
    """What was chosen and what it brought, on the calibration data."""
    before, after = search["int8"], search["chosen"]
    packed: dict[str, int] = {}
    for word in after["weights"].values():
        packed[word] = packed.get(word, 0) + 1
    parts = [f"{len(after['int16'])} tensors int16"] if after["int16"] else []
    parts += [f"{count} layers {word}" for word, count in sorted(packed.items())]
    ratio = after["cycles"] / max(1, before["cycles"])
    return (
        f"{', '.join(parts) or 'int8 throughout'}: '{search['goal']}' {before['sqnr_db']:.1f} -> {after['sqnr_db']:.1f} dB on the "
        f"calibration data, {ratio:.2f}x the cycles"
    )


def _verified(report: Mapping[str, Any]) -> str:
    record = report.get("verification")
    if not record:
        return "no"
    choices = f", {record['variants']} choices of kernels" if record["variants"] > 1 else ""
    windows = f"; equal to {record['windows']} whole windows" if record.get("windows") else ""
    return f"bit-exact on {record['vectors']} vectors ({record['outputs_compared']:,} values{choices}){windows}"


def inspect_text(record: Mapping[str, Any]) -> Lines:
    """What a model holds, and what of it cannot be compiled."""
    lines: list[str | Table] = [f"{record['name']}: opset {record['opset']}, {sum(record['onnx_ops'].values())} nodes"]
    lines.append("  " + ", ".join(f"{op} {count}" for op, count in record["onnx_ops"].items()))
    for port in record["inputs"]:
        lines.append(f"  input  {port['name']} {port['shape']}")
    for port in record["outputs"]:
        lines.append(f"  output {port['name']} {port['shape']}")
    if not record["supported"]:
        return [*lines, "not supported:", *(f"  {problem}" for problem in record["unsupported"])]
    rows = table(">#", "layer", "operator", "input", "output", ">MACs", ">parameters")
    for index, node in enumerate(record["nodes"]):
        shapes = (_shape(node["in_shape"]), _shape(node["out_shape"]))
        macs, parameters = count_text(node["macs"]), count_text(node["parameters"])
        rows.add_row(str(index), node["name"], node["op"], *shapes, macs, parameters)
    total = f"{count_text(record['macs'])} MACs, {count_text(record['parameters'])} parameters"
    largest = f"largest activation {bytes_text(record['largest_activation'])} in int8"
    return [*lines, rows, f"{total}, {largest}"]


def folder_text(report: Mapping[str, Any], folder: str) -> Lines:
    """A built folder."""
    notes = [f"note: {note}" for note in report["notes"]]
    return [*build_text(report, folder), "", ports_table(report), "", layer_table(report["layers"]), *notes]


def verification_text(name: str, result: Verification) -> Lines:
    layers = f", {result.layers_compared:,} values of layers" if result.layers_compared else ""
    windows = f"; the stream equals {result.windows} whole windows" if result.windows else ""
    return [
        f"{name}: bit-exact on {result.vectors} vectors: {result.outputs_compared:,} output values{layers}{windows}"
    ]


def simulation_text(result: Simulation) -> Lines:
    """Costs in total and by layer."""
    sizes = result.sizes
    rows = table("", "")
    core = "" if result.cpu == result.target else f" ({result.cpu})"
    rows.add_row("target", f"{result.target}{core}, {result.emulator}, {result.compiler}")
    rows.add_row("bit-exact", f"yes, on {result.vectors} vectors")
    if result.cycles is not None:
        rows.add_row("cycles", f"{result.cycles:,} ({ratio_text(result.cycles_per_mac)} a MAC)")
    rows.add_row("instructions", f"{result.instructions:,}")
    code = f"code {bytes_text(sizes.code + sizes.runtime)}"
    rows.add_row("flash", f"{bytes_text(sizes.flash_total)} (weights {bytes_text(sizes.weights)}, {code})")
    rows.add_row("RAM", f"{bytes_text(sizes.arena)} arena, {bytes_text(result.stack)} stack")
    layers = table(">#", "layer", "kernel", ">MACs", ">cycles", ">share", ">cycles/MAC", ">constants")
    for layer in result.layers:
        share = layer.instructions / result.instructions
        if layer.cycles is not None and result.cycles:
            share = layer.cycles / result.cycles
        layers.add_row(
            str(layer.index),
            layer.name,
            f"{layer.op} {layer.variant}",
            count_text(layer.macs),
            "-" if layer.cycles is None else f"{layer.cycles:,}",
            f"{share:.0%}",
            ratio_text(layer.cycles_per_mac),
            bytes_text(layer.constants),
        )
    return [rows, "", layers]


def evaluation_text(name: str, result: Evaluation) -> list[str | Table]:
    """Fidelity and accuracy."""
    rows = table("", "")
    low, high = result.interval_db
    rows.add_row("samples", str(result.samples))
    rows.add_row("SQNR", f"{_decibels(result.sqnr_db)} (95 % interval {_decibels(low)} to {_decibels(high)})")
    rows.add_row("SQNR of the median sample", _decibels(result.median_db))
    if result.logit_sqnr_db is not None:
        rows.add_row("SQNR before Softmax", _decibels(result.logit_sqnr_db))
    rows.add_row("same class as float", f"{result.argmax_agreement:.1%}")
    if result.top1 is not None and result.float_top1 is not None:
        rows.add_row("top-1", f"{result.top1:.1%} (float {result.float_top1:.1%})")
    return [f"{name}: the compiled C against the float model", rows]


def _decibels(value: float) -> str:
    return f"{value:.1f} dB"


def bench_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """One row a model and target."""
    result = table(
        "model", "target", ">MACs", ">cycles", ">cycles/MAC", ">flash", ">weights", ">code", ">arena", ">stack"
    )
    for row in rows:
        if row.get("error"):
            result.add_row(row["name"], row["target"], "-", "failed")
            continue
        cycles = "-" if row["cycles"] is None else f"{row['cycles']:,}"
        flash = row["flash"]
        result.add_row(
            row["name"],
            row["target"],
            count_text(row["macs"]),
            cycles,
            ratio_text(row["cycles_per_mac"]),
            bytes_text(flash["total"]),
            bytes_text(flash["weights"]),
            bytes_text(flash["code"] + flash["runtime"]),
            bytes_text(row["ram"]["arena"]),
            bytes_text(row["stack"]),
        )
    return result


def kernel_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """One row a kind of layer: what it costs alone."""
    result = table("target", "layer", "kernel", ">MACs", ">elements", ">cycles", ">each", "", ">CMSIS-NN")
    for row in rows:
        result.add_row(
            row["target"],
            row["layer"],
            row["kernel"],
            count_text(row["macs"]),
            count_text(row["elements"]),
            f"{row['cycles']:,}",
            f"{row['per_unit']:.2f}",
            f"a {row['unit']}",
            "-" if row["cmsis_nn"] is None else f"{row['cmsis_nn']:g}",
        )
    return result


def operators_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    result = table("operator", "imports from ONNX")
    for row in rows:
        result.add_row(row["name"], ", ".join(row["onnx"]))
    return result


def targets_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    result = table("target", "compiler", "emulator", "aliases", "description")
    for row in rows:
        compiler = row["compiler"] or "none installed"
        emulator = row["emulator"] if row["emulator_installed"] else f"{row['emulator']} (not installed)"
        result.add_row(row["name"], compiler, emulator, ", ".join(row["aliases"]), row["description"])
    return result
