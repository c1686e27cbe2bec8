"""What schemathesis does not know of by itself: bodies of lines, of Arrow and of Parquet."""

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(context: Any, value: Any) -> bytes:
    """Send what is generated as one line, and after it one that is no JSON."""
    return json.dumps(value).encode() + b"\n{\n"


@schemathesis.deserializer("application/x-ndjson")
def read_lines(context: Any, response: Any) -> Any:
    """Return the first line of an answer, which the description speaks of."""
    return json.loads(response.content.splitlines()[0])


@schemathesis.serializer("application/vnd.apache.arrow.stream")
def arrow(context: Any, value: Any) -> bytes:
    """Send any bytes, and where there are none a stream of other columns than the model's."""
    if isinstance(value, bytes) and value:
        return value
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, pa.schema([("x", pa.float64())])) as writer:
        writer.write_table(pa.table({"x": [1.0]}))
    return sink.getvalue()


@schemathesis.serializer("application/vnd.apache.parquet")
def parquet(context: Any, value: Any) -> bytes:
    """Send any bytes, and where there are none a file of other columns than the model's."""
    if isinstance(value, bytes) and value:
        return value
    sink = io.BytesIO()
    pq.write_table(pa.table({"x": [1.0]}), sink)
    return sink.getvalue()
