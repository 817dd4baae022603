"""The pictures of a plan: what they say is what the plan holds."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from networks import ic, vww

from mcugen.plan.memory_map import arena_of, explain_peak, render_svg, render_text
from mcugen.plan.model import Buffer, Plan
from mcugen.plan.offsets import plan_offsets

SVG = "{http://www.w3.org/2000/svg}"
BUFFERS = [Buffer("in", 16, -1, 1), Buffer("mid<1>", 16, 0, 1), Buffer("scratch", 8, 1, 1), Buffer("out", 8, 1, 2)]
OFFSETS = {"in": 4, "mid<1>": 20, "scratch": 36, "out": 0}
PLAN = Plan(OFFSETS, 44, 44, "optimal")


def test_text_shows_every_step_and_buffer() -> None:
    assert render_text(BUFFERS, PLAN, steps=["conv", "dense", "softmax"], width=11).splitlines() == [
        "arena: peak 44 bytes at 1 dense: in 16 + mid<1> 16 + out 8 + scratch 8, 4 of them shared",
        "lower bound 44 bytes: no plan needs less",
        "",
        "step          bytes  0        44",
        "-1 input         16  .BBBB......",
        "0 conv           32  .BBBBCCCC..",
        "1 dense          44  A#BBBCCCCDD <- peak",
        "2 softmax         8  AA.........",
        "",
        "   buffer       from        to     bytes  steps",
        "A  out             0         8         8  1..2",
        "B  in              4        20        16  -1..1",
        "C  mid<1>         20        36        16  0..1",
        "D  scratch        36        44         8  1..1",
    ]


def test_the_explanation_says_what_could_be_saved() -> None:
    buffers = [Buffer("a", 8, 0, 0), Buffer("b", 8, 0, 0, tail=4)]
    plan = Plan({"a": 0, "b": 12}, 24, 16, "within 8 bytes")
    assert explain_peak(arena_of(buffers, plan), plan) == (
        "peak 24 bytes at 0: a 8 + b 8, 8 unused or read past an end\n"
        "lower bound 16 bytes: a better plan could save at most 8"
    )


@pytest.mark.parametrize("model", [ic, vww])
def test_the_peak_is_where_the_bytes_add_up(model) -> None:
    net, output = model()
    buffers = net.buffers(output)
    plan = plan_offsets(buffers, net.overlaps)
    moment = arena_of(buffers, plan).peak_moment
    ends = [plan.offsets[buffer.name] + buffer.size for buffer in moment.alive]
    owned = {byte for b in moment.alive for byte in range(plan.offsets[b.name], plan.offsets[b.name] + b.size)}
    assert max(ends) == moment.top == plan.peak
    assert moment.covered == len(owned)
    assert moment.shared == sum(buffer.size for buffer in moment.alive) - len(owned)


def test_svg_boxes_are_the_buffers_to_scale() -> None:
    root = ElementTree.fromstring(render_svg(BUFFERS, PLAN, steps=["conv", "dense", "softmax"], column=20, height=440))
    boxes = [rect for rect in root.iter(f"{SVG}rect") if rect.get("class") == "buffer"]
    found = {}
    for box in boxes:
        name = (box.findtext(f"{SVG}title") or "").split(":")[0]
        found[name] = [float(box.get(key, "")) for key in ("x", "y", "width", "height")]
    bottom = 40 + 440
    for buffer in BUFFERS:
        end = OFFSETS[buffer.name] + buffer.size
        width = 20 * (buffer.last - buffer.first + 1)
        assert found[buffer.name] == [70 + 20 * (buffer.first + 1), bottom - 10 * end, width, 10 * buffer.size]
    peak = next(rect for rect in root.iter(f"{SVG}rect") if rect.get("class") == "peak")
    assert float(peak.get("x", "")) == 70 + 20 * 2
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert "in 16" in texts and "mid<1>" in texts and "44" in texts


def test_svg_needs_nothing_from_outside() -> None:
    text = render_svg(BUFFERS, PLAN)
    assert "href" not in text and "<script" not in text and "<style" not in text
    assert text.count("http") == 1


def test_same_plan_same_picture() -> None:
    net, output = ic()
    pictures = set()
    for _ in range(2):
        buffers = net.buffers(output)
        plan = plan_offsets(buffers, net.overlaps)
        pictures.add((render_text(buffers, plan), render_svg(buffers, plan)))
    assert len(pictures) == 1


def test_nothing_to_draw() -> None:
    plan = plan_offsets([])
    assert render_text([], plan).startswith("arena: peak 0 bytes")
    assert ElementTree.fromstring(render_svg([], plan)).tag == f"{SVG}svg"
