"""The small parts that pages share."""

from streamlit.testing.v1 import AppTest


def _page() -> None:
    from core.findings import Finding, Severity
    from core.i18n import msg
    from workbench.ui.pieces import findings

    found = [Finding("a_code", Severity.INFO, msg("it runs"), where=place) for place in ("vat__sum", "tax__sum")]
    findings(found, {"vat__sum": {"en": "sum of VAT", "zh": "增值税之和"}})


def test_a_finding_of_a_feature_tells_its_readable_name_where_it_has_one() -> None:
    page = AppTest.from_function(_page).run(timeout=30)
    assert not page.exception
    drawn = "".join(str(item.proto) for item in page.get("html"))
    assert "sum of VAT: it runs" in drawn
    assert "vat__sum" not in drawn
    assert "tax__sum: it runs" in drawn
