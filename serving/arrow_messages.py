"""Arrow messages before they are read: none may be compressed, because a small one could unpack to any size.

The layout is that of Arrow's ``Message.fbs`` and of FlatBuffers: a table begins with the distance back to its vtable,
and the vtable says where in the table each field is, 0 where it has none.
"""

import struct
from typing import TYPE_CHECKING

from core.errors import InputError
from core.i18n import msg

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["check_plain", "is_compressed"]

_HEADER_TYPE, _HEADER = 1, 2
_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3
_DICTIONARY_DATA, _COMPRESSION = 1, 3


def check_plain(source: "pa.NativeFile") -> None:
    """Refuse a stream that has a compressed message.

    Raises
    ------
    InputError
        If it has one, or is cut off.
    """
    import pyarrow as pa

    reader = pa.ipc.MessageReader.open_stream(source)
    for message in reader:
        if is_compressed(message.metadata.to_pybytes()):
            raise InputError(msg("Compressed Arrow messages are not read; send them plain"), code="unsupported_body")


def is_compressed(metadata: bytes) -> bool:
    """Whether the metadata of a message say that its body is compressed."""
    try:
        message = _follow(metadata, 0)
        place = _field(metadata, message, _HEADER_TYPE)
        kind = metadata[place] if place else 0
        if kind not in (_DICTIONARY_BATCH, _RECORD_BATCH):
            return False
        header = _follow(metadata, _field(metadata, message, _HEADER))
        if kind == _DICTIONARY_BATCH:
            header = _follow(metadata, _field(metadata, header, _DICTIONARY_DATA))
        return bool(_field(metadata, header, _COMPRESSION))
    except (struct.error, IndexError):
        # What cannot be read is not called plain.
        return True


def _field(buffer: bytes, table: int, number: int) -> int:
    """Return where field `number` of the table at `table` is, 0 where it has none."""
    vtable = table - struct.unpack_from("<i", buffer, table)[0]
    if 4 + 2 * number >= struct.unpack_from("<H", buffer, vtable)[0]:
        return 0
    offset = int(struct.unpack_from("<H", buffer, vtable + 4 + 2 * number)[0])
    return table + offset if offset else 0


def _follow(buffer: bytes, place: int) -> int:
    return place + int(struct.unpack_from("<I", buffer, place)[0])
