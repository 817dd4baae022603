"""Reading linked programs: what to load, where the symbols are, and how large the model's part is."""

from __future__ import annotations

import bisect
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mcugen.errors import ToolchainError
from mcugen.run.resources import require
from mcugen.run.results import Sizes


@dataclass(frozen=True)
class Symbol:
    """A symbol's address (without the Thumb bit) and size in bytes."""

    address: int
    size: int


@dataclass(frozen=True)
class Image:
    """A linked bare-metal program.

    `segments` are (load address, bytes), `functions` (address, name) in order, `stack_frames` each function's own frame
    in bytes where the compiler told it.
    """

    entry: int
    segments: tuple[tuple[int, bytes], ...]
    symbols: Mapping[str, Symbol]
    functions: tuple[tuple[int, str], ...]
    stack_frames: Mapping[str, int]

    def address(self, name: str) -> int:
        """The address of a symbol; ToolchainError when the program lacks it."""
        if name not in self.symbols:
            raise ToolchainError(f"the linked program has no symbol '{name}'")
        return self.symbols[name].address

    def steps(self, model: str) -> dict[int, int]:
        """{entry address: step index} of the functions MODEL_step_INDEX, clones that a compiler renamed included."""
        pattern = re.compile(rf"{re.escape(model)}_step_(\d+)(\.(constprop|isra|lto_priv)\.\d+)*")
        matches = ((address, pattern.fullmatch(name)) for address, name in self.functions)
        return {address: int(match[1]) for address, match in matches if match}

    def controls(self, model: str) -> list[Symbol]:
        """The functions of a model that call its steps."""
        pattern = re.compile(rf"{re.escape(model)}_(run|begin|push_row|finish|rows_\d+)(\..+)?")
        return [symbol for name, symbol in self.symbols.items() if pattern.fullmatch(name)]

    def function_at(self, address: int) -> str:
        """The function that holds an address, as NAME+OFFSET."""
        index = bisect.bisect_right([start for start, _ in self.functions], address) - 1
        if index < 0:
            return f"{address:#x}"
        start, name = self.functions[index]
        return f"{name}+{address - start:#x}"


def read_image(path: Path) -> Image:
    """Reads a linked program; ToolchainError when it is not a complete ELF file."""
    elffile = require("elftools.elf.elffile", package="pyelftools", purpose="reading a linked program")
    exceptions = require("elftools.common.exceptions", package="pyelftools", purpose="reading a linked program")
    try:
        elf = elffile.ELFFile(io.BytesIO(path.read_bytes()))
        table = elf.get_section_by_name(".symtab")
        if table is None:
            raise ToolchainError(f"{path}: the symbols were stripped")
        thumb = elf["e_machine"] == "EM_ARM"
        symbols: dict[str, Symbol] = {}
        functions: list[tuple[int, str]] = []
        for entry in table.iter_symbols():
            if not entry.name or entry.name.startswith("$") or entry["st_shndx"] == "SHN_UNDEF":
                continue
            is_function = entry["st_info"]["type"] == "STT_FUNC"
            address = entry["st_value"] & ~1 if thumb and is_function else entry["st_value"]
            symbols[entry.name] = Symbol(address, entry["st_size"])
            if is_function:
                functions.append((address, entry.name))
        segments = tuple(
            (s["p_paddr"], bytes(s.data())) for s in elf.iter_segments() if s["p_type"] == "PT_LOAD" and s["p_filesz"]
        )
        entry_address = elf["e_entry"] & ~1 if thumb else elf["e_entry"]
        section = elf.get_section_by_name(".stack_sizes")
        frames = _stack_sizes(section.data(), dict(functions), thumb=thumb) if section is not None else {}
    except exceptions.ELFError as error:
        raise ToolchainError(f"{path}: not an ELF file: {error}") from None
    return Image(entry_address, segments, symbols, tuple(sorted(functions)), frames)


def read_sizes(image: Image) -> Sizes:
    """The model's share of a program that was linked with mcugen's linker scripts."""

    def between(first: str, last: str) -> int:
        return image.address(last) - image.address(first)

    arena = image.symbols.get("bench_arena", Symbol(0, 0)).size
    return Sizes(
        weights=between("__model_constants_start", "__model_constants_end"),
        code=between("__model_code_start", "__model_code_end"),
        runtime=between("__runtime_start", "__runtime_end"),
        data=between("__data_start", "__model_data_end"),
        bss=between("__bss_start", "__model_bss_end"),
        arena=arena,
    )


def _stack_sizes(data: bytes, functions: Mapping[int, str], *, thumb: bool) -> dict[str, int]:
    """Frame bytes of each function from clang's .stack_sizes section: 32-bit address and ULEB128 size, repeated."""
    frames: dict[str, int] = {}
    position = 0
    while position + 4 < len(data):
        address = int.from_bytes(data[position : position + 4], "little") & (~1 if thumb else ~0)
        position += 4
        size = shift = 0
        while True:
            byte = data[position]
            position += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        if address in functions:
            frames[functions[address]] = size
    return frames
