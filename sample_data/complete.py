"""The complete world, table by table: the sample project's fourteen with the columns they lack, and all others.

Tables come as parts, so that a large world can be written down without being held in memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pandas as pd

from core.errors import InputError
from core.i18n import msg
from sample_data import (
    book,
    business,
    credit_reports,
    enterprise_reports,
    operations,
    personal_reports,
    platform_records,
    public_records,
)
from sample_data.base import Base, positions
from sample_data.core_tables import core_frames
from sample_data.dirt import Dirt
from sample_data.groups import Owned
from sample_data.timeline import Array, generator

__all__ = ["SIZES", "Size", "complete_parts", "size_of"]

_BLOCK = 8_000  # reports whose details are drawn at a time; part of what a seed means

Frames = dict[str, pd.DataFrame]
Part = tuple[str, pd.DataFrame]


@dataclass(frozen=True)
class Size:
    """How large a complete world is.

    Parameters
    ----------
    n_enterprises : int
        Number of firms.
    reports : {"every", "latest"}, default="every"
        Which credit reports have details: every one, or the latest on the firm and the latest on a person that each
        application was decided on.
    """

    n_enterprises: int
    reports: Literal["every", "latest"] = "every"


SIZES: Final = {"small": Size(1_500), "demo": Size(20_000, "latest"), "full": Size(40_000)}
"""The sizes by name."""


def size_of(size: Size | str) -> Size:
    """Return a size by name, or the size itself; raises `InputError` where there is none of the name."""
    if isinstance(size, Size):
        return size
    if size not in SIZES:
        raise InputError(
            msg("there is no size of this name; there are {names}", names=", ".join(SIZES)), where=f"size={size!r}"
        )
    return SIZES[size]


def complete_parts(base: Base, size: Size, *, dirty: bool = False) -> Iterator[Part]:
    """Yield every table of the world, some in several parts with rows to be put one below the other.

    The fourteen tables of the sample project are the same as without the others, but for added columns; with `dirty`
    some rows have faults.
    """
    dirt = Dirt(base.seed) if dirty else None
    for name, frame in _clean_parts(base, size):
        yield name, frame if dirt is None else dirt.soil(name, frame)


def _clean_parts(base: Base, size: Size) -> Iterator[Part]:
    frames = core_frames(base)
    agreement = business.agreement_of_application(base, frames["compensation"])
    level = frames["application"]["guarantor_org"].to_numpy()
    frames |= _public_frames(base, frames)
    frames |= _business_frames(base, frames)
    frames["org"] = book.guarantor_frame(base, level)
    reports = credit_reports.obtained(base, frames["credit_query"])
    has_details = reports.latest_before_decision() if size.reports == "latest" else np.ones(reports.n, dtype=bool)
    frames["credit_report"] = credit_reports.report_frame(base, reports, frames["credit_query"], has_details)
    edge_balance = _widen(base, frames, agreement, level, reports)
    platform = platform_records.make_book(base, frames, agreement, edge_balance)
    amounts = frames["guarantee_edge"]["amount"].to_numpy().astype(np.int64)
    employees = frames["enterprise"]["employees"].to_numpy()
    contracts = frames["contract"][["release_date"]]
    for name in list(frames):
        yield name, frames.pop(name)
    yield "scored_monitor", book.score_frame(base, contracts)
    yield "social_ins", operations.insurance_frame(base, employees)
    yield "utility_usage", operations.utility_frame(base)
    yield from _detail_parts(base, platform, amounts, reports.take(has_details))


def _public_frames(base: Base, frames: Frames) -> Frames:
    enforcement = public_records.enforcement_frame(base, frames["judicial_case"])
    return {
        "ent_change": public_records.change_frame(base),
        "tax_credit": public_records.tax_credit_frame(base),
        "tax_arrears": public_records.arrears_frame(base),
        "enforcement": enforcement,
        "admin_penalty": public_records.penalty_frame(base),
        "ip_right": public_records.intellectual_property_frame(base),
        "opinion": public_records.opinion_frame(base),
        "blacklist": public_records.blacklist_frame(base, enforcement, frames["compensation"]),
        "source_status": public_records.source_frame(),
    }


def _business_frames(base: Base, frames: Frames) -> Frames:
    return {
        "bank_agreement": business.agreement_frame(base),
        "decision_record": business.decision_frame(base, frames["application"]),
        "counter_guarantee": business.security_frame(base, frames["application"]),
        "disbursement": business.disbursement_frame(base),
        "repay_plan": business.repay_plan_frame(base),
        "post_check": business.check_frame(base, frames["contract"]),
        "fee_record": business.fee_frame(base),
    }


def _widen(base: Base, frames: Frames, agreement: Array, level: Array, reports: credit_reports.Reports) -> Array:
    """Add to the fourteen tables the columns that lead to the others; return the balance of the guarantees given."""
    rng = base.stream("added columns")
    agreements = frames["bank_agreement"]["agreement_id"].to_numpy()
    frames["application"]["agreement_id"] = agreements[agreement]
    frames["application"]["org_id"] = book.guarantor_ids(book.guarantor_of(base, level))
    cases, edges, queries = frames["judicial_case"], frames["guarantee_edge"], frames["credit_query"]
    cases["instance"] = np.where(rng.random(len(cases)) < 0.88, "1", "2").astype(object)
    amounts = edges["amount"].to_numpy()
    balance: Array = np.maximum(
        np.round(amounts * np.where(rng.random(len(edges)) < 0.6, 1.0, rng.random(len(edges)))), 1
    )
    edges["balance"] = balance
    queries["authorisation"] = np.char.add(queries["query_id"].to_numpy(dtype="U9"), "-AU").astype(object)
    queries["operator"] = np.char.add("U", rng.integers(101, 141, len(queries)).astype(str)).astype(object)
    report_id = np.full(len(queries), None, dtype=object)
    report_id[reports.query_row] = reports.report_id
    queries["report_id"] = report_id
    contract = positions(base.loans.contract_id, frames["repay_record"]["contract_id"])
    frames["repay_record"]["disbursement_id"] = business.disbursement_ids(base)[contract]
    return balance


def _detail_parts(
    base: Base, platform: platform_records.Book, amounts: Array, reports: credit_reports.Reports
) -> Iterator[Part]:
    """Draw the details of reports block by block, each block from its own stream."""
    by_firm = Owned.by(base.loan_firm, base.firms.n)
    for of_person in (False, True):
        chosen = reports.take(reports.is_person == of_person)
        for number, start in enumerate(range(0, max(chosen.n, 1), _BLOCK)):
            block = chosen.take(np.arange(start, min(start + _BLOCK, chosen.n)))
            rng = generator(base.seed, f"report details {of_person} {number}")
            if of_person:
                yield from personal_reports.personal_details(rng, base, by_firm, block).items()
            else:
                yield from enterprise_reports.enterprise_details(rng, base, platform, amounts, block).items()
