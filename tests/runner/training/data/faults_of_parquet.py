"""Bad Parquet files; pyarrow is imported when one is written."""

import datetime as dt
import io
from collections.abc import Callable, Sequence

from tests.runner.training.data.faults import Fault

Values = Sequence[object]
GOOD: dict[str, Values] = {"a": [1, 2, 3], "b": [True, False, True], "label": ["x", "y", "x"]}


def parquet(**columns: Values) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def fault(name: str, content: bytes | Callable[[], bytes], *says: str, **settings: object) -> Fault:
    return Fault(name, "t.parquet", content, says, {"target": "label"} | settings)


def having(values: Values) -> Callable[[], bytes]:
    return lambda: parquet(**(GOOD | {"a": values}))


def scribbled() -> bytes:
    content = bytearray(parquet(**GOOD))
    content[20:60] = b"\xff" * 40
    return bytes(content)


NOW = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
FAULTS = [
    fault("null", having([1, None, 3]), "row 1 (the first is 0), column 'a'", missing="refuse"),
    fault("all null", having([None] * 3), "row 0 (the first is 0), column 'a'", missing="refuse"),
    fault("NaN", having([1.0, 2.0, float("nan")]), "row 2", "column 'a'", missing="refuse"),
    fault("nested", having([{"q": 1}] * 3), "column 'a'", "numbers", "got struct<q: int64>"),
    fault("lists", having([[1], [2], [3]]), "column 'a'", "numbers", "got list<"),
    fault("durations", having([dt.timedelta(1)] * 3), "column 'a'", "dates", "got duration"),
    fault(
        "dates as the label", lambda: parquet(**(GOOD | {"label": [NOW] * 3})), "a class", "date"
    ),
    fault("bytes", having([b"a"] * 3), "column 'a'", "numbers", "got binary"),
    fault("numbers and words", having(["1", "x", "2"]), "row 1", "column 'a'", "numbers", "'x'"),
    fault("empty text", having(["r", "", "g"]), "row 1", "a word", missing="refuse"),
    fault("no label", lambda: parquet(**(GOOD | {"label": [None] * 3})), "'label'", "the target"),
    fault("no rows", lambda: parquet(a=[], label=[]), "t.parquet: must have at least 2", "got 0"),
    fault("truncated", lambda: parquet(**GOOD)[:-10], "t.parquet: must be a whole", "damaged"),
    fault("first bytes only", b"PAR1", "t.parquet: must be a whole Parquet", "damaged"),
    fault("torn pages", scribbled, "t.parquet: must be a whole Parquet", "damaged"),
    fault("text", b"a,label\n1,x\n", "t.parquet: must be a Parquet file", "delimited text"),
    fault("empty", b"", "t.parquet: must hold a Parquet file", "an empty file"),
]
