"""Targets: what is built in, how they are found, and what a user's own file may say."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcugen.errors import McugenError
from mcugen.run.resources import baremetal_folder
from mcugen.targets import Target, list_targets, load_target

TARGETS = {target.name: target for target in list_targets()}


def test_all_cores_are_there() -> None:
    assert set(TARGETS) == {
        "host", "cortex-m", "cortex-m0", "cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33",
        "cortex-m55", "riscv32",
    }  # fmt: skip


@pytest.mark.parametrize("name", TARGETS)
def test_variants_follow_the_features(name: str) -> None:
    target = TARGETS[name]
    assert "portable" in target.variants
    assert ("dsp" in target.variants) == target.features.dsp
    assert ("mve" in target.variants) == target.features.mve
    assert target.alignment in (4, 8)


@pytest.mark.parametrize("name", [name for name in TARGETS if name != "host"])
def test_the_emulator_has_what_it_needs(name: str) -> None:
    target = TARGETS[name]
    machine = {"unicorn": target.unicorn, "qemu": target.qemu}[target.emulator]
    assert machine is not None
    assert (baremetal_folder() / machine.script).is_file()
    assert target.zig is not None and target.gcc.flags
    assert (target.cycles is not None) == (target.unicorn is not None)


@pytest.mark.parametrize(
    ("given", "name"),
    [("m4", "cortex-m4"), ("cortex-m4f", "cortex-m4"), ("M0+", "cortex-m0plus"), ("rv32imc", "riscv32")],
)
def test_aliases(given: str, name: str) -> None:
    assert load_target(given).name == name


def test_an_alias_names_one_target() -> None:
    names = [alias for target in TARGETS.values() for alias in (target.name, *target.aliases)]
    assert len(names) == len(set(names))


def test_unknown_name_suggests_near_ones() -> None:
    with pytest.raises(McugenError, match=r"unknown target 'cortexm4'[\s\S]*did you mean cortex-m4"):
        load_target("cortexm4")
    with pytest.raises(McugenError, match=r"cortex-m33, cortex-m4.*path of a \.toml file"):
        load_target("x86")


def test_generic_target_is_compiled_for_a_cortex_m4_or_another_core() -> None:
    generic = TARGETS["cortex-m"]
    assert generic.generic and generic.cpu == "cortex-m4"
    moved = generic.on_cpu(TARGETS["cortex-m0"])
    assert (moved.name, moved.cpu, moved.variants) == ("cortex-m", "cortex-m0", generic.variants)
    assert moved.gcc == TARGETS["cortex-m0"].gcc and moved.cycles == TARGETS["cortex-m0"].cycles
    with pytest.raises(McugenError, match="is for the arm family"):
        generic.on_cpu(TARGETS["riscv32"])


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_own_file_on_a_base(tmp_path: Path) -> None:
    (tmp_path / "board.ld").write_text("", encoding="utf-8")
    path = write(
        tmp_path,
        'base = "m4"\nname = "mine"\n[cycles]\nload = 3\n[unicorn]\nscript = "board.ld"\n[budget]\nflash = 65536\n',
    )
    mine, base = load_target(path), TARGETS["cortex-m4"]
    assert mine.name == "mine" and mine.cpu == base.cpu and mine.aliases == ()
    assert mine.cycles is not None and base.cycles is not None
    assert (mine.cycles.load, mine.cycles.taken_branch) == (3, base.cycles.taken_branch)
    assert mine.unicorn is not None and mine.unicorn.script == str(tmp_path / "board.ld")
    assert mine.budget.flash == 65536 and mine.budget.ram is None


def test_own_file_on_an_own_base(tmp_path: Path) -> None:
    (tmp_path / "under.toml").write_text('base = "cortex-m7"\nname = "under"\noptimize = "-Os"\n', encoding="utf-8")
    target = load_target(write(tmp_path, 'base = "under.toml"\nname = "mine"\n'))
    assert (target.name, target.optimize, target.cpu) == ("mine", "-Os", "cortex-m7")


def faults(path: Path) -> str:
    with pytest.raises(McugenError) as caught:
        load_target(path)
    return str(caught.value)


def test_faults_of_a_file_are_told_all_at_once(tmp_path: Path) -> None:
    text = faults(write(tmp_path, 'base = "m4"\nspeed = 1\noptimize = 3\nvariants = "dsp"\n[cycles]\nload = "x"\n'))
    for part in ("unknown key 'speed'", "'optimize' must be of type str", "'variants' must be a list", "'cycles.load'"):
        assert part in text
    assert "'arch' is missing" in faults(write(tmp_path, 'name = "mine"\n'))


def test_unreadable_files(tmp_path: Path) -> None:
    assert "not a readable TOML file" in faults(write(tmp_path, "name = \n"))
    assert "no such target file" in faults(tmp_path / "none.toml")
    assert "'m99' is not a target" in faults(write(tmp_path, 'base = "m99"\n'))
    assert "leads back to itself" in faults(write(tmp_path, 'base = "mine.toml"\n'))


def test_targets_are_values() -> None:
    assert load_target("m4") == load_target("cortex-m4")
    assert isinstance(hash(load_target("m4")), int) and isinstance(load_target("m4"), Target)
