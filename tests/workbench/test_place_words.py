"""What places are called where one is chosen."""

from workbench.flows.importing import ColumnProfile, TableProfile
from workbench.ui.place_words import column_namer, place_namer, table_namer


def _column(name: str, label: str = "") -> ColumnProfile:
    title = {"en": label} if label else {}
    return ColumnProfile(name, title, "date", "attribute", None, 0.0, 3, None, None, None, ())


def _table(name: str, label: str, *columns: ColumnProfile) -> TableProfile:
    return TableProfile(name, {"en": label} if label else {}, 3, (), None, None, None, None, columns)


TABLES = {
    "rec": _table("rec", "Repayments", _column("due", "Due date"), _column("due2", "Due date"), _column("raw")),
    "sub": _table("sub", "Subrogations", _column("due", "Due date")),
    "old": _table("old", "", _column("due", "Due date")),
}


def test_a_place_is_said_by_its_labels_and_told_from_others_by_its_name() -> None:
    places = [f"{table}.{column.name}" for table, profile in TABLES.items() for column in profile.columns]
    say = place_namer(TABLES, ["", *places], "the cutoff")
    assert [say(place) for place in ["", *places]] == [
        "the cutoff",
        "Repayments: Due date (rec.due)",
        "Repayments: Due date (rec.due2)",
        "rec.raw",
        "Subrogations: Due date",
        "old.due",
    ]
    assert say(None) == "the cutoff"
    assert len({say(place) for place in places}) == len(places)
    assert say("gone.column") == "gone.column"


def test_tables_and_columns_are_said_by_label_and_name() -> None:
    assert [table_namer(TABLES)(name) for name in TABLES] == ["Repayments (rec)", "Subrogations (sub)", "old"]
    say = column_namer(TABLES["rec"], "none")
    assert [say(name) for name in ("due", "raw", "")] == ["Due date (due)", "raw", "none"]
