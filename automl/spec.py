"""What a training run is asked to do: how to split, how long to search, with which families and seed."""

from datetime import date
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["PRESETS", "Preset", "RejectSpec", "SplitSpec", "TrainSpec"]

Preset = Literal["quick", "standard", "thorough"]
PRESETS: dict[Preset, float] = {"quick": 55.0, "standard": 270.0, "thorough": 1_710.0}
"""Budgets in seconds that stay below one minute, five and thirty."""

_FAMILIES = ("logistic", "scorecard", "lightgbm", "catboost", "forest", "xgboost")


class SplitSpec(BaseModel):
    """How rows are divided into training, calibration and out-of-time.

    Parameters
    ----------
    out_of_time_share : float, default=0.25
        Share of the labelled rows, the latest by cutoff, kept for the out-of-time part.
    out_of_time_start : date, optional
        First cutoff of the out-of-time part; overrides `out_of_time_share`.
    holdout_share : float, default=0.3
        Share of the entities held out where all rows have one cutoff.
    calibration_share : float, optional
        Share of the rows before the boundary kept for calibration. Left out: 0.2 of a split by time, and 0 of a
        hold-out, where out-of-fold margins calibrate and no row is lost to training.
    salt : str, default="0"
        Goes into the hash of the entity that decides the hold-out: another salt, another published split.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    out_of_time_share: float = Field(0.25, gt=0, lt=0.9)
    out_of_time_start: date | None = None
    holdout_share: float = Field(0.3, gt=0, lt=0.9)
    calibration_share: float | None = Field(None, ge=0, lt=0.6)
    salt: str = "0"


class RejectSpec(BaseModel):
    """How rejected applicants enter the fit.

    Parameters
    ----------
    column : str, default="decision"
        Column of the root table that says who was refused.
    values : list of str, default=["rejected"]
        Its values that mean refused.
    method : {"parcelling", "fuzzy", "reweighting"}, default="parcelling"
        Parcelling gives rejects outcomes band by band; fuzzy augmentation lets each enter as part bad, part good;
        reweighting leaves them out and weighs accepted rows by one over the share accepted at their score.
    odds_factor : float, default=1.5
        Bad odds of a reject over those of an accepted applicant of the same score; not read by reweighting.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str = "decision"
    values: list[str] = ["rejected"]
    method: Literal["parcelling", "fuzzy", "reweighting"] = "parcelling"
    odds_factor: float = Field(1.5, gt=0, le=20)


class TrainSpec(BaseModel):
    """How long to search, with what, and from which seed.

    Parameters
    ----------
    preset : {"quick", "standard", "thorough"}, optional
        A budget by name: at most 1, 5 and 30 minutes. One given in figures goes before it.
    budget_seconds : float, optional
        Wall time of the whole training, once its libraries are loaded. Default 120 where no budget is given at all.
    n_trials : int, optional
        Number of trials of each tuned family; such a run repeats exactly.
    seed : int, default=20_240_101
        Of folds, search, boosting and bootstrap.
    families : list of str
        Names of the table in `automl.families`; all of them where left out.
    ensemble : bool, default=True
        Whether a weighted ensemble of the best trials takes part too.
    folds : int, default=5
        Cross-validation folds inside training; an entity is in one fold only.
    repeats : int, default=10
        Repeats of the cross-validation that stands in for a hold-out where labels are few.
    choose : {"most_accurate", "simplest_as_good"}, default="most_accurate"
        Which candidate becomes the model: the best, or the simplest within one standard error of it.
    bootstrap_draws : int, default=500
        Draws behind every interval.
    num_threads : int, default=0
        Threads of the boosting; 0 takes all cores. The model does not depend on it.
    replay : list of dict, optional
        The recorded trials of an earlier run (`TrialRecord.to_json`): exactly these are made again, none is searched.
    split : SplitSpec
        How rows are divided.
    long_run_bad_rate : float, optional
        Average bad rate over the cycle: probabilities are shifted so that their mean over the calibration rows is this.
        Left out, they keep the level of those rows.
    most_odds_factor : float, default=3
        That shift multiplies or divides the odds by this at most.
    use_dictionary : bool, default=True
        Whether the business dictionary gives directions that models must keep.
    directions : dict of str to {1, -1, 0}
        By alias, column or ``table.column``, before the dictionary: 1 the larger the riskier, -1 the smaller, 0 as it
        likes.
    interactions : list of list of str
        Groups of features, by alias, column or ``table.column``: trees let features act together only inside a group,
        and a feature of no group acts alone. Left out, all may.

    reject_inference : RejectSpec, optional
        How rejected applicants enter the fit. Left out, they do not.
    portable : bool, default=False
        Whether every model can be written as ONNX: CatBoost then reads levels as numbers, not themselves and in pairs.

    Examples
    --------
    >>> TrainSpec().budget_seconds
    120.0
    >>> TrainSpec(preset="quick").budget_seconds
    55.0
    >>> TrainSpec(n_trials=20).budget_seconds is None
    True
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: Preset | None = None
    budget_seconds: float | None = Field(None, gt=0)
    n_trials: int | None = Field(None, ge=1)
    seed: int = Field(20_240_101, ge=0, lt=2**31)
    families: list[str] = Field(default=list(_FAMILIES), min_length=1)
    ensemble: bool = True
    folds: int = Field(5, ge=2, le=20)
    repeats: int = Field(10, ge=1, le=100)
    choose: Literal["most_accurate", "simplest_as_good"] = "most_accurate"
    bootstrap_draws: int = Field(500, ge=50, le=10_000)
    num_threads: int = Field(0, ge=0)
    replay: list[dict[str, Any]] | None = None
    split: SplitSpec = SplitSpec()
    long_run_bad_rate: float | None = Field(None, gt=0, lt=1)
    most_odds_factor: float = Field(3.0, ge=1, le=20)
    use_dictionary: bool = True
    directions: dict[str, Literal[-1, 0, 1]] = Field(default_factory=dict)
    interactions: list[list[str]] = Field(default_factory=list)
    reject_inference: RejectSpec | None = None
    portable: bool = False

    @model_validator(mode="after")
    def _default_budget(self) -> Self:
        if self.budget_seconds is None and self.n_trials is None:
            object.__setattr__(self, "budget_seconds", PRESETS[self.preset] if self.preset else 120.0)
        return self
