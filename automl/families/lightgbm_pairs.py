"""SHAP interaction values of LightGBM trees without native categories."""

import warnings

import lightgbm
import numpy as np

__all__ = ["shap_interactions"]


def shap_interactions(text: str, rows: np.ndarray) -> np.ndarray:
    """Return shape (n_rows, n_features, n_features): effects on the log-odds, each pair in two equal halves.

    Parameters
    ----------
    text : str
        A model in LightGBM's own text form; with splits on sets of levels the answer would be wrong.
    rows : ndarray of shape (n_rows, n_features)
        What to explain.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its plots, unused here, speak of matplotlib's future
        import shap

    explainer = shap.TreeExplainer(lightgbm.Booster(model_str=text))
    return np.asarray(explainer.shap_interaction_values(np.ascontiguousarray(rows, dtype=np.float64)), dtype=np.float64)
