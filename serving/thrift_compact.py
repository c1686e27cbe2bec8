"""Thrift's compact protocol, in which Parquet writes its headers: read strictly, never too deep or beyond the end."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mmap import mmap

__all__ = ["Struct", "read_struct"]

Struct = dict[int, Any]
"""Fields by number: bool, int, float as its bytes, bytes, list, or another struct; maps are passed over as None."""

_MAX_DEPTH: Final = 12
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
_INTEGERS: Final = (4, 5, 6)
_MAX_VARINT_BYTES: Final = 10
_MORE: Final = 0x80
_MANY: Final = 15
_DOUBLE_BYTES: Final = 8


def read_struct(content: "mmap | bytes", start: int, end: int) -> tuple[Struct, int]:
    """Return the struct at `start`, and where it ends, at most at `end`.

    Raises
    ------
    ValueError
        If it is not sound: it reaches beyond the end, is too deep, names a field twice or an unknown kind.

    Examples
    --------
    >>> read_struct(bytes([0x15, 0x06, 0x18, 0x02, 0x68, 0x69, 0x00]), 0, 7)
    ({1: 3, 2: b'hi'}, 7)
    """
    reader = _Reader(content, start, min(end, len(content)))
    return reader.struct(0), reader.here


class _Reader:
    def __init__(self, content: "mmap | bytes", start: int, end: int) -> None:
        self._content = content
        self._end = end
        self.here = start

    def struct(self, depth: int) -> Struct:
        if depth > _MAX_DEPTH:
            raise ValueError("too deep")
        found: Struct = {}
        number = 0
        while (first := self._byte()) != 0:
            number = number + (first >> 4) if first >> 4 else self._integer()
            if number in found:
                # A library takes one of the two, and nobody knows which.
                raise ValueError("a field comes twice")
            kind = first & 0x0F
            found[number] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        if kind in _INTEGERS:
            return self._integer()
        read = _OTHERS.get(kind)
        if read is None:
            raise ValueError("an unknown kind")
        return read(self, depth)

    def _byte(self) -> int:
        if not 0 <= self.here < self._end:
            raise ValueError("beyond the end")
        self.here += 1
        return self._content[self.here - 1]

    def _bytes(self, n: int) -> bytes:
        if self.here + n > self._end:
            raise ValueError("beyond the end")
        self.here += n
        return self._content[self.here - n : self.here]

    def _varint(self) -> int:
        value = 0
        for number in range(_MAX_VARINT_BYTES):
            byte = self._byte()
            value |= (byte & ~_MORE) << (7 * number)
            if byte < _MORE:
                return value
        raise ValueError("a number is too long")

    def _integer(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)

    def one_byte(self, _: int) -> bytes:
        return self._bytes(1)

    def double(self, _: int) -> bytes:
        return self._bytes(_DOUBLE_BYTES)

    def binary(self, _: int) -> bytes:
        return self._bytes(self._varint())

    def items(self, depth: int) -> list[Any]:
        first = self._byte()
        n = self._varint() if first >> 4 == _MANY else first >> 4
        return [self._element(first & 0x0F, depth) for _ in range(n)]

    def map(self, depth: int) -> None:
        n = self._varint()
        kinds = self._byte() if n else 0
        for _ in range(n):
            self._element(kinds >> 4, depth)
            self._element(kinds & 0x0F, depth)

    def _element(self, kind: int, depth: int) -> Any:
        # In a list a boolean is a byte of its own.
        return self._bytes(1) if kind in (_TRUE, _FALSE) else self._value(kind, depth + 1)

    def inner(self, depth: int) -> Struct:
        return self.struct(depth + 1)


_OTHERS: "Final[dict[int, Callable[[_Reader, int], Any]]]" = {
    _BYTE: _Reader.one_byte,
    _DOUBLE: _Reader.double,
    _BINARY: _Reader.binary,
    _LIST: _Reader.items,
    _SET: _Reader.items,
    _MAP: _Reader.map,
    _STRUCT: _Reader.inner,
}
