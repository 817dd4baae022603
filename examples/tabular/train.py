"""Train the wine classifier and write tabular.onnx, calib.npz, eval.npz and scaler.h beside this file.

Run from the root of the repository: python -m examples.tabular.train
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from examples import training

FOLDER = Path(__file__).parent
SEED = 1
OPSET, IR_VERSION = 17, 8


def to_onnx(network: MLPClassifier) -> onnx.ModelProto:
    """Return a scikit-learn MLP with ReLU layers as Gemm, Relu and a final Softmax, with a free batch size."""
    layers = list(zip(network.coefs_, network.intercepts_, strict=True))
    nodes, constants, value = [], [], "features"
    for index, (weights, bias) in enumerate(layers, start=1):
        arrays = {f"dense_{index}.weight": weights, f"dense_{index}.bias": bias}
        constants += [numpy_helper.from_array(array.astype(np.float32), name) for name, array in arrays.items()]
        sums, active = f"dense_{index}_out", f"relu_{index}_out"
        nodes.append(helper.make_node("Gemm", [value, *arrays], [sums], name=f"dense_{index}"))
        value = sums
        if index < len(layers):
            nodes.append(helper.make_node("Relu", [sums], [active], name=f"relu_{index}"))
            value = active
    nodes.append(helper.make_node("Softmax", [value], ["probabilities"], name="softmax", axis=-1))
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", network.n_features_in_])
    probabilities = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", network.n_outputs_])
    graph = helper.make_graph(nodes, "wine", [features], [probabilities], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def scaler_header(scaler: StandardScaler, names: list[str]) -> str:
    """Return a C header that turns measured values into the model's inputs: (value - MEAN) * INVERSE_DEVIATION."""
    columns = {"WINE_MEAN": scaler.mean_, "WINE_INVERSE_DEVIATION": 1 / scaler.scale_}
    lines = ["/* Written by train.py: input[i] = (measured[i] - WINE_MEAN[i]) * WINE_INVERSE_DEVIATION[i]. */"]
    lines += ["#ifndef WINE_SCALER_H", "#define WINE_SCALER_H", ""]
    for column, values in columns.items():
        lines.append(f"static const float {column}[{len(names)}] = {{")
        lines += [f"    {value:.8e}f, /* {name} */" for value, name in zip(values, names, strict=True)]
        lines += ["};", ""]
    return "\n".join([*lines, "#endif", ""])


def main() -> None:
    wine = load_wine()
    x_train, x_eval, y_train, y_eval = train_test_split(
        wine.data, wine.target.astype(np.int64), test_size=0.4, stratify=wine.target, random_state=SEED
    )
    scaler = StandardScaler().fit(x_train)
    x_train, x_eval = (scaler.transform(x).astype(np.float32) for x in (x_train, x_eval))
    network = MLPClassifier((32, 16), solver="lbfgs", alpha=1.0, max_iter=2000, random_state=SEED)
    network.fit(x_train, y_train)
    probabilities = network.predict_proba(x_eval).astype(np.float32)
    model_path = FOLDER / "tabular.onnx"
    training.save_onnx(to_onnx(network), model_path)
    error = training.check_export(model_path, x_eval, probabilities)
    training.save_data(FOLDER, x_calib=x_train, x_eval=x_eval, y_eval=y_eval)
    (FOLDER / "scaler.h").write_text(scaler_header(scaler, wine.feature_names), encoding="utf-8", newline="\n")
    print(f"parameters      {sum(array.size for array in (*network.coefs_, *network.intercepts_))}")
    print(f"float accuracy  {training.accuracy(probabilities, y_eval):.4f} on {len(y_eval)} wines")
    print(f"ONNX Runtime    differs by at most {error:.1e}")


if __name__ == "__main__":
    main()
