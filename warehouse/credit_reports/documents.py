"""The XML of credit reports: parsed without entities or anything outside it, in bounded depth and size.

An element says what it is by its name alone; attributes, comments and namespaces mean nothing.
"""

import gzip
import itertools
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from xml.parsers import expat

from core.errors import InputError
from core.i18n import Message, msg

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_TOKEN", "XmlText", "XmlUnit", "content_of", "decoded", "documents"]

MAX_BYTES: Final = 128 << 20
MAX_DEPTH: Final = 24
MAX_TOKEN: Final = 64 << 10
_MAX_ELEMENTS: Final = 500_000  # of one report; the longest known have some ten thousand
_ROOT: Final = "Document"
_CHUNK: Final = 64 << 10
_DECLARATION: Final = re.compile(r"<\?xml\s[^>]{0,200}\?>")
_ENCODING: Final = re.compile(rb"^\s*<\?xml\s[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
_CODECS: Final = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "gb18030": "gb18030",
    "cp936": "gb18030",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
}
_FIRST_OF_THREE_BYTES: Final = 0x0800  # characters below take one or two bytes in UTF-8, Chinese ones three


@dataclass(slots=True)
class XmlUnit:
    """An element with what stands in it."""

    tag: str
    text: str = ""
    children: list["XmlUnit"] = field(default_factory=list)

    def all(self, tag: str) -> Iterator["XmlUnit"]:
        """Yield the elements of a name in it, at any depth, outer ones first."""
        for child in self.children:
            if child.tag == tag:
                yield child
            yield from child.all(tag)


@dataclass(frozen=True)
class XmlText:
    """The text of a file.

    Parameters
    ----------
    text : str
        Without byte order mark.
    encoding : str
        The encoding it was read in.
    declared : str
        What the file says of itself, in small letters; nothing where it says nothing.
    """

    text: str
    encoding: str
    declared: str

    @property
    def is_as_declared(self) -> bool:
        """Whether it was read in the encoding that the file names, or that holds where none is named."""
        return _CODECS.get(self.declared or "utf-8", self.declared) in {self.encoding, self.encoding[:6]}


def content_of(path: Path) -> bytes:
    """Return the bytes of a file, those of a ``.gz`` unpacked.

    Raises
    ------
    InputError
        More than 128 MiB, before or after it is unpacked; damaged.
    """
    n_bytes = path.stat().st_size
    content = b""
    if n_bytes <= MAX_BYTES:
        content = _unpacked(path) if path.suffix.lower() == ".gz" else path.read_bytes()
    if max(n_bytes, len(content)) > MAX_BYTES:
        raise InputError(
            msg("the file has more than the {limit} bytes allowed", limit=MAX_BYTES),
            where=path.name,
            fix=msg("Give the reports in several files."),
            code="too_large",
        )
    return content


def _unpacked(path: Path) -> bytes:
    try:
        with gzip.open(path) as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            msg("the archive is damaged: {problem}", problem=str(error) or "?"),
            where=path.name,
            fix=msg("Copy or upload the file again."),
            code="damaged",
        ) from error


def decoded(content: bytes, where: str) -> XmlText:
    """Return the text of a file: as its byte order mark or its declaration says, else as its bytes allow.

    Chinese in UTF-8 is known by its bytes, also under a declaration of GBK: text in GBK is no valid UTF-8, but by a
    chance of some words. A declaration of UTF-8 over bytes of GBK is known the same way.

    Raises
    ------
    InputError
        An encoding that is not read; bytes that are of no encoding, with their offset.
    """
    found = _ENCODING.match(content[:400])
    declared = found.group(1).decode().lower() if found else ""
    marked = _marked(content)
    if marked is not None:
        return XmlText(_strict(content, marked, where).removeprefix("\ufeff"), marked, declared or marked)
    if declared and declared not in _CODECS:
        raise InputError(
            msg("the file says that it is written in {encoding}, which is not read", encoding=declared),
            where=where,
            fix=msg("Give it in UTF-8 or GB18030."),
            code="encoding",
        )
    encoding = _CODECS[declared or "utf-8"]
    if _is_utf8(content):
        encoding = "utf-8"
    elif encoding == "utf-8" and _decodes(content, "gb18030"):
        encoding = "gb18030"
    return XmlText(_strict(content, encoding, where), encoding, declared)


def documents(text: str, where: str) -> Iterator[XmlUnit]:
    """Yield the reports of a text, the elements named ``Document``; one XML document after the other is taken too.

    Raises
    ------
    InputError
        No sound XML, or cut short; a document type, nested more than 24 deep, a name or value of more than 64 KiB, a
        report of more than 500,000 elements; no report at all.
    """
    starts = [match.start() for match in _DECLARATION.finditer(text)]
    if text.strip() and (not starts or text[: starts[0]].strip()):
        starts.insert(0, 0)
    n_found = 0
    for start, end in itertools.pairwise([*starts, len(text)]):
        builder = _Builder(where, first_line=text.count("\n", 0, start))
        for report in builder.parse(_DECLARATION.sub("", text[start:end], count=1)):
            n_found += 1
            yield report
    if not n_found:
        raise InputError(
            msg("there is no credit report in it: no element is named {name}", name=_ROOT),
            where=where,
            fix=msg("Give the XML of second-generation credit reports as the query system wrote it."),
            code="no_credit_report",
        )


class _Builder:
    """Builds one report at a time, and forgets what stands outside of reports."""

    def __init__(self, where: str, first_line: int) -> None:
        self._where = where
        self._first_line = first_line
        self._open: list[XmlUnit] = []
        self._depth = 0
        self._n_elements = 0
        self._finished: list[XmlUnit] = []
        self._parser = expat.ParserCreate("utf-8", namespace_separator="}")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._data
        self._parser.StartDoctypeDeclHandler = self._refuse_declaration
        self._parser.EntityDeclHandler = self._refuse_declaration
        self._parser.ExternalEntityRefHandler = self._refuse_declaration

    def parse(self, text: str) -> Iterator[XmlUnit]:
        content = text.strip().encode()
        for start in range(0, len(content), _CHUNK):
            self._feed(content[start : start + _CHUNK], is_last=False)
            yield from self._taken()
        self._feed(b"", is_last=True)
        yield from self._taken()

    def _feed(self, chunk: bytes, *, is_last: bool) -> None:
        try:
            self._parser.Parse(chunk, is_last)
        except expat.ExpatError as error:
            raise self._refused(
                msg("this is no sound XML: {problem}", problem=expat.ErrorString(error.code) or "?"), "bad_xml"
            ) from error

    def _taken(self) -> Iterator[XmlUnit]:
        finished, self._finished = self._finished, []
        yield from finished

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        tag = name.rpartition("}")[2]
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._refused(msg("elements are nested more than {n} deep", n=MAX_DEPTH), "xml_too_deep")
        if len(tag) + sum(map(len, attributes.values())) > MAX_TOKEN:
            raise self._too_long()
        if self._open or tag == _ROOT:
            self._n_elements += 1
            if self._n_elements > _MAX_ELEMENTS:
                raise self._refused(msg("a report has more than {n} elements", n=_MAX_ELEMENTS), "too_large")
            unit = XmlUnit(tag)
            if self._open:
                self._open[-1].children.append(unit)
            self._open.append(unit)

    def _end(self, name: str) -> None:
        del name
        self._depth -= 1
        if self._open:
            unit = self._open.pop()
            unit.text = unit.text.strip()
            if not self._open:
                self._finished.append(unit)
                self._n_elements = 0

    def _data(self, text: str) -> None:
        if self._open:
            unit = self._open[-1]
            unit.text += text
            if len(unit.text) > MAX_TOKEN:
                raise self._too_long()

    def _refuse_declaration(self, *_: Any) -> int:
        raise self._refused(
            msg("the XML declares a document type or entities, which a credit report never does"), "xml_declaration"
        )

    def _too_long(self) -> InputError:
        return self._refused(msg("a name or value is longer than {n} characters", n=MAX_TOKEN), "xml_too_long")

    def _refused(self, problem: Message, code: str) -> InputError:
        line = self._first_line + self._parser.CurrentLineNumber
        return InputError(
            problem,
            where=f"{self._where}, line {line}, column {self._parser.CurrentColumnNumber + 1}",
            fix=msg("Export the report again from the query system."),
            code=code,
        )


def _marked(content: bytes) -> str | None:
    """Return the encoding that the first bytes prove, or None."""
    if content.startswith(b"\xef\xbb\xbf"):
        return "utf-8"
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if content.startswith(b"<\0"):
        return "utf-16-le"
    return "utf-16-be" if content.startswith(b"\0<") else None


def _is_utf8(content: bytes) -> bool:
    """Whether the bytes are UTF-8 whose characters beyond ASCII are such as Chinese texts have."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return min((ord(character) for character in set(text) if ord(character) > 127), default=1 << 20) >= (
        _FIRST_OF_THREE_BYTES
    )


def _decodes(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _strict(content: bytes, encoding: str, where: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(
            msg(
                "the bytes {bytes} at offset {offset} are no {encoding}",
                bytes=content[error.start : error.end][:8].hex(" "),
                offset=error.start,
                encoding=encoding,
            ),
            where=where,
            fix=msg("Export the report again from the query system, in UTF-8 or GB18030."),
            code="encoding",
        ) from error
