"""A version handed on to other systems in an open form."""

from core.errors import InputError
from core.i18n import msg
from workbench.flows.context import Context
from workbench.flows.scorecard_exchange import Exported

__all__ = ["ONNX_FAMILIES", "onnx"]

ONNX_FAMILIES = ("lightgbm", "xgboost", "catboost", "forest", "logistic", "scorecard", "ensemble")
"""Families that can be written; an ensemble is of these too."""


def onnx(ctx: Context, project: str, version: int) -> Exported:
    """Return a version as ONNX; needs ``view``, and leaves a line in the audit trail.

    Raises
    ------
    InputError
        The version is of a family that cannot be written so.
    """
    from automl.families import load_model
    from automl.onnx_export import to_onnx

    ctx.require("view")
    bundle = ctx.registry.bundle(project, version)
    try:
        content = to_onnx(load_model(bundle.model_folder), bundle.calibration, bundle.scale, bundle.plan)
    except InputError as error:
        raise InputError(
            msg("version {n} cannot be written as ONNX: {problem}", n=version, problem=error.message), fix=error.fix
        ) from error
    ctx.audit("model.export", f"project:{project}", {"form": "onnx", "version": version, "bundle_hash": bundle.hash})
    return Exported(f"{project}-v{version}.onnx", "application/octet-stream", content)
