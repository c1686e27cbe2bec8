"""Small firms by their invoices: 27 bads are trained on with a warning, and the firms without a label are scored."""

import csv
from pathlib import Path

import pytest

from tests.journeys.real_data import SPECS, data_folder, workbench_json

pytestmark = [pytest.mark.real_data, pytest.mark.long]


def test_few_labels_are_trained_on_with_a_warning_and_the_rest_is_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = data_folder("sme_invoices")
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    spec = str(SPECS / "sme_invoices.yaml")
    answer = workbench_json(["train", "--data", str(folder), "--spec", spec, "--budget", "3trials"], capsys)
    built, trained = answer["features"], answer["training"]
    assert (built["bads"], built["goods"], built["unlabelled"]) == (27, 96, 302)
    assert built["split"] == trained["split"] == "cross_validation"
    codes = {finding["code"] for finding in trained["findings"]}
    assert {"few_labels", "repeated_cross_validation"} <= codes
    assert trained["auc"]["sample"] == "repeated_cross_validation"
    assert 0.6 < trained["auc"]["low"] < trained["auc"]["value"] < trained["auc"]["high"]
    evaluation = workbench_json(["evaluate"], capsys)
    assert "out_of_time" in evaluation["not_applicable"]

    scores = tmp_path / "scores.csv"
    assert workbench_json(["score", "--output", str(scores)], capsys)["n_rows"] == 302
    with scores.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["enterprise_id"] for row in rows}) == 302
    assert all(0 < float(row["probability"]) < 1 and row["reason_1"] for row in rows)
    importances = workbench_json(["explain", "--top", "100"], capsys)["importances"]
    assert len(importances) == trained["n_features"]
    assert not any("credit_grade" in item["alias"] for item in importances)


def test_fewer_than_ten_bads_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from workbench.cli import main

    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "home"))
    source = tmp_path / "few"
    source.mkdir()
    rows = [f"F{i},{i % 7},2020-01-01,{int(i < 9)}" for i in range(200)]
    (source / "firms.csv").write_text("\n".join(["firm,size,asked_on,bad", *rows]) + "\n")
    with pytest.raises(SystemExit) as ended:
        main(["train", "--data", str(source), "--target", "firms.bad", "--cutoff", "asked_on"])
    assert ended.value.code == 1
    assert "9 bads and 191 goods; at least 10" in capsys.readouterr().err
