"""What a version's cutoff costs and brings the guarantor, from the project's own subrogation records."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from automl.economics.assumptions import Assumptions, Records, estimate
from automl.economics.cutoffs import Applicants, TradeOff, trade_off
from automl.economics.spec import ColumnValues, EconomicsSpec, SettingsByHand
from automl.economics.swaps import ModelSwap, SwapSet, compare_models, swap_sets
from automl.predictions import Predictions
from core.errors import ConflictError, InputError
from core.findings import Finding, Severity
from core.i18n import msg
from core.i18n.formats import interval, metric
from workbench.flows import evaluation, projects, training
from workbench.flows.context import Context
from workbench.flows.segments import segment_levels
from workbench.flows.stored_columns import StoredColumns, stored_columns

if TYPE_CHECKING:
    from automl.label import LabelSpec
    from automl.scale import ScoreScale

__all__ = ["EconomicsResult", "compare", "is_described", "records_of", "run", "swaps"]

_MONTH_DAYS = 30.4375
_MONTHS_FOLLOWED = 120
_GRACE_DAYS = 120
"""After maturity, the time in which a subrogation may still come."""


@dataclass(frozen=True)
class EconomicsResult:
    """All that the Economics page draws.

    Parameters
    ----------
    version : int
        The version whose probabilities order the applicants.
    applicants : Applicants
        Those who came in the time that the version did not see.
    assumptions : Assumptions
        What is assumed, estimated or set by hand.
    settings : SettingsByHand
        Limits and settings.
    trade_off : TradeOff
        Every approval rate.
    policy_rate : float, optional
        Share that the present policy approved; None where decisions are not recorded.
    first, last : str
        The time they came in, ``2023-01``.
    cny_per_unit : float
        Yuan in one unit of all amounts.
    scale : ScoreScale
        From a cutoff to points.
    findings : tuple of Finding
        What is to be known.
    """

    version: int
    applicants: Applicants
    assumptions: Assumptions
    settings: SettingsByHand
    trade_off: TradeOff
    policy_rate: float | None
    first: str
    last: str
    cny_per_unit: float
    scale: "ScoreScale"
    findings: tuple[Finding, ...]


def is_described(ctx: Context, project: str) -> bool:
    """Whether the project says where its contracts and subrogations stand; needs ``view``."""
    ctx.require("view")
    return projects.spec(ctx, project).economics is not None


def run(
    ctx: Context, project: str, version: int | None = None, *, by_hand: Mapping[str, Any] | None = None
) -> EconomicsResult:
    """Estimate what is lost when a guarantee goes bad, and weigh every cutoff of a version; needs ``view``.

    Parameters
    ----------
    version : int, optional
        The latest where left out.
    by_hand : mapping, optional
        Fields of `SettingsByHand` in place of the project's; None gives the estimate back its place.

    Raises
    ------
    ConflictError
        The project does not say where its contracts and subrogations stand, or the version's predictions were not kept.
    InputError
        There are too few subrogations, or a figure is neither recorded nor set.
    """
    ctx.require("view")
    number = version if version is not None else training.latest_version(ctx, project)
    spec = _spec(ctx, project)
    settings = _settings(spec, by_hand)
    found = evaluation.predictions(ctx, project, number)
    tables = stored_columns(ctx, project)
    ctx.say(0.1, msg("reading contracts and subrogations"))
    assumptions = estimate(records_of(tables, spec, found, _as_of(ctx, project, tables, spec)), settings)
    ctx.say(0.5, msg("weighing every approval rate"))
    rows = found.take(found.applicants)
    applicants = _applicants(tables, spec, projects.spec(ctx, project).label(), rows)
    curves = trade_off(applicants, assumptions, settings, cny_per_unit=spec.cny_per_unit)
    known = applicants.is_approved[~np.isnan(applicants.is_approved)]
    return EconomicsResult(
        version=number,
        applicants=applicants,
        assumptions=assumptions,
        settings=settings,
        trade_off=curves,
        policy_rate=float(known.mean()) if len(known) else None,
        first=str(rows.cutoffs.min().astype("datetime64[M]")),
        last=str(rows.cutoffs.max().astype("datetime64[M]")),
        cny_per_unit=spec.cny_per_unit,
        scale=ctx.registry.bundle(project, number).scale,
        findings=_findings(applicants, assumptions, settings),
    )


def swaps(result: EconomicsResult, step: int) -> tuple[SwapSet, ...]:
    """Return who changes sides against the present policy at a step of the approval rate; empty without decisions."""
    if result.policy_rate is None:
        return ()
    return swap_sets(result.applicants, float(result.trade_off.cutoff[step]))


def compare(ctx: Context, project: str, result: EconomicsResult, other: int, approval_rate: float) -> ModelSwap:
    """Compare the result's version with another at one approval rate, by outcomes on rows that neither saw."""
    if other == result.version:
        raise InputError(msg("a version cannot be compared with itself"), where=f"v{other}")
    one, two, _ = evaluation.common_rows(
        evaluation.predictions(ctx, project, result.version), evaluation.predictions(ctx, project, other)
    )
    label = projects.spec(ctx, project).label()
    applicants = _applicants(stored_columns(ctx, project), _spec(ctx, project), label, one)
    names = (msg("version {n}", n=result.version), msg("version {n}", n=other))
    return compare_models(applicants, two.probability, result.assumptions, approval_rate, names=names)


def _spec(ctx: Context, project: str) -> EconomicsSpec:
    spec = projects.spec(ctx, project).economics
    if spec is None:
        raise ConflictError(
            msg("the project does not say where its contracts and subrogations stand"),
            fix=msg("Add a section economics to the project file."),
            code="economics_missing",
        )
    return spec


def _settings(spec: EconomicsSpec, by_hand: Mapping[str, Any] | None) -> SettingsByHand:
    return SettingsByHand.model_validate(spec.by_hand.model_dump() | dict(by_hand or {}))


def _applicants(tables: StoredColumns, spec: EconomicsSpec, label: "LabelSpec", rows: Predictions) -> Applicants:
    def number(name: str) -> np.ndarray:
        levels = segment_levels(tables, label, name, rows.keys)
        return np.array([np.nan if level is None else float(level) for level in levels])

    amount, term = number(spec.amount), number(spec.term_months)
    usable = ~(np.isnan(amount) | np.isnan(term))
    rows, amount, term = rows.take(np.flatnonzero(usable)), amount[usable], term[usable]
    days = (rows.cutoffs.max() - rows.cutoffs.min()).astype("timedelta64[D]").astype(float) + 1
    approved = _is_one_of(tables, label, spec.approved, rows.keys)
    return Applicants(
        probability=rows.probability,
        y=rows.y,
        amount=amount,
        term_months=term,
        is_small=_is_one_of(tables, label, spec.small, rows.keys) == 1,
        is_agricultural=_is_one_of(tables, label, spec.agricultural, rows.keys) == 1,
        is_approved=approved,
        months=max(float(days) / _MONTH_DAYS, 1.0),
    )


def _is_one_of(tables: StoredColumns, label: "LabelSpec", chosen: ColumnValues | None, keys: np.ndarray) -> np.ndarray:
    """Return 1 where the row's value is one of those chosen, 0 where it is another, NaN where it has none."""
    if chosen is None:
        return np.full(len(keys), np.nan)
    wanted = {"1" if value is True else "0" if value is False else str(value) for value in chosen.values}
    levels = segment_levels(tables, label, chosen.column, keys)
    return np.array([np.nan if level is None else float(level in wanted) for level in levels])


def records_of(tables: StoredColumns, spec: EconomicsSpec, found: Predictions, as_of: Any) -> Records:
    """Return the contracts with what became of them by `as_of`, the end of the data."""
    import pandas as pd

    its, paid = spec.contract, spec.subrogation
    optional = [name for name in (its.fee_rate, its.guarantor_share) if name]
    contracts = tables.read(its.table, [its.key, its.root_key, its.amount, its.start, its.end, *optional])
    contracts = contracts[contracts[its.start].notna()].drop_duplicates(its.key).set_index(its.key)
    bearers = {"bank": paid.bank, "reguarantor": paid.reguarantor, "government": paid.government}
    used = [name for name in bearers.values() if name]
    subrogations = tables.read(paid.table, [paid.key, paid.contract, paid.time, paid.amount, *used])
    by_contract = subrogations.groupby(paid.contract)
    as_of = np.datetime64(as_of, "ns")
    label_of = pd.Series(found.y, index=found.keys)
    total = by_contract[paid.amount].sum().reindex(contracts.index).fillna(0.0).to_numpy()
    first = by_contract[paid.time].min().reindex(contracts.index).to_numpy(dtype="datetime64[ns]")
    age = (as_of - first) / np.timedelta64(1, "D") / _MONTH_DAYS
    ends = contracts[its.end].to_numpy(dtype="datetime64[ns]")
    nothing = np.full(len(contracts), np.nan)
    return Records(
        amount=contracts[its.amount].to_numpy(dtype=np.float64),
        y=label_of.reindex(contracts[its.root_key].astype(str)).to_numpy(),
        # A young contract that was subrogated already is left out too: it would be there for its outcome alone.
        is_over=np.asarray(ends + np.timedelta64(_GRACE_DAYS, "D") < as_of),
        subrogated=total,
        age_months=np.where(np.isnat(first), np.nan, age),
        share=contracts[its.guarantor_share].to_numpy(dtype=np.float64) if its.guarantor_share else nothing,
        fee_rate=contracts[its.fee_rate].to_numpy(dtype=np.float64) if its.fee_rate else nothing,
        recovered=_recovered(tables, spec, subrogations, contracts.index, first),
        borne={
            who: by_contract[name].sum().reindex(contracts.index).to_numpy(dtype=np.float64)
            for who, name in bearers.items()
            if name
        },
    )


def _as_of(ctx: Context, project: str, tables: StoredColumns, spec: EconomicsSpec) -> Any:
    """Return the end of the data: what it says of itself, else the latest payment."""
    from workbench.flows import importing

    stored = importing.stored(ctx, project)
    if stored is not None and stored.as_of is not None:
        return stored.as_of
    return tables.read(spec.subrogation.table, [spec.subrogation.time])[spec.subrogation.time].max()


def _recovered(
    tables: StoredColumns, spec: EconomicsSpec, subrogations: Any, contracts: Any, first: np.ndarray
) -> np.ndarray | None:
    """Return what came back in each month after the subrogation, shape (n_contracts, n_months)."""
    its, paid = spec.recovery, spec.subrogation
    if its is None or not tables.has(its.table, its.subrogation, its.time, its.amount):
        return None
    filtered = its.left_out.column.split(".")[-1] if its.left_out else None
    names = list(dict.fromkeys([its.subrogation, its.time, its.amount, *([filtered] if filtered else [])]))
    rows = tables.read(its.table, names)
    if its.left_out is not None:
        rows = rows[~rows[filtered].astype(str).isin([str(value) for value in its.left_out.values])]
    contract_of = subrogations.drop_duplicates(paid.key).set_index(paid.key)[paid.contract]
    place = contracts.get_indexer(rows[its.subrogation].map(contract_of))
    came = rows[its.time].to_numpy(dtype="datetime64[ns]")
    months = np.floor((came - first[place]) / np.timedelta64(1, "D") / _MONTH_DAYS)
    inside = (place >= 0) & (months >= 0) & (months < _MONTHS_FOLLOWED)
    recovered = np.zeros((len(contracts), _MONTHS_FOLLOWED))
    amounts = rows[its.amount].to_numpy(dtype=np.float64)
    np.add.at(recovered, (place[inside], months[inside].astype(int)), amounts[inside])
    return recovered


def _findings(applicants: Applicants, assumptions: Assumptions, settings: SettingsByHand) -> tuple[Finding, ...]:
    found = []
    known = ~np.isnan(applicants.y)
    y, p = applicants.y[known], applicants.probability[known]
    if len(y):
        rng = np.random.default_rng(0)
        drawn = [rng.integers(0, len(y), len(y)) for _ in range(300)]
        ratios = np.array([y[rows].sum() / p[rows].sum() for rows in drawn])
        low, high = np.quantile(ratios, [0.025, 0.975])
        if low > 1 or high < 1:
            text = msg(
                "Among those with an outcome {ratio} {interval} times as many turned bad as expected: losses would be "
                "that much higher or lower.",
                ratio=metric(float(y.sum() / p.sum())), interval=interval(float(low), float(high)),
            )  # fmt: skip
            found.append(Finding("level_off", Severity.WATCH, text))
    if assumptions.items["loss_given_default"].source == "by_hand":
        text = msg("The loss given default is set by hand: the interval of every loss leaves its doubt out.")
        found.append(Finding("loss_by_hand", Severity.WATCH, text))
    if settings.net_assets is None:
        found.append(Finding("no_net_assets", Severity.INFO,
                             msg("Net assets are not set, so there is no leverage multiple.")))  # fmt: skip
    return tuple(found)
