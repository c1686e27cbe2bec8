"""The same import, without special code, on data that nobody made for us."""

import os
import time
from pathlib import Path

import pandas as pd
import pytest

from warehouse.data_model import DataModel
from warehouse.importing import import_tables

pytestmark = pytest.mark.real_data


@pytest.fixture
def data_set():
    """Return the folder of a data set, or skip where there is none."""

    def find(name):
        root = os.environ.get("WORKBENCH_TEST_DATA")
        if not root or not Path(root, name).is_dir():
            pytest.skip(f"the data set {name} is not there (WORKBENCH_TEST_DATA is {root!r})")
        return Path(root, name)

    return find


def links(result):
    return sorted(str(link) for link in result.data_model.relationships)


def test_credit_card_clients_and_statements(data_set):
    result = import_tables(data_set("uci_credit_card"))
    clients, statements = (result.data_model.tables[name] for name in ("clients", "statements"))
    assert len(result.table_set.frame("clients")) == 30_000
    assert len(result.table_set.frame("statements")) == 180_000
    assert (clients.primary_key, statements.primary_key) == (["client_id"], ["statement_id"])
    assert links(result) == ["statements.client_id -> clients.client_id"]
    assert (clients.event_time, statements.event_time) == (None, "month_end")
    assert clients.columns["SEX"].type == "integer"  # a code, but a number until the model says otherwise
    assert result.table_set.as_of == pd.Timestamp("2005-09-30")
    assert result.table_set.frame("clients")["default_next_month"].mean() == pytest.approx(0.2212, abs=5e-5)
    assert {finding.code for finding in result.findings} == {"encoding"}


def test_a_million_invoices_of_small_firms_are_imported_within_ten_seconds_of_work(data_set):
    source = data_set("sme_invoices")
    given = DataModel.from_text("tables: {enterprises: {columns: {credit_grade: {role: ignore}}}}")
    start = time.process_time()
    result = import_tables(source, given)
    seconds = time.process_time() - start
    rows = {name: len(result.table_set.frame(name)) for name in result.table_set.names}
    assert rows == {"enterprises": 425, "input_invoices": 606_122, "output_invoices": 493_319}
    assert links(result) == [
        "input_invoices.enterprise_id -> enterprises.enterprise_id",
        "output_invoices.enterprise_id -> enterprises.enterprise_id",
    ]
    enterprises = result.data_model.tables["enterprises"]
    assert (enterprises.columns["credit_grade"].type, enterprises.columns["credit_grade"].role) == (
        "category",
        "ignore",
    )
    invoices = result.data_model.tables["input_invoices"]
    assert (invoices.event_time, invoices.primary_key) == ("invoice_date", [])
    assert {name: invoices.columns[name].type for name in ("invoice_no", "counterparty_id", "amount", "status")} == {
        "invoice_no": "id", "counterparty_id": "id", "amount": "number", "status": "category",
    }  # fmt: skip
    assert result.table_set.as_of == pd.Timestamp("2020-02-21")
    labels = result.table_set.frame("enterprises")["defaulted"]
    assert (int(labels.sum()), int(labels.notna().sum())) == (27, 123)
    independent = pd.read_csv(source / "input_invoices.csv.gz", usecols=["amount"])["amount"]
    assert result.table_set.frame("input_invoices")["amount"].equals(independent)
    assert seconds < 10


def test_eight_linked_tables_with_semicolons_and_short_dates(data_set):
    result = import_tables(data_set("berka_partial"))
    assert links(result) == [
        "account.district_id -> district.A1",
        "card.disp_id -> disp.disp_id",
        "client.district_id -> district.A1",
        "disp.account_id -> account.account_id",
        "disp.client_id -> client.client_id",
        "loan.account_id -> account.account_id",
        "order.account_id -> account.account_id",
        "trans.account_id -> account.account_id",
    ]
    assert result.data_model.tables["loan"].event_time == "date"
    assert result.table_set.frame("loan")["date"].min() == pd.Timestamp("1993-07-05")


def test_american_loans_with_month_names_and_a_byte_order_mark(data_set):
    result = import_tables(data_set("sba_guarantee"))
    national = result.data_model.tables["SBAnational_first22k"]
    assert (national.primary_key, national.event_time) == (["LoanNr_ChkDgt"], "ApprovalDate")
    assert national.columns["ChgOffDate"].type == "date"
    assert {source.encoding for source in result.sources} == {"utf-8", "utf-8-sig"}


def test_a_year_is_a_date_where_declared(data_set):
    given = DataModel.from_text(
        "tables: {annual_statements: {event_time: fyear, known_at_lag_days: 120, columns: {fyear: {type: date}}}}"
    )
    result = import_tables(data_set("american_bankruptcy"), given)
    statements = result.table_set.frame("annual_statements")
    assert statements["fyear"].iloc[0] == pd.Timestamp("2006-12-31")
    assert links(result) == ["annual_statements.window_id -> companies.window_id"]
