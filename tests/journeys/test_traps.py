"""The traps that real data is known for are caught and explained, and nothing else is held up."""

import csv
import gzip
from pathlib import Path

import pytest

from automl.label import LabelSpec, build_labels
from automl.spec import TrainSpec
from automl.split import make_split
from core.progress import SilentProgress
from features.spec import FeatureSpec
from features.traps import find_traps
from tests.journeys.real_data import SPECS, data_folder
from warehouse.data_model import DataModel
from warehouse.importing import import_tables
from workbench.flows import feature_building
from workbench.flows.spec import ProjectSpec

pytestmark = pytest.mark.real_data

SBA = "SBAnational_first22k"
LOAN = LabelSpec(
    name="unpaid", root_table="loan", key_column="loan_id", column="status", bad_values=["B", "D"],
    good_values=["A", "C"], cutoff={"column": "date"},
)  # fmt: skip
SMALL = FeatureSpec(windows=["12m"], max_features=120)


def found_in(source: Path, label: LabelSpec, spec: FeatureSpec = SMALL, model: str = "{}") -> dict[str, dict[str, str]]:
    """Return, per column, severity and text of what was found, by code."""
    table_set = import_tables(source, DataModel.from_text(model)).table_set
    labels = build_labels(table_set, label)
    train = make_split(labels, TrainSpec()).train
    rows = labels.take(train)
    definitions = feature_building.propose_all(table_set, rows, spec)[: spec.max_features]
    plan = feature_building.plan_of(table_set, rows, definitions, spec)
    matrix = feature_building.full_matrix(table_set, plan, labels, progress=SilentProgress())
    found: dict[str, dict[str, str]] = {}
    for trap in find_traps(table_set, matrix, labels.y, train):
        found.setdefault(trap.subject, {})[trap.finding.code] = f"{trap.finding.severity}: {trap.finding.text()}"
    return found


def strong(found: dict[str, dict[str, str]]) -> set[str]:
    return {subject for subject, told in found.items() if any(text.startswith("bad") for text in told.values())}


def test_guaranteed_loans_charge_offs_and_the_overwritten_term():
    label = LabelSpec(
        name="charged_off", root_table=SBA, key_column="LoanNr_ChkDgt", column="MIS_Status", bad_values=["CHGOFF"],
        good_values=["P I F"], cutoff={"column": "ApprovalDate"},
    )  # fmt: skip
    found = found_in(data_folder("sba_guarantee"), label)
    assert strong(found) == {f"{SBA}.ChgOffDate", f"{SBA}.ChgOffPrinGr", f"{SBA}.Term"}
    assert {"filled_when_bad", "date_after_cutoff", "single_feature"} <= set(found[f"{SBA}.ChgOffDate"])
    assert {"tell_tale_value", "single_feature"} <= set(found[f"{SBA}.ChgOffPrinGr"])
    term = found[f"{SBA}.Term"]
    assert "is no multiple of 12 in 2,908 rows, of which 59.2% are bad; of the others 4.1%" in term["overwritten_later"]
    assert "AUC .91" in term["single_feature"] or "AUC .92" in term["single_feature"]
    assert set(found) - strong(found) == {f"{SBA}.DisbursementDate"}  # after approval for all: perhaps a plan


def test_orders_without_a_date_that_pay_the_loan_itself():
    found = found_in(data_folder("berka_partial"), LOAN)
    assert strong(found) == {"order"}
    assert "amount equals the case's own payments in 53.0%" in found["order"]["undated_rows_of_the_case"]
    assert set(found) == {"order", "disp"}  # disp has no time either, and says so
    assert set(found["disp"]) == {"undated_table"}


def test_a_grade_given_after_the_default():
    spec = ProjectSpec.read(SPECS / "sme_invoices.yaml")
    as_a_feature = "tables: {enterprises: {columns: {enterprise_id: {type: id, role: key}}}}"
    found = found_in(
        data_folder("sme_invoices"), spec.labels[0], FeatureSpec(windows=["all"], max_features=30), as_a_feature
    )
    assert set(found) == {"enterprises.credit_grade"}
    assert (
        "is D in 24 rows, of which 100.0% are bad; of the others 3.0%"
        in found["enterprises.credit_grade"]["tell_tale_value"]
    )


def test_credit_card_clients_and_their_statements_are_no_trap():
    spec = ProjectSpec.read(SPECS / "uci_credit_card.yaml")
    assert (
        found_in(
            data_folder("uci_credit_card"),
            spec.labels[0],
            SMALL,
            "tables: {clients: {columns: {SEX: {type: category}}}}",
        )
        == {}
    )


def test_company_accounts_are_no_trap_but_a_number_of_the_company_is_pointed_out():
    label = LabelSpec(
        name="bankrupt", root_table="companies", key_column="window_id", column="bankrupt",
        cutoff={"column": "last_fyear"},
    )  # fmt: skip
    times = (
        "tables: {annual_statements: {event_time: fyear, columns: {fyear: {type: date}}}, "
        "companies: {columns: {last_fyear: {type: date}}}}"
    )
    found = found_in(data_folder("american_bankruptcy"), label, SMALL, times)
    assert {subject: set(told) for subject, told in found.items()} == {"companies.cik": {"identifier"}}
    assert not strong(found)


def test_sixty_four_ratios_of_polish_companies_are_no_trap(tmp_path: Path):
    with gzip.open(data_folder("polish_bankruptcy") / "1year.arff.gz", "rt") as file:
        lines = file.read().splitlines()
    rows = [line.split(",") for line in lines[lines.index("@data") + 1 :] if line.strip()]
    with (tmp_path / "firms.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["row", *(f"ratio_{index}" for index in range(1, len(rows[0]))), "bad"])
        writer.writerows([f"r{n}", *("" if value == "?" else value for value in row)] for n, row in enumerate(rows))
    label = LabelSpec(name="bad", root_table="firms", key_column="row", column="bad", cutoff={"date": "2012-01-01"})
    assert found_in(tmp_path, label) == {}
