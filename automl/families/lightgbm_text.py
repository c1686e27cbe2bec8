"""LightGBM's text form: several models as one, a forest written as one, encoded splits turned back into levels."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

__all__ = ["TextTree", "forest_text", "merge_texts", "plain_text", "split_by_levels", "text_trees"]

_CATEGORICAL, _DEFAULT_LEFT, _MISSING_IS_NAN = 1, 2, 8
_WORD_BITS = 32
_ORDER = (
    "num_leaves", "num_cat", "split_feature", "split_gain", "threshold", "decision_type", "left_child", "right_child",
    "leaf_value", "leaf_weight", "leaf_count", "internal_value", "internal_weight", "internal_count",
    "cat_boundaries", "cat_threshold", "is_linear", "shrinkage",
)  # fmt: skip


@dataclass
class TextTree:
    """One tree as the text holds it: a list of texts by name."""

    fields: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def parse(cls, block: str) -> "TextTree":
        """Read the lines ``name=values`` of a tree."""
        pairs = (line.partition("=") for line in block.splitlines() if "=" in line)
        return cls({name: values.split() for name, _, values in pairs})

    def text(self) -> str:
        """Return the lines, in LightGBM's order."""
        names = [name for name in _ORDER if name in self.fields]
        return "\n".join(f"{name}={' '.join(self.fields[name])}" for name in names) + "\n\n\n"


def merge_texts(texts: Sequence[str]) -> str:
    """Return one text model whose log-odds are the mean of those of `texts`.

    The trees of all models follow one another; leaf and inner values are divided by the number of models, so
    predictions and SHAP values become means.
    """
    return _with_trees(texts[0], [_scaled(tree, len(texts)) for text in texts for tree in text_trees(text)])


def plain_text(text: str) -> str:
    """Return the model without the parameters it was trained with, which name threads and say nothing of the trees."""
    return re.sub(r"\nparameters:\n.*?\nend of parameters\n", "\n", text, flags=re.DOTALL)


def split_by_levels(text: str, tables: Mapping[int, np.ndarray]) -> str:
    """Return the model with its splits on encoded columns turned into splits on the category codes themselves.

    A split ``encoded value <= threshold`` is one on a set of codes, so the model that was fitted on encoded columns
    answers for the codes without the tables.

    Parameters
    ----------
    text : str
        Model fitted on columns of which some hold ``table[code]`` in place of a code.
    tables : mapping of int to ndarray
        By column: what stands for each code; the last entry stands for missing.
    """
    if not tables:
        return text
    trees = [TextTree.parse(block) for block in text_trees(text)]
    for tree in trees:
        _turn_back(tree, tables)
    return _with_trees(text, [tree.text() for tree in trees])


def forest_text(names: Sequence[str], trees: Sequence[TextTree]) -> str:
    """Return a text model of `trees` whose leaf values add up to log-odds."""
    head = "\n".join(
        [
            "tree", "version=v4", "num_class=1", "num_tree_per_iteration=1", "label_index=0",
            f"max_feature_idx={len(names) - 1}", "objective=binary sigmoid:1", f"feature_names={' '.join(names)}",
            f"feature_infos={' '.join(['none'] * len(names))}", "tree_sizes=",
        ]
    )  # fmt: skip
    tail = "end of trees\n\nfeature_importances:\n\npandas_categorical:null\n"
    return _with_trees(f"{head}\n\n{tail}", [tree.text() for tree in trees])


def _with_trees(text: str, trees: Sequence[str]) -> str:
    head = text[: text.index("tree_sizes=")]
    tail = text[text.index("end of trees") :]
    blocks = [f"Tree={i}\n{tree}" for i, tree in enumerate(trees)]
    sizes = " ".join(str(len(block.encode())) for block in blocks)
    return f"{head}tree_sizes={sizes}\n\n{''.join(blocks)}{tail}"


def text_trees(text: str) -> list[str]:
    """Return the lines of each tree of a text model, to be read by `TextTree.parse`."""
    body = text[text.index("\nTree=0\n") + 1 : text.index("end of trees")]
    return [part.split("\n", 1)[1] for part in body.split("Tree=")[1:]]


def _scaled(tree: str, n_models: int) -> str:
    def mean(match: re.Match[str]) -> str:
        return f"{match[1]}={' '.join(repr(float(value) / n_models) for value in match[2].split())}"

    return re.sub(r"^(leaf_value|internal_value)=(.+)$", mean, tree, flags=re.MULTILINE)


def _turn_back(tree: TextTree, tables: Mapping[int, np.ndarray]) -> None:
    values = tree.fields
    columns = [int(column) for column in values.get("split_feature", ())]
    bounds = [int(bound) for bound in values.get("cat_boundaries", ("0",))]
    words = list(values.get("cat_threshold", ()))
    for node, column in enumerate(columns):
        if column not in tables:
            continue
        goes_left = tables[column] <= float(values["threshold"][node])
        if goes_left[-1]:
            # Missing goes right at a split on levels, so the sides change places.
            goes_left = ~goes_left
            values["left_child"][node], values["right_child"][node] = (
                values["right_child"][node],
                values["left_child"][node],
            )
        words += _bit_words(goes_left[:-1])
        values["threshold"][node] = str(len(bounds) - 1)
        values["decision_type"][node] = str(_CATEGORICAL | _MISSING_IS_NAN)
        bounds.append(len(words))
    if len(bounds) > 1:
        values["num_cat"] = [str(len(bounds) - 1)]
        values["cat_boundaries"] = [str(bound) for bound in bounds]
        values["cat_threshold"] = words


def _bit_words(is_member: np.ndarray) -> list[str]:
    padded = np.zeros(-(-len(is_member) // _WORD_BITS) * _WORD_BITS, dtype=np.uint8)
    padded[: len(is_member)] = is_member
    return [str(word) for word in np.packbits(padded, bitorder="little").view("<u4")]
