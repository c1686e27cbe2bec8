"""The whole sample world: thirteen tables with keys and two times, and apart from them the truth behind the loans."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.errors import InputError
from core.i18n import msg
from core.progress import Progress, SilentProgress

if TYPE_CHECKING:
    import pandas as pd

    from sample_data.applications import Rounds
    from sample_data.latent import Firms
    from sample_data.timeline import Array
    from warehouse.data_model import DataModel
    from warehouse.table_set import TableSet

__all__ = ["DEMO_PROJECT", "World", "generate_world"]

DEMO_PROJECT: Final = Path(__file__).parent / "project.yaml"
"""The sample project: data model with labels in both languages, two labels, feature and training settings."""

_FEWEST = 50


@dataclass(frozen=True)
class World:
    """A generated world.

    Parameters
    ----------
    table_set : TableSet
        What a guarantee institution would have on the as-of day, 2024-12-31.
    oracle : DataFrame of shape (n_applications, 7)
        What nobody has: per ``app_id`` the true probability of each label (``p12``, ``p12_subrogation``), the hidden
        ``quality`` and ``owner`` (standard normal scale), ``growth`` of sales, and the ``outcome`` drawn, also of
        applications that were never signed. Not for training: it shows what AUC could be attained at best.
    """

    table_set: "TableSet"
    oracle: "pd.DataFrame"


def generate_world(n_enterprises: int = 20_000, seed: int = 20_240_101, *, progress: Progress | None = None) -> World:
    """Generate a world of `n_enterprises` firms from 2017 to 2024, with applications since 2019.

    The same number and seed give the same world, bit for bit. Twenty thousand firms give some 25,000 contracts and
    1,000 bads of the first label, in about ten seconds.

    Parameters
    ----------
    n_enterprises : int, default=20_000
        At least 50.
    seed : int, default=20_240_101
        Not negative.
    progress : Progress, optional
        Told the stages.

    Raises
    ------
    InputError
        Too few firms or a negative seed.

    Examples
    --------
    >>> world = generate_world(50, seed=1)
    >>> world.table_set.as_of.date().isoformat()
    '2024-12-31'
    """
    if n_enterprises < _FEWEST or seed < 0:
        raise InputError(
            msg("a sample world needs at least {least} enterprises and a seed of 0 or more", least=_FEWEST),
            where=f"n_enterprises={n_enterprises!r}, seed={seed!r}",
        )
    from warehouse.table_set import TableSet

    progress = progress or SilentProgress()
    frames, oracle = _frames(n_enterprises, seed, progress)
    progress.report(0.8, msg("checking the sample tables against their data model"))
    table_set = TableSet.from_frames(frames, _data_model())
    progress.report(1.0, msg("the sample world is ready"))
    return World(table_set, oracle)


def _frames(n: int, seed: int, progress: Progress) -> "tuple[dict[str, pd.DataFrame], pd.DataFrame]":
    from sample_data import applications, decline, filings, histories, latent, lending, parties, records
    from sample_data.identities import identifiers
    from sample_data.timeline import generator

    progress.report(0.0, msg("drawing enterprises and the economy"))
    firms = latent.draw_firms(generator(seed, "firms"), n)
    edges = histories.draw_edges(generator(seed, "edges"), firms)
    past = histories.draw_histories(generator(seed, "histories"), firms, edges)
    persons = parties.draw_persons(generator(seed, "leaders"), n)
    progress.report(0.1, msg("drawing applications, decisions and outcomes"))
    facts = applications.simulate(generator(seed, "applications"), firms, edges, past)
    loans = lending.make_loans(generator(seed, "loans"), facts)
    loan_firm = facts["firm"][loans.application]
    down = decline.make_decline(generator(seed, "decline"), firms, loans, loan_firm)
    ent_id, app_id = identifiers("E", n, width=6), identifiers("A", len(facts["firm"]))
    person_id = identifiers("P", persons.n, width=6)
    loan_ent, loan_app = ent_id[loan_firm], app_id[loans.application]
    progress.report(0.2, msg("writing the sample tables"))
    tables = {
        "enterprise": parties.enterprise_frame(generator(seed, "enterprise"), firms, persons, down, ent_id, person_id),
        "person": parties.person_frame(generator(seed, "person"), persons, firms, person_id),
        "shareholder": parties.shareholder_frame(generator(seed, "shareholder"), persons, firms, ent_id, person_id),
        "application": records.application_frame(generator(seed, "application"), facts, firms, app_id, ent_id),
        "contract": lending.contract_frame(generator(seed, "contract"), loans, loan_app, loan_ent),
        "repay_record": lending.repay_frame(loans, loan_ent),
        "compensation": lending.compensation_frame(generator(seed, "compensation"), loans, loan_ent),
        "fin_statement": filings.statement_frame(generator(seed, "fin_statement"), firms, down, facts, ent_id),
        "vat_monthly": filings.vat_frame(generator(seed, "vat_monthly"), firms, down, past.tax_arrears, ent_id),
        "judicial_case": records.case_frame(
            generator(seed, "judicial_case"), past, firms, persons, loans, loan_firm, ent_id, person_id
        ),
        "guarantee_edge": parties.edge_frame(generator(seed, "guarantee_edge"), edges, firms, ent_id),
        "credit_query": records.query_frame(
            generator(seed, "credit_query"), facts, firms, persons, loans, down, app_id, ent_id, person_id
        ),
        "macro_month": filings.macro_frame(generator(seed, "macro_month"), firms),
    }
    return tables, _oracle(facts, firms, app_id)


def _oracle(facts: "Rounds", firms: "Firms", app_id: "Array") -> "pd.DataFrame":
    import numpy as np
    import pandas as pd

    outcomes = np.array(["good", "overdue_cured", "subrogated", "subrogated_after_12m"], dtype=object)
    return pd.DataFrame(
        {
            "app_id": app_id,
            "p12": facts["p12"],
            "p12_subrogation": facts["p12_subrogation"],
            "quality": facts["quality"],
            "owner": firms.owner[facts["firm"]],
            "growth": facts["growth"],
            "outcome": outcomes[facts["kind"]],
        }
    )


def _data_model() -> "DataModel":
    """Return the data model of the sample project, which the frames must fit."""
    import yaml

    from warehouse.data_model import DataModel

    project = yaml.safe_load(DEMO_PROJECT.read_text(encoding="utf-8"))
    return DataModel.model_validate(project["data"])
