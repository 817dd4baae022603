"""The overlap distances: exact against kernels run byte by byte, and the figures of known layers."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcugen.kernels.overlap import access_distance, convolution_distance

Groups = list[tuple[list[int], list[int]]]
"""For each group, in the order of the run: the input bytes it reads and the output bytes it writes."""


def run(groups: Groups, writer: int, reader: int, *, buffered: bool) -> bool:
    """Run a kernel with its output at ``writer`` and its input at ``reader``: does it read only what is intact?

    A kernel that is not buffered reads all inputs of the group again after every byte it writes.
    """
    overwritten: set[int] = set()
    for reads, writes in groups:
        where = {reader + byte for byte in reads}
        if where & overwritten:
            return False
        for byte in writes:
            overwritten.add(writer + byte)
            if not buffered and where & overwritten:
                return False
    return True


def is_smallest_safe(groups: Groups, distance: int, sizes: tuple[int, int], *, buffered: bool) -> bool:
    read_size, write_size = sizes
    span = read_size + write_size + abs(distance) + 2
    safe = all(run(groups, -distance - k, 0, buffered=buffered) for k in range(span))
    if distance == -read_size:
        return safe
    return safe and not run(groups, 1 - distance, 0, buffered=buffered)


def convolution_groups(
    shapes: tuple[tuple[int, int, int], tuple[int, int, int]],
    geometry: tuple[tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int]],
    granularity: str,
    block: int,
) -> Groups:
    (in_h, in_w, in_c), (out_h, out_w, out_c) = shapes
    kernel, stride, pad, dilation = geometry
    merged: dict[tuple[int, ...], tuple[list[int], list[int]]] = {}
    for y, x in product(range(out_h), range(out_w)):
        key = (y // block,) if granularity == "row" else (y, x // block)
        reads, writes = merged.setdefault(key, ([], []))
        for i, j in product(range(kernel[0]), range(kernel[1])):
            row, column = y * stride[0] - pad[0] + i * dilation[0], x * stride[1] - pad[1] + j * dilation[1]
            if 0 <= row < in_h and 0 <= column < in_w:
                reads += range((row * in_w + column) * in_c, (row * in_w + column + 1) * in_c)
        writes += range((y * out_w + x) * out_c, (y * out_w + x + 1) * out_c)
    return list(merged.values())


pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@settings(max_examples=250, deadline=None)
@given(
    st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 3)),
    st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 4)),
    st.tuples(
        pairs, pairs, st.tuples(st.integers(0, 2), st.integers(0, 2)), st.tuples(st.integers(1, 2), st.integers(1, 2))
    ),
    st.tuples(st.sampled_from(["pixel", "row"]), st.integers(1, 3), st.booleans()),
)
def test_convolution_distance_is_the_smallest_safe_one(source, result, geometry, manner) -> None:
    kernel, stride, pad, dilation = geometry
    granularity, block, buffered = manner
    distance = convolution_distance(
        source,
        result,
        kernel=kernel,
        stride=stride,
        pad=pad,
        dilation=dilation,
        granularity=granularity,
        block=block,
        buffered=buffered,
    )
    groups = convolution_groups((source, result), geometry, granularity, block)
    sizes = (source[0] * source[1] * source[2], result[0] * result[1] * result[2])
    assert is_smallest_safe(groups, distance, sizes, buffered=buffered)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4), st.integers(1, 3)), min_size=1, max_size=6),
    st.booleans(),
)
def test_access_distance_is_the_smallest_safe_one(accesses, buffered) -> None:
    starts = [start for start, _, _ in accesses]
    ends = [start + length for start, length, _ in accesses]
    edges = [0]
    for _, _, length in accesses:
        edges.append(edges[-1] + length)
    sizes = (max(*ends, 1), edges[-1])
    distance = access_distance(
        starts,
        ends,
        edges[:-1],
        edges[1:],
        read_size=sizes[0],
        buffered=buffered,
    )
    groups = [
        (list(range(start, end)), list(range(low, high)))
        for start, end, low, high in zip(starts, ends, edges, edges[1:], strict=False)
    ]
    assert is_smallest_safe(groups, distance, sizes, buffered=buffered)


@pytest.mark.parametrize(
    ("source", "result", "kernel", "stride", "pad", "plain", "buffered"),
    [
        ((32, 32, 16), (32, 32, 16), 3, 1, 1, 2 * 32 * 16, 32 * 16),
        ((25, 5, 64), (25, 5, 64), 3, 1, 1, 2 * 5 * 64, 5 * 64),
        ((48, 48, 8), (48, 48, 16), 1, 1, 0, 48 * 768 - 47 * 384, 47 * 768 - 47 * 384),
        ((48, 48, 16), (24, 24, 16), 3, 2, 0, 24 * 16, 24 * 16 - 2 * 48 * 16),
        ((8, 8, 4), (1, 1, 4), 8, 8, 0, 4, -8 * 8 * 4),
    ],
)
def test_rows_of_known_layers(*, source, result, kernel, stride, pad, plain, buffered) -> None:
    options = {"kernel": (kernel, kernel), "stride": (stride, stride), "pad": (pad, pad), "granularity": "row"}
    assert convolution_distance(source, result, **options) == plain
    assert convolution_distance(source, result, **options, buffered=True) == buffered


def test_wider_elements_count_in_bytes() -> None:
    one = convolution_distance((4, 4, 2), (4, 4, 2), kernel=(1, 1), input_bytes=1, output_bytes=2, buffered=True)
    assert one == 15 * 4 - 15 * 2


def test_pixels_in_place_need_no_distance() -> None:
    shape = (5, 7, 3)
    assert convolution_distance(shape, shape, kernel=(1, 1), buffered=True) == 0
    assert convolution_distance(shape, shape, kernel=(1, 1), buffered=False) == 3
    assert convolution_distance(shape, shape, kernel=(1, 1), buffered=False, block=2) == 6


@pytest.mark.parametrize(
    "wrong",
    [{"granularity": "column"}, {"block": 0}],
)
def test_nonsense_is_refused(wrong) -> None:
    with pytest.raises(ValueError, match=r"granularity is|at least 1"):
        convolution_distance((4, 4, 1), (4, 4, 1), kernel=(1, 1), **wrong)
