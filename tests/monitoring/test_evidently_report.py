import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.errors import InputError
from features.definitions import FeatureDefinition
from features.plan import FeaturePlan, TableSchema
from monitoring.evidently_report import feature_frame, guard_columns, write_evidently_report


def make_frame(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    is_reference = seed == 0
    return pd.DataFrame(
        {
            "sales": rng.normal(is_reference, 1, n),
            "region": rng.choice(["north", "south", None], n),
            "holes": np.where(rng.random(n) < 0.6, np.nan, rng.normal(size=n)),
            "infinite": np.where(rng.random(n) < 0.1, np.inf, rng.normal(size=n)),
            "zero_before": 0.0 if is_reference else rng.normal(size=n),
            "zero": 0.0,
            "empty": np.nan,
            "empty_now": rng.normal(size=n) if is_reference else np.nan,
            "retyped": rng.normal(size=n) if is_reference else "x",
            "when": pd.Timestamp("2024-01-01"),
            ("gone" if is_reference else "new"): rng.normal(size=n),
            "names": [f"firm {i}" for i in range(n)],
        }
    )


def test_columns_that_break_evidently_are_left_out_each_with_its_reason() -> None:
    guarded = guard_columns(make_frame(300, 0), make_frame(300, 1))
    assert guarded.kinds == {
        "sales": "number",
        "region": "category",
        "holes": "number",
        "infinite": "number",
        "zero_before": "number",
    }
    assert {item.name: str(item.reason) for item in guarded.dropped} == {
        "zero": "one and the same value throughout",
        "empty": "no value in the reference",
        "empty_now": "no value in the current data",
        "retyped": "numbers on one side, text on the other",
        "when": "dates are not compared",
        "gone": "not in the current data",
        "new": "not in the reference",
        "names": "more than 200 levels",
    }
    assert np.isfinite(guarded.current["infinite"].dropna()).all()


def test_the_report_is_one_page_that_needs_nothing_from_outside(tmp_path: Path) -> None:
    path = tmp_path / "drift.html"
    report = write_evidently_report(path, make_frame(900, 0), make_frame(700, 1), max_rows=500, max_columns=4)
    text = path.read_text(encoding="utf-8")
    assert report.columns == ("sales", "region", "holes", "infinite")
    assert (report.n_reference, report.n_current) == (500, 500)
    assert ("zero_before", "beyond the first 4 columns") in [(d.name, str(d.reason)) for d in report.dropped]
    assert "sales" in text
    assert "PSI" in text
    assert "drift detection threshold is 0.05" in text
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=[\"']?(?:https?:)?//", text)
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_to_compare_is_said_and_nothing_is_left_behind(tmp_path: Path) -> None:
    frame = pd.DataFrame({"zero": [0.0, 0.0]})
    with pytest.raises(InputError, match="zero: one and the same value"):
        write_evidently_report(tmp_path / "drift.html", frame, frame)
    assert list(tmp_path.iterdir()) == []


def test_features_become_columns_a_person_can_read() -> None:
    names = {"en": "Region", "zh": "地区"}
    definitions = (
        FeatureDefinition.create((), "region", "identity", kind="category", names=names),
        FeatureDefinition.create((), "age", "identity", names={"en": "Age", "zh": "年龄"}),
        FeatureDefinition.create((), "years", "identity", names={"en": "Age", "zh": "年限"}),
    )
    schema = TableSchema({"id": "key", "region": "category", "age": "number", "years": "number"})
    plan = FeaturePlan("firm", "id", definitions, {"firm": schema}, {"region": ("north", "south")})
    frame = feature_frame(plan, [[0.0, 1.0, 2.0], [1.0, np.nan, 3.0], [2.0, 5.0, 6.0], [np.nan, 7.0, 8.0]])
    assert list(frame.columns) == ["Region", "Age (age)", "Age (years)"]
    assert frame["Region"].tolist() == ["north", "south", "other", None]
    assert frame["Age (age)"].dtype == np.float64
    assert feature_frame(plan, np.zeros((1, 3)), "zh").columns.tolist() == ["地区", "年龄", "年限"]
