"""What quantization did to every layer, as a table."""

from __future__ import annotations

import math

from rich.table import Table

from mcugen.layer_fidelity import LayerFidelity, LayerStudy
from mcugen.report.text import table
from mcugen.report.units import bytes_text


def layer_study_text(study: LayerStudy) -> list[str | Table]:
    """The table, what its columns mean, and the layer that more bits would help most."""
    rows = table(
        "layer", "operator", "type", ">alone", ">accumulated", ">at output", ">saturated", ">range", "worst channel"
    )
    for layer in study.layers:
        rows.add_row(
            layer.name,
            layer.op,
            layer.dtype,
            _decibels(layer.alone_db),
            _decibels(layer.accumulated_db),
            _decibels(layer.output_db),
            f"{layer.saturated:.2%}",
            f"{layer.range_use:.0%}",
            _worst(layer),
        )
    meaning = (
        "alone: this layer on exact inputs; accumulated: with all layers before it; at output: the model's output when only this "
        "tensor is rounded (dB); saturated: values beyond the range; range: of the integers, what the data reaches"
    )
    return ["", rows, meaning, *_hint(study)]


def _hint(study: LayerStudy) -> list[str]:
    if study.most_sensitive is None or study.expected_db is None or study.output_db is None:
        return [f"no layer stands out: '{study.output}' has {_decibels(study.output_db)} dB"]
    hint = (
        f"hint: '{study.most_sensitive}' in 16 bits would raise '{study.output}' from {study.output_db:.1f} to about "
        f"{study.expected_db:.1f} dB"
    )
    price = study.price
    if price is None:
        return [hint]
    return [
        f"{hint}: `--layer-precision {study.most_sensitive}=int16`, {price.cycles_after / max(1, price.cycles):.2f}x the cycles, "
        f"{bytes_text(price.ram_after)} of RAM instead of {bytes_text(price.ram)}; `--precision auto` searches all layers"
    ]


def _decibels(value: float | None) -> str:
    return "-" if value is None or math.isinf(value) else f"{value:.1f}"


def _worst(layer: LayerFidelity) -> str:
    return "".join(f"{c.channel}: {_decibels(c.sqnr_db)} dB, {c.noise_share:.0%} of the noise" for c in layer.worst[:1])
