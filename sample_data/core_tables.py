"""The fourteen tables of the sample project."""

import pandas as pd

from sample_data import business, filings, histories, lending, parties, records
from sample_data.base import Base

__all__ = ["core_frames"]

Frames = dict[str, pd.DataFrame]


def core_frames(base: Base) -> Frames:
    """Write down the fourteen tables; each draws from its own stream, so more tables never change them."""
    return _party_frames(base) | _loan_frames(base) | _filing_frames(base)


def _party_frames(base: Base) -> Frames:
    firms, persons, ent_id, person_id = base.firms, base.persons, base.ent_id, base.person_id
    edges: histories.Edges = base.edges
    return {
        "enterprise": parties.enterprise_frame(
            base.stream("enterprise"), firms, persons, base.down, ent_id, person_id, base.names
        ),
        "person": parties.person_frame(base.stream("person"), persons, firms, person_id, base.names),
        "shareholder": parties.shareholder_frame(base.stream("shareholder"), persons, firms, ent_id, person_id),
        "guarantee_edge": parties.edge_frame(base.stream("guarantee_edge"), edges, firms, ent_id),
    }


def _loan_frames(base: Base) -> Frames:
    facts, loans = base.facts, base.loans
    loan_ent, loan_app = base.ent_id[base.loan_firm], base.app_id[loans.application]
    application = records.application_frame(base.stream("application"), facts, base.firms, base.app_id, base.ent_id)
    compensation = lending.compensation_frame(base.stream("compensation"), loans, loan_ent)
    return {
        "application": application,
        "contract": lending.contract_frame(base.stream("contract"), loans, loan_app, loan_ent),
        "repay_record": lending.repay_frame(loans, loan_ent),
        "compensation": compensation,
        "recovery": business.recovery_frame(base, compensation, business.security_frame(base, application)),
        "judicial_case": records.case_frame(
            base.stream("judicial_case"), base.past, base.firms, base.persons, loans, base.loan_firm, base.ent_id,
            base.person_id,
        ),
        "credit_query": records.query_frame(
            base.stream("credit_query"), facts, base.firms, base.persons, loans, base.down, base.app_id, base.ent_id,
            base.person_id,
        ),
    }  # fmt: skip


def _filing_frames(base: Base) -> Frames:
    firms, down, ent_id = base.firms, base.down, base.ent_id
    return {
        "fin_statement": filings.statement_frame(base.stream("fin_statement"), firms, down, base.facts, ent_id),
        "vat_monthly": filings.vat_frame(base.stream("vat_monthly"), firms, down, base.past.tax_arrears, ent_id),
        "macro_month": filings.macro_frame(base.stream("macro_month"), firms),
    }
