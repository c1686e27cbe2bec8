"""ONNX out: one graph from feature values to log-odds, probability and points, in doubles (onnx).

Converters that are at hand write thresholds in 32 bits, so that a value beside a threshold takes the other branch; ours
writes them in 64 bits. Only the sum of the trees comes out in 32 bits, as the operator has it.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.calibration import Calibration
from automl.exchange_trees import sum_of_trees
from automl.families.interface import Model
from automl.plain_trees import Tree
from automl.scale import ScoreScale
from core.errors import ConfigurationError
from core.i18n import msg

if TYPE_CHECKING:
    from features.plan import FeaturePlan

__all__ = ["to_onnx"]

_OPSET, _ML_OPSET = 17, 3
_LEAST_PROBABILITY = 1e-12


def to_onnx(model: Model, calibration: Calibration, scale: ScoreScale, plan: "FeaturePlan") -> bytes:
    """Return the model as ONNX.

    Input ``features``: double, shape (n_rows, n_features), columns in the order of the plan, categories as codes, NaN
    for null; names and levels stand in the metadata. Outputs ``log_odds`` (before calibration), ``probability`` and
    ``points``, each of shape (n_rows, 1).

    Raises
    ------
    InputError
        The model is of a family that cannot be written so.
    ConfigurationError
        The package onnx is not installed.
    """
    try:
        from onnx import TensorProto, checker, helper
    except ImportError as error:
        raise ConfigurationError(
            msg("the package {name} is not installed", name="onnx"), fix=msg("Install the extra {name}.", name="onnx")
        ) from error
    trees, base = sum_of_trees(model)
    graph = _Graph()
    graph.trees(trees)
    graph.node("Cast", ["tree_sum"], "sum", to=TensorProto.DOUBLE)
    graph.node("Add", ["sum", graph.constant(base)], "log_odds")
    graph.calibrate(calibration)
    graph.points(scale)
    rows: list[Any] = ["n_rows"]
    made = helper.make_graph(
        graph.nodes,
        "guarantee_workbench",
        [helper.make_tensor_value_info("features", TensorProto.DOUBLE, [*rows, model.n_features])],
        [
            helper.make_tensor_value_info(n, TensorProto.DOUBLE, [*rows, 1])
            for n in ("log_odds", "probability", "points")
        ],
        graph.constants,
    )
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid("ai.onnx.ml", _ML_OPSET)]
    whole = helper.make_model(made, opset_imports=opsets, producer_name="guarantee-workbench", ir_version=8)
    about = {"features": list(plan.aliases), "levels": {alias: list(levels) for alias, levels in plan.levels.items()},
             "plan": plan.fingerprint, "family": model.family}  # fmt: skip
    helper.set_model_props(whole, {name: json.dumps(value, ensure_ascii=False) for name, value in about.items()})
    checker.check_model(whole)
    content: bytes = whole.SerializeToString()
    return content


class _Graph:
    """Nodes and constants as they are added."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def node(self, op: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        from onnx import helper

        domain = attributes.pop("domain", None)
        self.nodes.append(helper.make_node(op, list(inputs), [output], domain=domain, **attributes))
        return output

    def constant(self, value: Any) -> str:
        from onnx import numpy_helper

        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype=np.float64), name))
        return name

    def trees(self, trees: Sequence[Tree]) -> None:
        """Add the operator that sums the trees."""
        from onnx import numpy_helper

        rows = [(t, n, node) for t, tree in enumerate(trees) for n, node in enumerate(tree.nodes)]
        leaves = [row for row in rows if row[2].mode == "LEAF"]
        values = [0.0 if node.mode == "LEAF" else node.value for _, _, node in rows]
        self.node(
            "TreeEnsembleRegressor", ["features"], "tree_sum", domain="ai.onnx.ml", n_targets=1,
            aggregate_function="SUM", post_transform="NONE",
            nodes_treeids=[t for t, _, _ in rows], nodes_nodeids=[n for _, n, _ in rows],
            nodes_featureids=[node.feature for _, _, node in rows], nodes_modes=[node.mode for _, _, node in rows],
            nodes_truenodeids=[node.yes for _, _, node in rows], nodes_falsenodeids=[node.no for _, _, node in rows],
            nodes_missing_value_tracks_true=[int(node.is_missing_true) for _, _, node in rows],
            nodes_values_as_tensor=numpy_helper.from_array(np.array(values, dtype=np.float64), "nodes_values"),
            target_treeids=[t for t, _, _ in leaves], target_nodeids=[n for _, n, _ in leaves],
            target_ids=[0] * len(leaves),
            target_weights_as_tensor=numpy_helper.from_array(
                np.array([node.value for _, _, node in leaves], dtype=np.float64), "target_weights"
            ),
        )  # fmt: skip

    def calibrate(self, calibration: Calibration) -> None:
        """Add the map from log-odds to a probability."""
        bent = self._beta(calibration) if calibration.bend is not None else self._line(calibration)
        shifted = self.node("Add", [bent, self.constant(calibration.shift)], "calibrated")
        bounded = self.node(
            "Min", [self.node("Max", [shifted, self.constant(-700.0)], "m0"), self.constant(700.0)], "m1"
        )
        odds = self.node("Add", [self.node("Exp", [self.node("Neg", [bounded], "m2")], "m3"), self.constant(1.0)], "m4")
        raw = self.node("Div", [self.constant(1.0), odds], "m5")
        low = self.node("Max", [raw, self.constant(_LEAST_PROBABILITY)], "m6")
        self.node("Min", [low, self.constant(1.0 - _LEAST_PROBABILITY)], "probability")

    def _line(self, calibration: Calibration) -> str:
        """Add the piecewise line: what each piece adds, and the slope beyond its ends."""
        knots, levels = np.array(calibration.margins), np.array(calibration.log_odds)
        below = self.node(
            "Min", [self.node("Sub", ["log_odds", self.constant(knots[0])], "k0"), self.constant(0.0)], "k1"
        )
        above = self.node(
            "Max", [self.node("Sub", ["log_odds", self.constant(knots[-1])], "k2"), self.constant(0.0)], "k3"
        )
        outside = self.node("Mul", [self.node("Add", [below, above], "k4"), self.constant(calibration.slope)], "k5")
        total = self.node("Add", [outside, self.constant(levels[0])], "k6")
        if len(knots) == 1:
            return total
        inside = self.node(
            "Min", [self.node("Max", ["log_odds", self.constant(knots[:-1])], "k7"), self.constant(knots[1:])], "k8"
        )
        length = self.node("Sub", [inside, self.constant(knots[:-1])], "k9")
        gain = self.node("Mul", [length, self.constant(np.diff(levels) / np.diff(knots))], "k10")
        ones = self.node("MatMul", [gain, self.constant(np.ones((len(knots) - 1, 1)))], "k11")
        return self.node("Add", [total, ones], "k12")

    def _beta(self, calibration: Calibration) -> str:
        """Add ``b ln(1 + exp(m)) - a ln(1 + exp(-m)) + c``."""
        assert calibration.bend is not None  # noqa: S101  # asked before
        a, b, c = calibration.bend
        size = self.node("Neg", [self.node("Abs", ["log_odds"], "b0")], "b1")
        rest = self.node("Log", [self.node("Add", [self.node("Exp", [size], "b2"), self.constant(1.0)], "b3")], "b4")
        above = self.node("Add", [self.node("Max", ["log_odds", self.constant(0.0)], "b5"), rest], "b6")
        minus = self.node("Neg", ["log_odds"], "b7")
        below = self.node("Add", [self.node("Max", [minus, self.constant(0.0)], "b8"), rest], "b9")
        first = self.node("Mul", [above, self.constant(b)], "b10")
        second = self.node("Mul", [below, self.constant(a)], "b11")
        return self.node("Add", [self.node("Sub", [first, second], "b12"), self.constant(c)], "b13")

    def points(self, scale: ScoreScale) -> None:
        """Add the points, rounded to the decimals of the scale."""
        factor, decimals = scale.pdo / np.log(2), 10.0**scale.decimals
        safe = self.node("Sub", [self.constant(1.0), "probability"], "p0")
        good = self.node("Sub", [self.node("Log", [safe], "p1"), self.node("Log", ["probability"], "p2")], "p3")
        over = self.node("Sub", [good, self.constant(np.log(scale.base_odds))], "p4")
        raw = self.node(
            "Add", [self.node("Mul", [over, self.constant(factor)], "p5"), self.constant(scale.base_points)], "p6"
        )
        whole = self.node("Round", [self.node("Mul", [raw, self.constant(decimals)], "p7")], "p8")
        self.node("Div", [whole, self.constant(decimals)], "points")
