"""Google's published SQL engine (ZetaSQL) as a process: a statement a line in, an answer a line out, both as JSON.

It runs in the environment of ``engine.lock``, by its path, and imports nothing of the project. An answer has the types
of the columns and the rows, its values as ``tests/dialect`` writes them; or ``refused``, when the statement cannot be
read, or ``error``, when it fails as it runs. The process ends when its input does.
"""

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

from wasmtime import Config
from zetasql.api import CatalogBuilder
from zetasql.api.prepared_query import PreparedQuery
from zetasql.core import ZetaSqlLocalService, wasm_client
from zetasql.core.exceptions import ServerError, StatusCode
from zetasql.types import AnalyzerOptions, EvaluateQueryRequest, LanguageOptions, ZetaSQLBuiltinFunctionOptions
from zetasql.wasi._pb2.zetasql.local_service.local_service_pb2 import EvaluateQueryResponse

COMPILED = Path(sys.prefix) / "compiled"
"""Where the engine lies compiled: that takes a minute or two, once."""


class Cached(Config):  # type: ignore[misc]
    """The engine's settings, and that it is compiled only once."""

    def __init__(self) -> None:
        super().__init__()
        settings = COMPILED.with_suffix(".toml")
        settings.write_text(f'[cache]\ndirectory = "{COMPILED}"\n')
        self.cache = str(settings)


class Engine:
    """The engine with all its functions, and UTC as the zone of what names none."""

    def __init__(self) -> None:
        wasm_client.Config = Cached
        language = LanguageOptions.maximum_features()
        functions = ZetaSQLBuiltinFunctionOptions(language_options=language)
        catalog = CatalogBuilder("judge").with_builtin_functions(functions).build()
        self._service = ZetaSqlLocalService.get_instance()
        self._catalog = self._service.register_catalog(simple_catalog=catalog).registered_id
        self._options = AnalyzerOptions(language_options=language, default_timezone="UTC")

    def answer(self, sql: str) -> dict[str, Any]:
        """What the engine says of one statement."""
        query = PreparedQuery.builder().set_sql(sql).set_analyzer_options(self._options)
        try:
            prepared = query.set_registered_catalog_id(self._catalog).prepare()
        except ServerError as error:
            # A constant that no value can have is found out before the statement runs.
            return {"error" if error.code is StatusCode.OUT_OF_RANGE else "refused": str(error)}
        with prepared:
            names = [name(column.type) for column in prepared.columns]
            request = EvaluateQueryRequest(prepared_query_id=prepared.prepared_query_id).to_proto()
            call = "ZetaSqlLocalService_EvaluateQuery"
            try:
                found = self._service.wasm_client.call_grpc_func(call, request, EvaluateQueryResponse)
            except ServerError as error:
                return {"error": str(error)}
        rows = found.content.table_data.row
        return {"columns": names, "rows": [[value(cell) for cell in row.cell] for row in rows]}


def name(of: Any) -> str:
    """The name of a type in BigQuery."""
    kind = str(of.type_kind.name).removeprefix("TYPE_")
    if kind == "ARRAY":
        return f"ARRAY<{name(of.array_type.element_type)}>"
    if kind == "STRUCT":
        return f"STRUCT<{', '.join(f'{field.field_name} {name(field.field_type)}' for field in of.struct_type.field)}>"
    return "FLOAT64" if kind == "DOUBLE" else kind


def value(cell: Any) -> Any:
    """A value as the table of expressions writes it; None is NULL."""
    kind = cell.WhichOneof("value")
    return None if kind is None else WORDS.get(kind, lambda plain: plain)(getattr(cell, kind))


def numeric(decimals: int) -> Callable[[bytes], str]:
    """Read a number that is kept as a whole one of so many decimals."""

    def read(kept: bytes) -> str:
        number = Decimal(int.from_bytes(kept, "little", signed=True)).scaleb(-decimals, Context(prec=80))
        text = f"{number:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text

    return read


def clock(kept: int) -> tuple[int, int, int]:
    """Hour, minute and second of the bits that hold them."""
    return kept >> 12 & 31, kept >> 6 & 63, kept & 63


def wall_clock(kept: Any) -> str:
    """A DATETIME of the bits that hold it."""
    bits = kept.bit_field_datetime_seconds
    return f"{date(bits >> 26, bits >> 22 & 15, bits >> 17 & 31)} {time(*clock(bits), kept.nanos // 1000)}"


def instant(kept: Any) -> str:
    """A TIMESTAMP of its seconds since 1970."""
    since = timedelta(seconds=kept.seconds, microseconds=kept.nanos // 1000)
    return (datetime(1970, 1, 1, tzinfo=UTC) + since).isoformat(sep=" ")


WORDS: dict[str, Callable[[Any], Any]] = {
    "array_value": lambda kept: [value(element) for element in kept.element],
    "struct_value": lambda kept: [value(field) for field in kept.field],
    "numeric_value": numeric(9),
    "bignumeric_value": numeric(38),
    "date_value": lambda kept: (date(1970, 1, 1) + timedelta(days=kept)).isoformat(),
    "time_value": lambda kept: time(*clock(kept >> 30), (kept & (1 << 30) - 1) // 1000).isoformat(),
    "datetime_value": wall_clock,
    "timestamp_value": instant,
    "bytes_value": bytes.hex,
    "interval_value": lambda kept: f"{kept.hex()} (CAST it to STRING)",
    "json_value": lambda kept: json.dumps(json.loads(kept), sort_keys=True, separators=(",", ":"), ensure_ascii=False),
}
"""How the values of each type are written that are not plain ones in JSON."""


def main() -> None:
    """Answer until nobody asks any more, even while the engine is still compiled."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what the engine itself prints is no answer
    questions: SimpleQueue[str] = SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            questions.put(line)
        os._exit(0)

    Thread(target=read, daemon=True).start()
    engine = Engine()
    while True:
        print(json.dumps(engine.answer(json.loads(questions.get()))), file=answers, flush=True)


if __name__ == "__main__":
    main()
