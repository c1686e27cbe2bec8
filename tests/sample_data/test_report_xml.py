"""Reports of the sample world written as XML and read back: the same rows, value by value."""

import numpy as np
import pandas as pd
import pytest

from sample_data import World
from sample_data.report_xml import report_documents, write_reports
from warehouse.credit_reports.layout import LAYOUTS
from warehouse.importing import import_tables
from warehouse.table_set import TableSet

Tables = dict[str, pd.DataFrame]
REPORT_TABLES = sorted({"credit_report", *(layout.table for layout in LAYOUTS)})


@pytest.fixture(scope="module")
def chosen(tables: Tables) -> list[str]:
    """Reports that together have every kind of row, and some others."""
    details = [name for name in REPORT_TABLES if name != "credit_report"]
    rare = [tables[name].drop_duplicates("report_id")["report_id"].head(3) for name in details]
    return sorted(set(np.concatenate(rare)) | set(tables["cr_summary"]["report_id"].iloc[::400]))


@pytest.fixture(scope="module")
def read_back(tables: Tables, chosen: list[str], tmp_path_factory: pytest.TempPathFactory) -> TableSet:
    """The tables that an import makes of the XML beside the tables of enterprises and queries."""
    folder = tmp_path_factory.mktemp("reports")
    for name in ("enterprise", "credit_query"):
        tables[name].to_parquet(folder / f"{name}.parquet")
    half = len(chosen) // 2
    assert write_reports(tables, folder / "first.xml", chosen[:half]) == half
    write_reports(tables, folder / "second.xml", chosen[half:], encoding="GBK")
    return import_tables(folder).table_set


@pytest.mark.parametrize("name", REPORT_TABLES)
def test_what_was_written_is_read_back_value_by_value(
    complete: World, chosen: list[str], read_back: TableSet, name: str
) -> None:
    written = complete.table_set.frame(name)
    written = written[written["report_id"].isin(chosen) & (written.get("subject_type", "1") == "1")]
    found = read_back.frame(name)
    key = complete.table_set.spec(name).primary_key
    assert set(found.columns) <= set(written.columns)
    for column in set(written.columns) - set(found.columns):
        assert written[column].isna().all(), column
    pd.testing.assert_frame_equal(
        found[sorted(found)].sort_values(key, ignore_index=True),
        written[sorted(found)].sort_values(key, ignore_index=True),
        check_dtype=False,
    )
    assert len(found) > 0


def test_keys_times_and_links_are_those_of_the_world(complete: World, read_back: TableSet) -> None:
    model = complete.table_set.data_model
    for name in REPORT_TABLES:
        spec, expected = read_back.spec(name), model.table(name)
        assert spec.primary_key == expected.primary_key
        assert spec.event_time == expected.event_time
        known = np.asarray(read_back.known_at(name))
        assert (known == read_back.frame(name)["report_time"].to_numpy()).all()
    links = {str(link) for link in read_back.data_model.relationships}
    assert {
        f"{name}.report_id -> credit_report.report_id" for name in REPORT_TABLES if name != "credit_report"
    } <= links
    assert "cr_perf.ED01AI01 -> cr_loan_account.ED01AI01" in links


def test_the_same_reports_are_written_each_time(tables: Tables, chosen: list[str]) -> None:
    first, again = (dict(report_documents(tables, chosen[:5])) for _ in range(2))
    assert first == again
    assert all(text.startswith("<Document><EAA><EA01>") for text in first.values())
