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
    assert "Sum of VAT: it runs" in drawn
    assert "vat__sum" not in drawn
    assert "tax__sum: it runs" in drawn


def _many() -> None:
    from core.findings import Finding, Severity
    from core.i18n import msg
    from workbench.ui.pieces import findings

    many = [Finding("one_kind", Severity.INFO, msg("differs by {n}", n=f"-.0{k}")) for k in range(6)]
    few = [Finding("another", Severity.BAD, msg("is bad")), *(Finding("few", Severity.INFO, msg("a few")),) * 4]
    findings([*many[:3], *few, *many[3:]])


def test_of_many_findings_of_one_kind_the_first_stand_open_and_the_rest_are_folded_away() -> None:
    page = AppTest.from_function(_many).run(timeout=30)
    assert not page.exception
    (drawn,) = (item.proto.body for item in page.get("html"))
    assert drawn.index("Is bad") < drawn.index("Differs by −.00")  # the gravest first
    opened, folded = drawn.split("<details>")
    assert (opened.count("Differs by"), opened.count("A few")) == (2, 0)
    assert "4 more of this kind" in folded
    assert (folded.count("Differs by"), folded.count("A few")) == (4, 4)


def _numbers() -> None:
    from workbench.ui.pieces import headline, table

    table(("name-1", "n"), [("a -1", "-12"), ("b", "[-.01, .02]"), ("c", "2024-01-05"), ("d", "–")], numbers=(1,))
    headline("Change", "-.05", "[-.09, -.01]")


def test_numbers_have_minus_signs_and_dates_and_words_keep_their_hyphens() -> None:
    page = AppTest.from_function(_numbers).run(timeout=30)
    assert not page.exception
    drawn = "".join(str(item.proto.body) for item in page.get("html"))
    for expected in (">−12<", "[−.01, .02]", "2024-01-05", ">name-1<", ">a -1<", ">−.05 <", "[−.09, −.01]"):
        assert expected in drawn, expected
