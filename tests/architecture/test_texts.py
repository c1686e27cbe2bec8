"""Every text a person reads exists in Chinese, with the same placeholders, and nothing else is in the catalogues."""

import ast
import re
import string
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

_CALLS = {"msg", "t", "Message"}
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_ENGLISH_WORD = re.compile(r"[a-z]{3,}")


@dataclass(frozen=True)
class Text:
    """A template in the code, with the names of the values it is given (None where they are not written out)."""

    template: str
    values: frozenset[str] | None
    place: str


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def _literals(node: ast.expr) -> Iterator[str]:
    """Yield the templates a first argument may be: a literal, or a choice between literals."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _literals(node.body)
        yield from _literals(node.orelse)


def _is_literal(node: ast.expr) -> bool:
    if isinstance(node, ast.IfExp):
        return _is_literal(node.body) and _is_literal(node.orelse)
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _calls(tree: ast.Module) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node) in _CALLS and node.args:
            yield node


def _values(call: ast.Call) -> frozenset[str] | None:
    if _called(call) == "Message" or any(keyword.arg is None for keyword in call.keywords):
        return None
    return frozenset(str(keyword.arg) for keyword in call.keywords)


def _texts(tree: ast.Module) -> Iterator[tuple[ast.Call, str, frozenset[str] | None]]:
    """Yield call, template and the names of its values; a table of texts outside any function is filled later."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    inside = {id(node) for function in functions for node in ast.walk(function)}
    for call in _calls(tree):
        values = _values(call) if id(call) in inside or call.keywords else None
        for template in _literals(call.args[0]):
            yield call, template, values


def _placeholders(template: str) -> set[str]:
    """Return the names in braces; raise ValueError where a brace holds anything but a name."""
    names = set()
    for _, name, specification, conversion in string.Formatter().parse(template):
        if name is not None:
            if not name.isidentifier() or specification or conversion:
                raise ValueError(f"only {{name}} is allowed in {template!r}")
            names.add(name)
    return names


@pytest.fixture(scope="module")
def texts(sources) -> list[Text]:
    return [
        Text(template, values, source.at(call)) for source in sources for call, template, values in _texts(source.tree)
    ]


@pytest.fixture(scope="module")
def catalogues(root) -> dict[str, Catalog]:
    """The Chinese catalogues, read by Babel, by the name of their file."""
    found = {}
    for path in sorted((root / "core/i18n/catalogue/zh_CN").glob("*.po")):
        with path.open("rb") as file:
            found[path.name] = read_po(file, abort_invalid=True)
    return found


@pytest.fixture(scope="module")
def translations(catalogues) -> dict[str, set[str]]:
    """All translations of each template."""
    merged = defaultdict(set)
    for catalogue in catalogues.values():
        for entry in catalogue:
            if entry.id and entry.string and not entry.fuzzy:
                merged[entry.id].add(entry.string)
    return merged


def _fail_with(lines: list[str]) -> None:
    if lines:
        pytest.fail("\n" + "\n".join(lines), pytrace=False)


def test_templates_are_literals(sources):
    """`t` of the pages and `Message.from_json` pass on what they are given; nobody else does."""
    dynamic = [
        f"{source.at(call)} the first argument of {_called(call)}() is no literal"
        for source in sources
        for call in _calls(source.tree)
        if _called(call) != "Message" and not _is_literal(call.args[0])
    ]
    _fail_with(dynamic)


def test_placeholders_are_names_and_all_are_filled(texts):
    wrong = []
    for text in texts:
        try:
            names = _placeholders(text.template)
        except ValueError as error:
            wrong.append(f"{text.place} {error}")
        else:
            if text.values is not None and names != text.values:
                wrong.append(f"{text.place} {text.template!r} is given {sorted(text.values)}")
    _fail_with(wrong)


def test_every_text_is_translated(texts, translations):
    missing = {text.template: text.place for text in texts if text.template not in translations and text.template}
    _fail_with([f'{place}\nmsgid "{_quoted(template)}"\nmsgstr ""\n' for template, place in missing.items()])


def test_translations_keep_the_placeholders(translations):
    wrong = []
    for template, chinese in translations.items():
        for translation in chinese:
            try:
                if _placeholders(translation) != _placeholders(template):
                    wrong.append(f"{template!r} → {translation!r}")
            except ValueError as error:
                wrong.append(str(error))
    _fail_with(wrong)


def test_translations_are_chinese(translations):
    """What is words in English is Chinese in Chinese; a bare term or formula may stay."""
    untouched = [
        f"{template!r} → {translation!r}"
        for template, chinese in translations.items()
        for translation in chinese
        if not _CHINESE.search(translation) and _ENGLISH_WORD.search(re.sub(r"\{\w+\}", "", template))
    ]
    _fail_with(untouched)


def test_a_text_has_one_translation(translations):
    _fail_with([f"{template!r} → {sorted(chinese)}" for template, chinese in translations.items() if len(chinese) > 1])


def test_no_translation_is_left_over(texts, catalogues):
    used = {text.template for text in texts}
    left_over = [
        f"{file}: {entry.id!r}"
        for file, catalogue in catalogues.items()
        for entry in catalogue
        if entry.id not in used | {""}
    ]
    _fail_with(left_over)


def test_no_entry_is_open_or_fuzzy(catalogues):
    unfinished = [
        f"{file}: {entry.id!r}"
        for file, catalogue in catalogues.items()
        for entry in catalogue
        if entry.id and (entry.fuzzy or not entry.string)
    ]
    _fail_with(unfinished)


def test_catalogues_are_utf8_and_say_their_language(catalogues):
    for file, catalogue in catalogues.items():
        assert (catalogue.locale_identifier, catalogue.charset.lower()) == ("zh_CN", "utf-8"), file


def _quoted(template: str) -> str:
    return template.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@pytest.mark.parametrize("template", ["{x:.3f}", "{x!r}", "{x.y}", "{}", "{0}", "{a b}"])
def test_the_rule_about_placeholders_catches(template):
    with pytest.raises(ValueError, match="only"):
        _placeholders(template)


def test_texts_are_found_wherever_they_stand():
    code = """
TABLE = {"sum": msg("sum of {what}")}

async def f():
    first = msg("a {n}", n=1), ui.t("b" if c else "d {n}"), Message("e", {})
    return first, msg(f"{x}"), other("f"), msg("g" "h", **v)
"""
    tree = ast.parse(code)
    found = {template: values for _, template, values in _texts(tree)}
    assert found == {"sum of {what}": None, "a {n}": {"n"}, "b": set(), "d {n}": set(), "e": None, "gh": None}
    assert [_is_literal(call.args[0]) for call in _calls(tree)].count(False) == 1
