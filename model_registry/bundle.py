"""The bundle: a sealed folder with everything a model needs to answer, to be reviewed and to be watched.

Every file is JSON or a library's own text form. Nothing in it is code, and opening it runs none: types are chosen by
this module from what the files name, never imported by a path that a file gives.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import IntegrityError
from core.i18n import msg
from model_registry.manifest import Manifest, open_manifest, write_sealed
from model_registry.payload import PayloadSchema

if TYPE_CHECKING:
    from automl.calibration import Calibration
    from automl.evaluation import Evaluation
    from automl.explanation import Explanation
    from automl.label import LabelSpec
    from automl.reason_codes import ReasonMap, ReasonSpec
    from automl.result import TrainingResult
    from automl.scale import ScoreScale
    from features.binning import ReferenceProfile
    from features.leakage import LeakageCertificate
    from features.plan import FeaturePlan
    from features.reference import ReferenceSnapshot
    from features.selection import Selection
    from warehouse.data_model import DataModel

__all__ = ["Bundle", "write_bundle"]

MODEL_FOLDER = "model"
_REFERENCE_DATA = "reference_data.json"
_REASON_CODES = "reason_codes.json"


@dataclass(frozen=True)
class Bundle:
    """An opened bundle: proved whole when it was opened, its parts read when they are asked for.

    Parameters
    ----------
    folder : Path
        Where it lies.
    manifest : Manifest
        Its proved manifest.
    """

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: Path) -> "Bundle":
        """Prove and open a bundle.

        Raises
        ------
        NotFoundError
            If there is no such folder.
        IntegrityError
            If any file is missing, added, changed, a link, or of a kind that could run code.
        """
        return cls(folder, open_manifest(folder))

    @property
    def hash(self) -> str:
        """SHA-256 that names the bundle, 64 hexadecimal digits."""
        return self.manifest.hash

    @property
    def model_folder(self) -> Path:
        """Folder of the model's native files."""
        return self.folder / MODEL_FOLDER

    @cached_property
    def info(self) -> dict[str, Any]:
        """What it is: model family, seed, fingerprints of data, plan and training, and what the caller added."""
        return dict(self.json("info.json"))

    @cached_property
    def plan(self) -> "FeaturePlan":
        """The features in their order, with frozen levels."""
        from features.plan import FeaturePlan

        return FeaturePlan.load(self._file("plan.json"))

    @cached_property
    def payload(self) -> PayloadSchema:
        """What rows the model takes."""
        return PayloadSchema.from_json(self.json("payload.json"))

    @cached_property
    def reference(self) -> "ReferenceProfile":
        """What the training data looked like, on the frozen bins."""
        from features.binning import ReferenceProfile

        return ReferenceProfile.from_json(self.text("reference.json"))

    @cached_property
    def reference_data(self) -> "ReferenceSnapshot | None":
        """What live scores take reference features from, or None where the plan has none."""
        from features.reference import ReferenceSnapshot

        if _REFERENCE_DATA not in self.manifest.files:
            return None
        return ReferenceSnapshot.from_json(self.text(_REFERENCE_DATA), self.plan)

    @cached_property
    def calibration(self) -> "Calibration":
        """From the model's margin to a probability."""
        from automl.calibration import Calibration

        return Calibration.from_json(self.json("calibration.json"))

    @cached_property
    def scale(self) -> "ScoreScale":
        """From a probability to points and a grade."""
        from automl.scale import ScoreScale

        return ScoreScale.from_json(self.json("scale.json"))

    @cached_property
    def label(self) -> "LabelSpec":
        """What was predicted."""
        from automl.label import LabelSpec

        return LabelSpec.model_validate(self.json("label.json"))

    @cached_property
    def reason_codes(self) -> "ReasonMap":
        """The codes of its features with their sentences; the curated ones where it is older than these."""
        from automl.reason_codes import ReasonMap

        if _REASON_CODES not in self.manifest.files:
            return ReasonMap.of_plan(self.plan)
        return ReasonMap.from_json(self.json(_REASON_CODES), self.plan)

    @cached_property
    def evaluation(self) -> "Evaluation":
        """How well it predicts, with intervals."""
        from automl.evaluation import Evaluation

        return Evaluation.from_json(self.json("evaluation.json"))

    @cached_property
    def explanation(self) -> "Explanation":
        """Which features decide, and how."""
        from automl.explanation import Explanation

        return Explanation.from_json(self.json("explanation.json"))

    @cached_property
    def certificate(self) -> "LeakageCertificate | None":
        """The leakage certificate, or None where none was made."""
        from features.leakage import LeakageCertificate

        text = self.text("certificate.json")
        return LeakageCertificate.from_json(text) if json.loads(text) is not None else None

    @cached_property
    def selection(self) -> "Selection | None":
        """Which features were kept and dropped and why, or None where none were chosen among."""
        from features.selection import Selection

        content = self.json("selection.json")
        return Selection.from_json(content) if content is not None else None

    def text(self, name: str) -> str:
        """Read a file of the bundle by its relative path; raises `IntegrityError` where it has none of this name."""
        return self._file(name).read_text(encoding="utf-8")

    def json(self, name: str) -> Any:
        """Read a JSON file of the bundle by its relative path.

        Raises
        ------
        IntegrityError
            If the bundle has no such file, or it is not JSON.
        """
        try:
            return json.loads(self._file(name).read_bytes())
        except ValueError as error:
            raise IntegrityError(msg("The bundle's {name} is not JSON", name=name), where=self.folder.name) from error

    def _file(self, name: str) -> Path:
        if name not in self.manifest.files:
            raise IntegrityError(msg("The bundle has no {name}", name=name), where=self.folder.name)
        return self.folder / name


def write_bundle(
    folder: Path,
    *,
    plan: "FeaturePlan",
    training: "TrainingResult",
    reference: "ReferenceProfile",
    label: "LabelSpec",
    certificate: "LeakageCertificate | None",
    selection: "Selection | None",
    data_fingerprint: str,
    info: Mapping[str, Any],
    data_model: "DataModel | None" = None,
    reference_data: "ReferenceSnapshot | None" = None,
    reasons: "ReasonSpec | None" = None,
) -> Bundle:
    """Write a sealed bundle: into a temporary folder, then moved into place whole.

    Equal content gives an equal hash: no time and no path is written by this function.

    Parameters
    ----------
    folder : Path
        Where the bundle shall lie; must not exist.
    plan, training, reference, label, certificate, selection
        What training made; `certificate` and `selection` may be None.
    data_fingerprint : str
        Fingerprint of the tables it was trained on.
    info : mapping
        What else shall be kept, JSON values: versions of libraries, settings, notes.
    data_model : DataModel, optional
        All columns that callers know: those that the plan does not read are then accepted and ignored in a payload,
        and booleans are told from numbers.
    reference_data : ReferenceSnapshot, optional
        Needed where the plan has reference features: without it no live score is given until some is published.
    reasons : ReasonSpec, optional
        What the analyst changes of the curated reason codes.

    Returns
    -------
    Bundle
        The bundle, opened again from the disk.

    Raises
    ------
    ConflictError
        If `folder` exists.
    """
    from automl.reason_codes import ReasonMap

    cutoff_column = label.cutoff.column if label.cutoff else None
    parts = {
        "payload.json": PayloadSchema.of_plan(plan, cutoff_column=cutoff_column, data_model=data_model),
        "reference.json": reference,
        _REASON_CODES: ReasonMap.of_plan(plan, reasons),
        "label.json": label,
        "certificate.json": certificate,
        "selection.json": selection,
        **{f"{name}.json": getattr(training, name) for name in _TRAINING_PARTS},
        "info.json": {
            **info,
            "family": training.model.family,
            "seed": training.seed,
            "training_fingerprint": training.fingerprint,
            "data_fingerprint": data_fingerprint,
            "plan_fingerprint": plan.fingerprint,
        },
    }

    if reference_data is not None:
        parts[_REFERENCE_DATA] = reference_data.to_json(plan)

    from automl.families import save_model

    def fill(target: Path) -> None:
        for name, part in parts.items():
            (target / name).write_text(_json_text(part), encoding="utf-8")
        plan.save(target / "plan.json")
        save_model(training.model, target / MODEL_FOLDER)

    write_sealed(folder, fill)
    return Bundle.open(folder)


_TRAINING_PARTS = ("calibration", "scale", "evaluation", "explanation", "candidates", "trials", "findings")


def _json_text(part: Any) -> str:
    value = _json_value(part)
    if isinstance(value, str):
        return value  # the part writes its own JSON text
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)


def _json_value(part: Any) -> Any:
    """Return `part` as JSON values, by the way of writing that it brings itself."""
    for method in ("to_json", "model_dump"):
        write: Callable[..., Any] | None = getattr(part, method, None)
        if write is not None:
            return write(mode="json") if method == "model_dump" else write()
    if isinstance(part, Mapping):
        return {str(key): _json_value(value) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return [_json_value(value) for value in part]
    return part
