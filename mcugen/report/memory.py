"""The memory map of a build, from its report alone: as text for people, as a picture for the output folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcugen.plan import memory_map
from mcugen.plan.model import Buffer, Plan


def memory_text(report: Mapping[str, Any]) -> str:
    """The arena over the steps, what makes its peak, and every buffer's bytes and life."""
    buffers, plan = _planned(report)
    return memory_map.render_text(buffers, plan, steps=_names(report))


def memory_svg(report: Mapping[str, Any]) -> str:
    """The arena over time as a self-contained SVG document."""
    buffers, plan = _planned(report)
    return memory_map.render_svg(buffers, plan, steps=_names(report))


def _planned(report: Mapping[str, Any]) -> tuple[list[Buffer], Plan]:
    listed = report["buffers"]
    buffers = [Buffer(b["name"], b["size"], b["first"], b["last"], tail=b["tail"]) for b in listed]
    peak = max((b["offset"] + b["size"] + b["tail"] for b in listed), default=0)
    bound = min(report["ram"]["lower_bound"], peak)
    offsets = {b["name"]: b["offset"] for b in listed}
    return buffers, Plan(offsets, peak, bound, report["ram"]["plan"])


def _names(report: Mapping[str, Any]) -> list[str]:
    return [layer["name"] for layer in report["layers"]]
