"""How the results of flows are written to JSON and read back: one codec for all frozen result types."""

from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import PlainSerializer, PlainValidator, TypeAdapter

from automl.evaluation import Evaluation
from automl.explanation import Explanation
from core.findings import Finding
from core.i18n import Message

__all__ = [
    "EvaluationField",
    "ExplanationField",
    "FindingField",
    "MessageField",
    "from_json",
    "read_json",
    "to_json",
    "write_json",
]

T = TypeVar("T")

FindingField = Annotated[
    Finding,
    PlainValidator(lambda value: value if isinstance(value, Finding) else Finding.from_json(value)),
    PlainSerializer(lambda finding: finding.to_json()),
]
"""A `Finding` inside a result type."""

MessageField = Annotated[
    Message,
    PlainValidator(lambda value: value if isinstance(value, Message) else Message.from_json(value)),
    PlainSerializer(lambda message: message.to_json()),
]
"""A `Message` inside a result type."""


EvaluationField = Annotated[
    Evaluation,
    PlainValidator(lambda value: value if isinstance(value, Evaluation) else Evaluation.from_json(value)),
    PlainSerializer(lambda evaluation: evaluation.to_json()),
]
"""An `Evaluation` inside a result type."""

ExplanationField = Annotated[
    Explanation,
    PlainValidator(lambda value: value if isinstance(value, Explanation) else Explanation.from_json(value)),
    PlainSerializer(lambda explanation: explanation.to_json()),
]
"""An `Explanation` inside a result type."""


def to_json(result: Any) -> Any:
    """Return a frozen result as JSON values."""
    return TypeAdapter(type(result)).dump_python(result, mode="json")


def from_json(kind: type[T], data: Any) -> T:
    """Read what `to_json` wrote."""
    return TypeAdapter(kind).validate_python(data)


def write_json(path: Path, result: Any) -> None:
    """Write a frozen result to a file."""
    path.write_bytes(TypeAdapter(type(result)).dump_json(result, indent=1))


def read_json(kind: type[T], path: Path) -> T:
    """Read what `write_json` wrote."""
    return TypeAdapter(kind).validate_json(path.read_bytes())
