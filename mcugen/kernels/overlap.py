"""How far an output must start before an input that its kernel is still reading.

A kernel writes its output in groups (a pixel, some pixels, a row) in ascending addresses. Where
output and input share bytes, a write must never hit a byte that is read later. With ``W`` and ``R``
the offsets of output and input, group ``g`` writing the bytes up to ``write_end[g]`` and ``need[g]``
the lowest input byte that is read at or after that moment, the kernel is safe if and only if for
every ``g`` that still needs something

    W + write_end[g] <= R + need[g]      <=>      W + distance <= R,
    distance = max over g of (write_end[g] - need[g]).

One byte less and the group with the maximum overwrites the byte ``need[g]``, so the distance is the
smallest safe one. "At or after that moment" is where kernels differ:

- plain: group ``g`` may write its first byte before it has read its last one (a convolution that
  finishes one output channel after the other): ``need[g]`` is over the groups ``g, g+1, ...``;
- ``buffered``: all reads of a group are done before its first write (sums held in registers, an
  im2col copy, a row collected in scratch): ``need[g]`` is over the groups ``g+1, g+2, ...``.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

Granularity = Literal["pixel", "row"]
Indices = npt.NDArray[np.int64]


def access_distance(
    read_start: npt.ArrayLike,
    read_end: npt.ArrayLike,
    write_start: npt.ArrayLike,
    write_end: npt.ArrayLike,
    *,
    read_size: int,
    buffered: bool = False,
) -> int:
    """Smallest safe distance, in bytes, of a kernel given by what its groups of writes touch.

    The arrays have one entry a group, groups in ascending order of the addresses they write.
    ``read_start, read_end`` are the first byte of the input that the group reads and the byte after
    the last one; a group that reads nothing has ``read_start >= read_end``. ``read_size`` is that of
    the whole buffer, in bytes. A kernel that never writes before its last read gets ``-read_size``:
    it may lie anywhere.
    """
    start, end = np.asarray(read_start, np.int64), np.asarray(read_end, np.int64)
    first, last = np.asarray(write_start, np.int64), np.asarray(write_end, np.int64)
    if np.any(np.diff(first) < 0) or np.any(np.diff(last) < 0):
        raise ValueError("the groups of writes must be in the order of their addresses")
    nothing = np.iinfo(np.int64).max
    reads = np.where(start < end, start, nothing)
    need = np.minimum.accumulate(reads[::-1])[::-1]
    if buffered:
        need = np.append(need[1:], nothing)
    live = need < nothing
    return int(np.max(last[live] - need[live])) if np.any(live) else -read_size


def convolution_distance(
    input_shape: tuple[int, int, int],
    output_shape: tuple[int, int, int],
    *,
    kernel: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    pad: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    granularity: Granularity = "pixel",
    block: int = 1,
    buffered: bool = False,
    input_bytes: int = 1,
    output_bytes: int = 1,
) -> int:
    """Smallest safe distance, in bytes, of a convolution or pooling over (height, width, channels).

    Shapes are channels-last, ``pad`` is (top, left), padding on the other side follows from the
    shapes; ``input_bytes`` and ``output_bytes`` are those of one element. Output pixels are computed
    in row-major order, all channels of a pixel together, in groups written at once: ``block``
    neighbouring pixels of one row, or ``block`` whole rows, counted from the row's or the image's start.
    A pointwise kernel that runs across row ends is one with shape (1, height * width, channels).

    Derivation. The window of output (y, x) reads the input rows ``y*stride - pad + i*dilation``,
    ``0 <= i < kernel``, as far as they exist, and columns likewise; its first and last byte are those
    of its first and last existing row and column. So output row ``r`` may lie on input rows below
    ``r*stride - pad`` only, or, if ``buffered``, below ``(r + block)*stride - pad``. That is not yet the
    distance: it is the maximum over all groups of (end of the group's writes - first byte that is
    read from then on), as in the module's text, and is evaluated for every group here, because borders,
    strides and growing rows move the maximum to the first, the last or an inner group.
    """
    (in_h, in_w, in_c), (out_h, out_w, out_c) = input_shape, output_shape
    if min(input_shape) < 1 or min(output_shape) < 1 or block < 1:
        raise ValueError("a convolution needs shapes and a block of at least 1")
    top, bottom = _window(in_h, out_h, kernel[0], (stride[0], pad[0], dilation[0]))
    left, right = _window(in_w, out_w, kernel[1], (stride[1], pad[1], dilation[1]))
    pixel, out_pixel = in_c * input_bytes, out_c * output_bytes
    some = (top < bottom)[:, None] & (left < right)[None, :]
    start = np.where(some, (top[:, None] * in_w + left[None, :]) * pixel, in_h * in_w * pixel)
    end = np.where(some, ((bottom[:, None] - 1) * in_w + right[None, :]) * pixel, 0)
    row = np.arange(out_h, dtype=np.int64)[:, None] * out_w
    if granularity == "row":
        firsts = np.arange(0, out_h, block)
        start = np.minimum.reduceat(start.min(axis=1), firsts)
        end = np.maximum.reduceat(end.max(axis=1), firsts)
        write = firsts * out_w
    elif granularity == "pixel":
        firsts = np.arange(0, out_w, block)
        start = np.minimum.reduceat(start, firsts, axis=1).ravel()
        end = np.maximum.reduceat(end, firsts, axis=1).ravel()
        write = (row + firsts[None, :]).ravel()
    else:
        raise ValueError(f"granularity is 'pixel' or 'row', not {granularity!r}")
    return access_distance(
        start,
        end,
        write * out_pixel,
        np.append(write[1:], out_h * out_w) * out_pixel,
        read_size=in_h * in_w * pixel,
        buffered=buffered,
    )


def _window(size: int, outputs: int, kernel: int, step: tuple[int, int, int]) -> tuple[Indices, Indices]:
    """First existing tap of every output along one axis, and one past the last (first >= last: none)."""
    stride, pad, dilation = step
    origin = np.arange(outputs, dtype=np.int64) * stride - pad
    taps = origin[:, None] + np.arange(kernel, dtype=np.int64)[None, :] * dilation
    exists = (taps >= 0) & (taps < size)
    return np.where(exists, taps, size).min(axis=1), np.where(exists, taps + 1, 0).max(axis=1)
