"""YAML text read into a pydantic model, with errors that name the line and the field."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from core.errors import ConfigurationError, NotFoundError
from core.i18n import Message, msg

__all__ = ["parse_yaml", "read_yaml"]

_Model = TypeVar("_Model", bound=BaseModel)
_MAX_BYTES = 4 << 20


def read_yaml(path: Path, model: type[_Model]) -> _Model:
    """Read the YAML file at `path` as a `model`.

    Raises
    ------
    NotFoundError
        No such file.
    ConfigurationError
        Not UTF-8, not YAML, or not what the model asks for; names file, line and field.
    """
    if not path.is_file():
        raise NotFoundError(msg("there is no such file"), where=str(path))
    data = path.read_bytes()
    if len(data) > _MAX_BYTES:
        raise ConfigurationError(msg("the file is too large for a specification"), where=path.name)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            msg("the file is not UTF-8 (byte {offset})", offset=error.start), where=path.name
        ) from error
    return parse_yaml(text, model, where=path.name)


def parse_yaml(text: str, model: type[_Model], *, where: str = "") -> _Model:
    """Read YAML `text` as a `model`; `where` names the text in errors.

    Raises
    ------
    ConfigurationError
        Names line and field of the first fault, and the number of faults.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        value = yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 - a subclass of SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = _place(where, mark.line + 1 if mark else None, "")
        raise ConfigurationError(
            msg("this is not valid YAML: {problem}", problem=error.problem or "?"), where=place
        ) from error
    except yaml.YAMLError as error:
        raise ConfigurationError(msg("this is not valid YAML: {problem}", problem=str(error)), where=where) from error
    try:
        return model.model_validate({} if value is None else value)
    except ValidationError as error:
        raise _configuration_error(error, root, where) from error


class _UniqueKeyLoader(yaml.SafeLoader):
    """Safe loader that refuses a key given twice in one mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} is given twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def _configuration_error(error: ValidationError, root: yaml.Node | None, where: str) -> ConfigurationError:
    faults = error.errors(include_url=False, include_context=False)
    first = faults[0]
    location = first["loc"]
    return ConfigurationError(
        _fault_text(first["msg"], first["input"], len(faults) - 1),
        where=_place(where, _line(root, location), ".".join(map(str, location))),
    )


def _fault_text(problem: str, value: Any, n_more: int) -> Message:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    if n_more:
        return msg("{problem}, got {value}; {n} more faults follow", problem=problem, value=shown, n=n_more)
    return msg("{problem}, got {value}", problem=problem, value=shown)


def _place(where: str, line: int | None, field: str) -> str:
    parts = [where, f"line {line}" if line else "", field]
    return ", ".join(part for part in parts if part)


def _line(node: yaml.Node | None, location: tuple[int | str, ...]) -> int | None:
    """Return the line of the deepest node on the way to `location`."""
    if node is None:
        return None
    line = node.start_mark.line + 1
    for step in location:
        found = _child(node, step)
        if found is None:
            break
        key, node = found
        line = key.start_mark.line + 1
    return line


def _child(node: yaml.Node, step: int | str) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == str(step)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None
