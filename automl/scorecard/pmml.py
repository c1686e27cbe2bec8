"""PMML 4.4 Scorecard in and out: the exchange form that scoring engines of banks read."""

import math
from collections.abc import Mapping
from typing import Final
from xml.etree.ElementTree import Element, SubElement, TreeBuilder, indent, tostring
from xml.parsers import expat

from automl.scale import ScoreScale
from automl.scorecard.assembling import ImportedScorecard, assemble, to_entries
from automl.scorecard.card import Characteristic, Scorecard, points_text
from automl.scorecard.entries import PointsEntry, decimal_of
from automl.scorecard.pair_entries import pair_entries
from automl.scorecard.pairs import Pair
from automl.scorecard.predicates import read_entries
from core.errors import InputError
from core.i18n import msg

__all__ = ["from_pmml", "to_pmml"]

_NAMESPACE: Final = "http://www.dmg.org/PMML-4_4"
_SCALE: Final = ("base_points", "base_odds", "pdo")
_MOST_DEPTH: Final = 40
_MOST_BYTES: Final = 20_000_000


def to_pmml(card: Scorecard, reason_codes: Mapping[str, str] | None = None) -> str:
    """Return the card as PMML 4.4 text.

    Attributes stand in the order in which an engine must try them: special codes and nulls first, the predicate that is
    always true last. Each characteristic carries its reason code and its most points as baseline; a pair is one more,
    whose attributes ask for both fields, with both codes. What the points stand for travels in extensions.

    Parameters
    ----------
    card : Scorecard
        The card.
    reason_codes : mapping of str to str, optional
        By alias: its code in the model's map; its own name where left out.

    Raises
    ------
    InputError
        A name or a level holds a character that XML cannot hold.
    """
    root = Element("PMML", {"xmlns": _NAMESPACE, "version": "4.4"})
    header = SubElement(root, "Header", {"description": card.name})
    SubElement(header, "Application", {"name": "guarantee-workbench"})
    dictionary = SubElement(root, "DataDictionary", {"numberOfFields": str(len(card.characteristics))})
    for item in card.characteristics:
        _data_field(dictionary, item)
    SubElement(root, "TransformationDictionary")
    root.append(_model(card, reason_codes or {}))
    indent(root, " ")
    # A raw carriage return in a text would be read back as a new line.
    body = tostring(root, encoding="unicode").replace("\r", "&#13;")
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'
    _parse(text.encode())  # a name or level with a character that XML cannot hold is refused here
    return text


def from_pmml(content: bytes | str, *, name: str = "", scale: ScoreScale | None = None) -> ImportedScorecard:
    """Make a scorecard of a PMML Scorecard, version 3.2 to 4.4.

    Parameters
    ----------
    content : bytes or str
        The document; one that declares a document type or entities is refused.
    name : str
        Of the card; left out, the model's own name.
    scale : ScoreScale, optional
        Base points, base odds and points to double the odds, where the document does not hold them.

    Raises
    ------
    InputError
        It is not XML, holds no scorecard, or uses predicates that are no intervals or lists of levels of one field.
    """
    root = _parse(content.encode() if isinstance(content, str) else content)
    models = [element for element in root if element.tag == "Scorecard"]
    if root.tag != "PMML" or len(models) != 1:
        raise InputError(msg("the document holds no single PMML scorecard"), where=name)
    model = models[0]
    title = name or model.get("modelName", "") or "scorecard"
    entries = read_entries(root, model)
    if not entries:
        raise InputError(msg("the points table has no rows"), where=title)
    base = decimal_of(model.get("initialScore", "0"), title)
    return assemble(title, base, entries, _scale(model, title, scale), origin="pmml")


def _model(card: Scorecard, reason_codes: Mapping[str, str]) -> Element:
    model = Element(
        "Scorecard",
        {
            "modelName": card.name,
            "functionName": "regression",
            "algorithmName": "points scorecard",
            "initialScore": points_text(card.base_units, card.decimals),
            "useReasonCodes": "true",
            "reasonCodeAlgorithm": "pointsBelow",
            "baselineMethod": "max",
        },
    )
    for name in _SCALE:
        SubElement(model, "Extension", {"name": name, "value": repr(getattr(card.scale, name))})
    schema = SubElement(model, "MiningSchema")
    for alias in card.aliases:
        SubElement(schema, "MiningField", {"name": alias, "usageType": "active", "invalidValueTreatment": "asIs"})
    output = SubElement(model, "Output")
    SubElement(
        output, "OutputField",
        {"name": "score", "feature": "predictedValue", "dataType": "double", "optype": "continuous"},
    )  # fmt: skip
    entries: dict[str, list[PointsEntry]] = {alias: [] for alias in card.aliases}
    for entry in to_entries(card):
        if entry.beside is None:
            entries[entry.characteristic].append(entry)
    holder = SubElement(model, "Characteristics")
    for item in card.characteristics:
        most = points_text(max(item.units), card.decimals)
        code = reason_codes.get(item.alias, item.alias)
        one = SubElement(holder, "Characteristic", {"name": item.alias, "reasonCode": code, "baselineScore": most})
        _extensions(one, {f"name_{language}": text for language, text in item.bins.names.items()})
        for entry in sorted(entries[item.alias], key=lambda entry: entry.kind == "other"):
            _attribute(one, entry)
    for pair in card.pairs:
        _cross(holder, card, pair, reason_codes)
    return model


def _cross(parent: Element, card: Scorecard, pair: Pair, reason_codes: Mapping[str, str]) -> None:
    """Write a pair as one characteristic, whose attributes ask for the bins of both fields."""
    most = points_text(max(max(row) for row in pair.units), card.decimals)
    codes = dict.fromkeys(reason_codes.get(alias, alias) for alias in pair.aliases)
    attributes = {"name": pair.name, "reasonCode": " + ".join(codes), "baselineScore": most}
    one = SubElement(parent, "Characteristic", attributes)
    for entry in pair_entries(card, pair):
        assert entry.beside is not None  # noqa: S101  # cells have two sides
        attribute = SubElement(one, "Attribute", {"partialScore": f"{entry.points:f}"})
        both = SubElement(attribute, "CompoundPredicate", {"booleanOperator": "and"})
        _predicate(both, entry)
        _predicate(both, entry.beside)


def _data_field(parent: Element, item: Characteristic) -> None:
    is_number = item.bins.kind == "number"
    types = (
        {"optype": "continuous", "dataType": "double"} if is_number else {"optype": "categorical", "dataType": "string"}
    )
    SubElement(parent, "DataField", {"name": item.alias, "displayName": item.bins.name(), **types})


def _attribute(parent: Element, entry: PointsEntry) -> None:
    attribute = SubElement(parent, "Attribute", {"partialScore": f"{entry.points:f}"})
    if entry.kind == "special":
        _extensions(attribute, {"code": entry.code, **{f"label_{k}": text for k, text in entry.labels.items()}})
    _predicate(attribute, entry)


def _predicate(parent: Element, entry: PointsEntry) -> None:
    field = entry.characteristic
    if entry.kind == "missing":
        SubElement(parent, "SimplePredicate", {"field": field, "operator": "isMissing"})
    elif entry.kind == "other":
        SubElement(parent, "True")
    elif entry.kind == "interval":
        _interval_predicate(parent, field, entry.lower, entry.upper)
    else:
        _set_predicate(parent, field, entry.values)


def _interval_predicate(parent: Element, field: str, lower: float, upper: float) -> None:
    ends = [("greaterOrEqual", lower), ("lessThan", upper)]
    finite = [(operator, value) for operator, value in ends if math.isfinite(value)]
    if not finite:
        SubElement(parent, "SimplePredicate", {"field": field, "operator": "isNotMissing"})
        return
    holder = SubElement(parent, "CompoundPredicate", {"booleanOperator": "and"}) if len(finite) > 1 else parent
    for operator, value in finite:
        SubElement(holder, "SimplePredicate", {"field": field, "operator": operator, "value": repr(value)})


def _set_predicate(parent: Element, field: str, values: tuple[str | float, ...]) -> None:
    """List the values: an array of strings in quotes, or of numbers."""
    predicate = SubElement(parent, "SimpleSetPredicate", {"field": field, "booleanOperator": "isIn"})
    kind = "real" if all(isinstance(value, float) for value in values) else "string"
    array = SubElement(predicate, "Array", {"type": kind, "n": str(len(values))})
    texts = [repr(value) if isinstance(value, float) else value for value in values]
    array.text = " ".join(texts if kind == "real" else ['"' + _escaped(text) + '"' for text in texts])


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _extensions(parent: Element, values: dict[str, str]) -> None:
    for name, value in values.items():
        SubElement(parent, "Extension", {"name": name, "value": value})


def _parse(content: bytes) -> Element:
    """Return the tree, names without their namespace; a document type, and with it every entity, is refused."""
    if len(content) > _MOST_BYTES:
        raise InputError(msg("there is no file of at most {n} bytes", n=_MOST_BYTES))
    builder, depth = TreeBuilder(), 0
    parser = expat.ParserCreate(namespace_separator="}")

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _MOST_DEPTH:
            raise InputError(msg("the document is nested too deeply"))
        builder.start(tag.rpartition("}")[2], attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag.rpartition("}")[2])

    def refuse(*_: object) -> None:
        raise InputError(msg("a document type declaration is not accepted"))

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, ValueError) as error:
        raise InputError(msg("this is no XML: {problem}", problem=str(error))) from error
    return builder.close()


def _scale(model: Element, name: str, scale: ScoreScale | None) -> ScoreScale:
    found = {item.get("name"): item.get("value", "") for item in model.findall("Extension")}
    if all(key in found for key in _SCALE):
        base_points, base_odds, pdo = (float(decimal_of(found[key], name)) for key in _SCALE)
        return ScoreScale(base_points, base_odds, pdo)
    if scale is None:
        raise InputError(
            msg("what the points stand for is not known: base points, base odds and points to double the odds"),
            where=name,
            fix=msg("Give the scale beside the document."),
        )
    return scale
