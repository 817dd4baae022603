"""Every command on sound input: what it prints, what it writes, and what scripts may rely on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import small_models
from conftest import ROOT, Done

import mcugen
from mcugen.bench import find_calibration
from mcugen.cli import main

Run = Callable[..., Done]
Examples = dict[str, tuple[Path, Done]]
NAMES = ("digits", "motion", "tabular")
FLOAT_TOP1 = {"digits": 0.98, "motion": 0.85, "tabular": 0.95}


@pytest.mark.parametrize("name", NAMES)
def test_build_says_what_it_made(examples: Examples, name: str) -> None:
    folder, done = examples[name]
    record = done.record
    assert (record["schema"], record["command"], record["name"], record["target"]) == (1, "build", name, "cortex-m4")
    assert record["folder"] == str(folder) and record["verified"] is True
    assert record["flash"]["total"] >= record["flash"]["weights"] + record["flash"]["code"] > 0
    assert record["ram"]["arena"] >= record["ram"]["lower_bound"] > 0
    assert [layer["index"] for layer in record["layers"]] == list(range(len(record["layers"])))
    assert sum(layer["macs"] for layer in record["layers"]) == record["macs"] > 0
    assert done.stderr == ""


@pytest.mark.parametrize("name", NAMES)
def test_the_folder_stands_for_itself(examples: Examples, name: str) -> None:
    folder, done = examples[name]
    stored = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    printed = done.record
    assert stored == {key: printed[key] for key in stored}
    assert stored["options"]["calibrate"] == "calib.npz"
    assert stored["model"]["file"] == f"{name}.onnx" and len(stored["model"]["sha256"]) == 64
    for path in (path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        assert str(folder).encode() not in content and str(ROOT).encode() not in content, path


@pytest.mark.parametrize("name", NAMES)
def test_verify_compares_outputs_and_layers(examples: Examples, run: Run, name: str) -> None:
    folder, _ = examples[name]
    record = run("verify", folder, "--layers", "--json").record
    assert record["bit_exact"] is True and record["name"] == name
    assert record["outputs_compared"] >= record["vectors"] > 0
    assert record["layers_compared"] > record["outputs_compared"] // record["vectors"]
    other = run("verify", folder, "--data", ROOT / "examples" / name / "eval.npz", "--json").record
    assert other["vectors"] != record["vectors"]


def test_a_generic_target_is_proved_for_every_choice_of_kernels(run: Run, model: Path, tmp_path: Path) -> None:
    for target, variants in (("cortex-m", 3), ("cortex-m4", 1)):
        folder = tmp_path / target
        record = run("build", model, "--target", target, "--output", folder, "--json").record
        assert record["verification"]["variants"] == variants
        assert run("verify", folder, "--json").record["variants"] == variants


@pytest.mark.parametrize("name", NAMES)
def test_simulate_is_exact_and_counts(examples: Examples, run: Run, name: str, tmp_path: Path) -> None:
    folder, done = examples[name]
    elf = tmp_path / "model.elf"
    record = run("simulate", folder, "--target", "cortex-m4", "--elf", elf, "--json").record
    assert record["target"] == "cortex-m4" and record["bit_exact"] is True
    assert record["cycles"] > record["instructions"] > 0 and record["stack"] > 0
    assert record["flash"] == done.record["flash"]
    assert record["ram"]["arena"] == done.record["ram"]["arena"]
    assert [layer["index"] for layer in record["layers"]] == [layer["index"] for layer in done.record["layers"]]
    assert 0.9 * record["cycles"] < sum(layer["cycles"] for layer in record["layers"]) <= record["cycles"]
    assert elf.read_bytes()[:4] == b"\x7fELF"


def test_simulate_on_another_core(examples: Examples, run: Run) -> None:
    folder, _ = examples["tabular"]
    small = run("simulate", folder, "--target", "cortex-m0", "--vectors", "2", "--json").record
    large = run("simulate", folder, "--vectors", "2", "--json").record
    assert (small["target"], large["target"]) == ("cortex-m0", "cortex-m4")
    assert small["cycles"] > large["cycles"]


@pytest.mark.parametrize("name", NAMES)
def test_evaluate_on_data_that_calibration_never_saw(examples: Examples, run: Run, name: str) -> None:
    folder, _ = examples[name]
    record = run("evaluate", folder, "--data", ROOT / "examples" / name / "eval.npz", "--json").record
    assert record["samples"] > 50 and record["sqnr_db"] > 25
    assert record["argmax_agreement"] > 0.97
    assert record["top1"] > record["float_top1"] - 0.02
    assert record["float_top1"] > FLOAT_TOP1[name]
    assert (record["logit_sqnr_db"] is not None) == (name == "tabular")


def test_evaluate_layers_shows_every_layer(examples: Examples, run: Run) -> None:
    folder, _ = examples["digits"]
    data = ROOT / "examples/digits/eval.npz"
    record = run("evaluate", folder, "--data", data, "--layers", "--json").record
    layers = record["layers"]["layers"]
    assert layers[0]["op"] == "input" and layers[-1]["tensor"] == "logits"
    assert record["layers"]["output_db"] == pytest.approx(record["sqnr_db"], abs=1.0)
    assert layers[-1]["accumulated_db"] == pytest.approx(record["sqnr_db"])
    assert all(layer["accumulated_db"] > 20 and layer["alone_db"] > 25 for layer in layers[1:])
    text = run("evaluate", folder, "--data", data, "--layers").stdout
    assert "worst channel" in text and ("hint: " in text or "no layer stands out" in text)


def test_evaluate_layers_tells_what_int16_would_cost(run: Run, model: Path, tmp_path: Path) -> None:
    run("build", model, "--calibrate", model.parent / "calib.npz", "--output", tmp_path / "net", "--no-verify")
    np.savez(tmp_path / "far.npz", x=3 * small_models.samples(60))
    record = run("evaluate", tmp_path / "net", "--data", tmp_path / "far.npz", "--layers", "--json").record["layers"]
    assert record["most_sensitive"] == "x" and record["expected_db"] > record["output_db"] + 0.5
    assert record["price"]["ram_after"] >= record["price"]["ram"] > 0 and record["price"]["cycles_after"] > 0
    text = run("evaluate", tmp_path / "net", "--data", tmp_path / "far.npz", "--layers").stdout
    assert "--layer-precision x=int16" in text


def test_build_reports_what_quantization_did_to_layers(run: Run, model: Path, tmp_path: Path) -> None:
    data = ("--calibrate", model.parent / "calib.npz", "--output", tmp_path / "net")
    record = run("build", model, *data, "--layers", "--json").record
    assert [layer["op"] for layer in record["layer_fidelity"]["layers"]] == ["input", "fully_connected", "softmax"]
    assert "layer_fidelity" not in run("build", model, *data, "--json").record


def test_fidelity_finds_the_data_beside_the_models(run: Run) -> None:
    examples = [ROOT / "examples" / name / f"{name}.onnx" for name in ("motion", "tabular")]
    rows = run("fidelity", *examples, "--effort", "fast", "--json").record["rows"]
    assert [(row["name"], row["methods"]) for row in rows] == [("motion", "default"), ("tabular", "default")]
    for row in rows:
        assert row["samples"] > 50 and row["output_db"] > 25 and row["top1"] > row["float_top1"] - 0.02
        assert row["interval_db"][0] < row["output_db"] < row["interval_db"][1]


def test_fidelity_of_every_method(run: Run) -> None:
    source = ROOT / "examples/tabular"
    model = source / "tabular.onnx"
    data = ("--calibrate", source / "calib.npz", "--data", source / "eval.npz")
    text = run("fidelity", model, *data, "--methods", "--effort", "fast").stdout
    assert [line.split()[1] for line in text.splitlines()[1:]][:2] == ["default", "without"] and "none" in text


def test_fidelity_needs_unseen_data(run: Run, model: Path) -> None:
    done = run("fidelity", model, code=1)
    assert "no calibration and evaluation data" in done.stderr and "--data" in done.stderr
    calibration = model.parent / "calib.npz"
    for seen, data in (((), calibration), (("--calibrate", calibration), calibration)):
        same = run("fidelity", model, *seen, "--data", data, code=1)
        assert "measured on the data that calibrates it" in same.stderr and "hint: " in same.stderr
    assert "none.npz: no such file" in run("fidelity", model, "--data", "none.npz", code=1).stderr


def test_run_writes_real_values_and_integers(examples: Examples, run: Run, tmp_path: Path) -> None:
    folder, done = examples["digits"]
    data = ROOT / "examples/digits/eval.npz"
    with np.load(data) as stored:
        images, labels = stored["x"], stored["y"]
    record = run("run", folder, "--inputs", data, "--outputs", tmp_path / "real.npz", "--json").record
    assert record["samples"] == len(images) and record["outputs"] == {"logits": [len(images), 10]}
    with np.load(tmp_path / "real.npz") as stored:
        real = stored["logits"]
    assert real.dtype == np.float32 and np.mean(real.argmax(axis=1) == labels) > 0.95

    port_in, port_out = done.record["inputs"][0], done.record["outputs"][0]
    integers = np.clip(np.rint(images.astype(np.float64) / port_in["scale"]) + port_in["zero_point"], -128, 127).astype(
        np.int8
    )
    np.savez(tmp_path / "integers.npz", image=integers)
    run("run", folder, "--inputs", tmp_path / "integers.npz", "--outputs", tmp_path / "raw.npz", "--raw")
    with np.load(tmp_path / "raw.npz") as stored:
        raw = stored["logits"]
    assert raw.dtype == np.int8
    np.testing.assert_allclose(real, (raw - float(port_out["zero_point"])) * port_out["scale"], rtol=1e-6)


def test_several_inputs_and_outputs(run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    data = {"x_left": rng.normal(size=(20, 6)), "x_right": rng.normal(size=(20, 3))}
    np.savez(tmp_path / "data.npz", **data)
    model = small_models.two_inputs(tmp_path / "pair.onnx")
    folder = tmp_path / "pair"
    run("build", model, "--calibrate", tmp_path / "data.npz", "--output", folder, "--layers")
    run("run", folder, "--inputs", tmp_path / "data.npz", "--outputs", tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as stored:
        assert {name: stored[name].shape for name in stored.files} == {"total": (20, 5), "right": (20, 5)}
    assert run("simulate", folder, "--json").record["bit_exact"] is True


def test_build_is_the_same_to_the_byte(run: Run, model: Path, tmp_path: Path) -> None:
    contents = []
    for place in ("first", "second/deeper"):
        folder = tmp_path / place
        run("build", model, "--calibrate", model.parent / "calib.npz", "--output", folder)
        contents.append({p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()})
    assert contents[0] == contents[1]


def test_build_again_replaces_and_clears(run: Run, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    run("build", model, "--output", folder, "--name", "old")
    (folder / "mine.txt").write_text("kept", encoding="utf-8")
    run("build", model, "--output", folder, "--name", "next")
    assert (folder / "next.json").is_file() and not (folder / "old.json").exists()
    assert (folder / "mine.txt").read_text(encoding="utf-8") == "kept"


def test_without_calibration_data_it_warns_loudly(run: Run, model: Path, tmp_path: Path) -> None:
    done = run("build", model, "--output", tmp_path / "out", "--json")
    assert done.stderr.startswith("warning: no calibration data") and "--calibrate" in done.stderr
    assert done.record["calibration"]["synthetic"] is True
    assert any("no calibration data" in note for note in done.record["notes"])
    assert "no calibration data" in run("inspect", tmp_path / "out").stdout


def test_limits_that_are_kept(run: Run, model: Path, tmp_path: Path) -> None:
    limits = ("--flash", "64K", "--ram", "0.5M", "--cycles", "5M")
    record = run("build", model, "--target", "cortex-m4", *limits, "--output", tmp_path / "out", "--json").record
    options = record["options"]
    assert (options["flash"], options["ram"], options["cycles"]) == (65536, 524288, 5_000_000)
    assert 0 < record["cycles"] <= 5_000_000


def test_an_input_by_rows_serves_every_command(run: Run, tmp_path: Path) -> None:
    source, folder, options = ROOT / "examples/digits", tmp_path / "rows", tmp_path / "rows.toml"
    options.write_text("[build]\ninput-rows = true\n", encoding="utf-8")
    data = ("--calibrate", source / "calib.npz", "--target", "cortex-m4", "--effort", "fast", "--output", folder)
    built = run("build", source / "digits.onnx", *data, "--config", options)
    assert "row by row through digits_push_row: 8 rows of 8 B" in built.stdout
    report = run("inspect", folder, "--json").record
    assert report["options"]["input-rows"] is True and report["input_rows"] == {"rows": 8, "row_bytes": 8}
    assert run("verify", folder, "--layers", "--json").record["layers_compared"] > 0
    assert run("simulate", folder, "--vectors", 2, "--json").record["bit_exact"] is True
    assert run("evaluate", folder, "--data", source / "eval.npz", "--json").record["top1"] > 0.95
    assert "rows" in run("inspect", folder, "--memory").stdout


def test_pruning_is_reported(run: Run, tmp_path: Path) -> None:
    digits = ROOT / "examples/digits"
    command = ("build", digits / "digits.onnx", "--calibrate", digits / "calib.npz", "--output", tmp_path / "out")
    record = run(*command, "--prune-channels", "0.2", "--prune", "0.3", "--prune-scope", "layer", "--json").record
    pruning = record["pruning"]
    assert pruning["macs_after"] == record["macs"] < pruning["macs_before"]
    assert pruning["weights_after"] < 0.7 * pruning["weights_before"]
    assert pruning["outputs"]["logits"] > 0
    text = run(*command, "--prune-channels", "0.2").stdout
    assert "pruned" in text and "dB" in text


def test_dump_prints_every_stage(run: Run, model: Path, tmp_path: Path) -> None:
    run("build", model, "--output", tmp_path / "out", "--dump", tmp_path / "dump", "--prune", "0.1")
    assert {path.name for path in (tmp_path / "dump").iterdir()} == {
        "float.txt",
        "pruned.txt",
        "int8.txt",
        "program.json",
    }
    assert "fully_connected" in (tmp_path / "dump/int8.txt").read_text(encoding="utf-8")


def test_outputs_cut_the_graph(run: Run, model: Path, tmp_path: Path) -> None:
    record = run("build", model, "--outputs", "logits", "--output", tmp_path / "out", "--json").record
    assert [port["name"] for port in record["outputs"]] == ["logits"]
    assert [layer["op"] for layer in record["layers"]] == ["fully_connected"]


def test_shape_gives_sizes(run: Run, tmp_path: Path) -> None:
    model = small_models.dynamic_image(tmp_path / "image.onnx")
    record = run("build", model, "--shape", "x=1,3,10,8", "--output", tmp_path / "out", "--json").record
    assert record["inputs"][0]["shape"] == [1, 3, 10, 8]
    assert run("inspect", model, "--shape", "x=1,3,10,8", "--json").record["supported"] is True


def test_tflite_arithmetic_on_request(run: Run, model: Path, tmp_path: Path) -> None:
    functions = []
    for arithmetic in ("default", "tflite"):
        folder = tmp_path / arithmetic
        record = run(
            "build", model, "--arithmetic", arithmetic, "--outputs", "logits", "--output", folder, "--json"
        ).record
        assert record["verified"] is True and record["options"]["arithmetic"] == arithmetic
        functions.append(record["layers"][0]["function"])
    assert functions[0] != functions[1]


def test_no_verify_says_so(run: Run, model: Path, tmp_path: Path) -> None:
    record = run("build", model, "--no-verify", "--output", tmp_path / "out", "--json").record
    assert record["verified"] is False
    assert run("verify", tmp_path / "out", "--json").record["bit_exact"] is True


def test_inspect_a_model_and_a_folder(examples: Examples, run: Run) -> None:
    record = run("inspect", ROOT / "examples/digits/digits.onnx", "--json").record
    assert record["supported"] is True and record["unsupported"] == []
    assert record["macs"] > 0 and record["parameters"] > 0 and record["onnx_ops"]["Conv"] > 0
    assert "12.8 k parameters" in run("inspect", ROOT / "examples/digits/digits.onnx").stdout
    folder, done = examples["digits"]
    assert run("inspect", folder, "--json").record["layers"] == done.record["layers"]
    assert "logits" in run("inspect", folder).stdout


def test_inspect_lists_what_is_not_supported(run: Run, tmp_path: Path) -> None:
    record = run("inspect", small_models.unsupported(tmp_path / "odd.onnx"), "--json").record
    assert record["supported"] is False
    assert ["determinant" in record["unsupported"][0], "places_of_hits" in record["unsupported"][1]] == [True, True]


def test_bench_makes_one_table(run: Run, model: Path, tmp_path: Path) -> None:
    small_models.classifier(tmp_path / "net_b.onnx")
    np.savez(tmp_path / "net_calib.npz", x=small_models.samples())
    done = run("bench", tmp_path, "--target", "cortex-m4", "--target", "cortex-m0", "--json")
    rows = done.record["rows"]
    assert [(row["name"], row["target"]) for row in rows] == [
        (name, target) for name in ("net", "net_b") for target in ("cortex-m4", "cortex-m0")
    ]
    for row in rows:
        assert row["bit_exact"] is True and row["cycles"] > 0 and row["calibration"] == "net_calib.npz"
        assert row["flash"]["total"] > row["flash"]["weights"] > 0 and row["ram"]["arena"] > 0 and row["stack"] > 0
    table = run("bench", model).stdout.splitlines()
    assert table[0].split()[:4] == ["model", "target", "MACs", "cycles"] and table[1].split()[:2] == [
        "net",
        "cortex-m4",
    ]


def test_bench_goes_on_after_a_model_that_fails(run: Run, model: Path, tmp_path: Path) -> None:
    small_models.unsupported(tmp_path / "a_odd.onnx")
    done = run("bench", tmp_path, "--json", code=1)
    assert [bool(row["error"]) for row in done.record["rows"]] == [True, False]
    assert "determinant" in done.stderr


def test_bench_finds_calibration_by_name(tmp_path: Path) -> None:
    for name in ("a_motion_calib.npz", "motion_wide_calib.npz", "cnn_calib.npz", "calib.npz", "other_calib.npz"):
        (tmp_path / name).touch()
    found = [path.name for path in find_calibration(tmp_path / "cnn_motion_v2.onnx")]
    assert found == ["cnn_calib.npz", "calib.npz", "motion_wide_calib.npz"]


def test_ops_and_targets(run: Run) -> None:
    found = {op["name"]: op["onnx"] for op in run("ops", "--json").record["operators"]}
    assert "Conv" in found["conv2d"] and "conv2d" in run("ops").stdout
    targets = {target["name"]: target for target in run("targets", "--json").record["targets"]}
    assert {"cortex-m", "cortex-m0", "cortex-m4", "cortex-m55", "riscv32", "host"} <= set(targets)
    assert targets["cortex-m4"]["emulator"] == "unicorn" and targets["cortex-m4"]["emulator_installed"] is True
    assert targets["host"]["compiler"]
    assert "cortex-m4" in run("targets").stdout


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_command_helps_with_an_example(run: Run, name: str) -> None:
    text = run(name, "--help").stdout
    assert "Example:" in text and f"mcugen {name}" in text and "--json" in text


def test_a_new_process_keeps_stdout_for_results(examples: Examples, tmp_path: Path) -> None:
    folder, _ = examples["tabular"]
    command = [sys.executable, "-m", "mcugen", "simulate", str(folder)]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "HOME": str(tmp_path)}
    as_text = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "cycles" in as_text.stdout and "\x1b" not in as_text.stdout + as_text.stderr and as_text.stderr == ""
    as_json = subprocess.run([*command, "--json"], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(as_json.stdout)["bit_exact"] is True
    wrong = subprocess.run(
        [*command[:-1], str(tmp_path / "none")], env=environment, capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 1 and wrong.stderr.startswith("error: ") and "Traceback" not in wrong.stderr


def test_usage_errors_exit_with_2(run: Run, model: Path) -> None:
    for wrong in (("build",), ("build", model, "--flash", "big"), ("build", model, "--shape", "1,3"), ("nothing",)):
        done = run(*wrong, code=2)
        assert done.stdout == "" and "Usage:" in done.stderr


def test_version(run: Run) -> None:
    assert run("--version").stdout.strip().endswith(mcugen.__version__)
