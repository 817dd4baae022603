"""Linear models of ai.onnx.ml, as scikit-learn's are exported: a fully connected layer and what is done to its scores."""

from __future__ import annotations

import numpy as np

from mcugen.ops.importing import onnx_type
from mcugen.ops.operator import Importer


def from_linear_model(importer: Importer) -> list[str]:
    """LinearRegressor or LinearClassifier: `coefficients` [O, K] and `intercepts` [O] are attributes, in rows.

    A classifier's second output are its scores; the first, its label, is refused where it is read.
    """
    source = importer.inputs()[0]
    shape = importer.shape(source)
    if len(shape) != 2:
        raise importer.unsupported(f"its input has the shape {list(shape)}", "it takes rows of features [1, C]")
    classifier = onnx_type(importer) == "LinearClassifier"
    if classifier and importer.output_used(0):
        raise importer.unsupported(
            "its label is an integer or a string",
            "name the tensor of its scores with `--outputs`: classes are found in C",
        )
    weights = np.asarray(importer.attr("coefficients"), np.float32).reshape(-1, shape[1])
    if not classifier and len(weights) != int(importer.attr("targets", 1)):
        raise importer.unsupported(f"{weights.size} coefficients do not fit {shape[1]} features and its targets")
    bias = np.asarray(importer.attr("intercepts") or np.zeros(len(weights)), np.float32)
    transform = str(importer.attr("post_transform", "NONE"))
    labels = importer.attr("classlabels_ints") or importer.attr("classlabels_strings") or []
    if classifier and len(weights) == 1 and len(labels) == 2:
        if transform != "LOGISTIC":
            raise importer.unsupported("one score for two classes", "export a row of coefficients for each class")
        weights, bias = np.concatenate([-weights, weights]), np.concatenate([-bias, bias])
    operands = [source, importer.add_constant(weights, "weights"), importer.add_constant(bias, "bias")]
    scores = _transformed(importer, importer.emit("fully_connected", operands), transform)
    return ["", scores] if classifier else [scores]


def _transformed(importer: Importer, scores: str, transform: str) -> str:
    if transform == "NONE":
        return scores
    if transform == "SOFTMAX":
        return importer.emit("softmax", [scores])
    if transform == "LOGISTIC":
        return importer.emit("table", [scores], function="Sigmoid")
    raise importer.unsupported(f"post_transform {transform}", "NONE, LOGISTIC and SOFTMAX are supported")
