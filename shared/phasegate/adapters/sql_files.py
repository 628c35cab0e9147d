"""The SQL files of a pipeline are read with it: each SELECT of a processor is judged before anything is planned."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from sqlglot import exp
from sqlglot.dialects.bigquery import BigQuery
from sqlglot.tokenizer_core import Token, TokenType

from phasegate.adapters.parsing import place_of, tokens_of, trees_of
from phasegate.domain.calendar.sql_parameters import DATES, SET_PARAMETERS, SQL_PARAMETERS, WINDOW_START, lookbacks_of
from phasegate.domain.errors import InputError, StatementRefused
from phasegate.domain.spec.pipeline import FENCE_COLUMN, Pipeline, Processor, TableOutput, did_you_mean

MOST_BYTES = 100_000
"""Of one file. BigQuery takes a statement of ten times as many (https://cloud.google.com/bigquery/quotas, 2026); a plan
keeps all of them."""

_WRITES = (exp.DML, exp.DDL, exp.Command, exp.Into)

Problems = Iterator[tuple[str, str]]
"""(path in the pipeline file, sentence)."""


def read_sql_files(pipeline: Pipeline, folder: Path) -> tuple[dict[str, str], dict[str, str], list[tuple[str, str]]]:
    """Read each file that a processor, or ``schema_files``, names, relative to the folder of the pipeline file.

    Returns the text by file of the SELECTs, that of the schema scripts, and (path, sentence) for each file that cannot
    be read.
    """
    selects: dict[str, str] = {}
    schemas: dict[str, str] = {}
    wrong: list[tuple[str, str]] = []
    named = [(f"{at}.sql", processor.sql, selects) for at, processor in _processors(pipeline) if processor.sql]
    named += [(f"schema_files[{n}]", name, schemas) for n, name in enumerate(pipeline.schema_files)]
    for at, name, texts in named:
        if name not in texts:
            try:
                texts[name] = text_of(folder / name, folder)
            except InputError as error:
                wrong.append((at, f"{name}: {error}"))
    return selects, schemas, wrong


def text_of(file: Path, folder: Path) -> str:
    """Return the text of a file below the folder of a pipeline file. Raises InputError where it cannot be read."""
    try:
        content = file.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"there is no such file in {folder.absolute()}; write it, or correct the name") from error
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}") from error
    if len(content) > MOST_BYTES:
        raise InputError(f"{len(content):,} bytes are too many for one file; write at most {MOST_BYTES:,}")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"is no text in UTF-8: {error}; save it as UTF-8") from error


def sql_file_problems(pipeline: Pipeline) -> Problems:
    """Find (path, sentence) for everything that is wrong with the SQL files of a pipeline, which holds their texts."""
    for p, phase in enumerate(pipeline.phases):
        for i, processor in enumerate(phase.processors):
            at = f"phases[{p}].processors[{i}]"
            if processor.sql in pipeline.sql_files and isinstance(processor.output, TableOutput):
                text = pipeline.select_of(processor)
                has_window = any(lookbacks_of(pipeline, phase.name, processor.name))
                for where, sentence in _select_problems(text, processor.output, has_window):
                    yield f"{at}.sql", f"{processor.sql}{where}: {sentence}"


def _processors(pipeline: Pipeline) -> Iterator[tuple[str, Processor]]:
    for p, phase in enumerate(pipeline.phases):
        for i, processor in enumerate(phase.processors):
            yield f"phases[{p}].processors[{i}]", processor


def _select_problems(text: str, output: TableOutput, has_window: bool) -> Problems:
    """Find (place in the file, sentence) for everything that is wrong with one SELECT by itself.

    has_window: whether it may name the window's start.
    """
    try:
        tokens = tokens_of(text)
    except StatementRefused as error:
        yield _said_at(error), f"cannot be read as BigQuery's SQL: {error.sentence}"
        return
    if not tokens:
        yield ":1:1", "there is no statement; write one SELECT"
        return
    ends = [n for n, token in enumerate(tokens) if token.token_type == TokenType.SEMICOLON]
    if ends:
        more = [token for token in tokens[ends[0] :] if token.token_type != TokenType.SEMICOLON]
        first, what = (more[0], "a second statement") if more else (tokens[ends[0]], "a semicolon")
        yield _place(text, first.start), f"{what}; write exactly one SELECT, without a semicolon"
        return
    try:
        (tree,) = trees_of(text, tokens)
    except StatementRefused as error:
        yield _said_at(error), f"is not in BigQuery's grammar: {error.sentence}"
        return
    if not isinstance(tree, exp.Query) or tree.find(*_WRITES):
        yield _place(text, tokens[0].start), "a processor's statement only reads: write exactly one SELECT"
        return
    yield from ((_place(text, start), sentence) for start, sentence in _parameter_problems(tokens, has_window))
    if not tree.is_star:
        yield from ((_place(text, start), sentence) for start, sentence in _column_problems(tree, output))


def _parameter_problems(tokens: list[Token], has_window: bool) -> Iterator[tuple[int, str]]:
    """Find (where in the text, sentence) for each parameter that has no value here."""
    named = [(at.start, name.text) for at, name in pairwise(tokens) if at.token_type == TokenType.PARAMETER]
    is_for_sets = any(name == DATES for _, name in named)
    meant, others = (SET_PARAMETERS, SQL_PARAMETERS) if is_for_sets else (SQL_PARAMETERS, SET_PARAMETERS)
    known = [name for name in meant if has_window or name != WINDOW_START]
    for start, name in named:
        if name in known:
            continue
        if name in meant:
            yield start, f"@{name} is {meant[name]}, and no lookback gate leads to this processor; add one"
        elif name in others and is_for_sets:
            yield start, f"@{name} is {others[name]}, and @{DATES} are many; write the field {name} of UNNEST(@{DATES})"
        elif name in others:
            yield start, f"@{name} is {others[name]}; write UNNEST(@{DATES}) beside it, or @d for the date"
        else:
            listed = ", ".join(f"@{each}" for each in known)
            hint = did_you_mean(name, known)
            yield start, f"unknown parameter @{name}{hint if hint.startswith('; did') else f'; known: {listed}'}"
    for token in tokens:
        if token.token_type == TokenType.PLACEHOLDER:
            yield token.start, "parameters have names here: write @d for the date"
        elif token.token_type == TokenType.VAR and token.text.startswith("$"):
            yield token.start, f"parameters begin with @ here: write @{token.text[1:]}"


def _column_problems(tree: exp.Query, output: TableOutput) -> Iterator[tuple[int, str]]:
    """Find (where in the text, sentence) for each column that no table takes, and each that is wanting."""
    selected: dict[str, str] = {}
    for projection in tree.selects:
        name = "" if isinstance(projection, exp.Literal) else projection.output_name
        start = _start_of(projection.args.get("alias") or projection)
        if not name:
            yield start, f"the column '{projection.sql(BigQuery)[:60]}' has no name; give it one with AS"
        elif name.casefold() in selected:
            yield start, f"the column '{name}' is selected twice"
        elif name.casefold() == FENCE_COLUMN:
            yield start, f"the column {FENCE_COLUMN} is written by Phasegate; take it out of the SELECT"
        selected[name.casefold()] = name
    for name in dict.fromkeys((output.date_column, *output.keys)):
        if selected.get(name.casefold()) not in ((name,) if name == output.date_column else selected.values()):
            hint = did_you_mean(name, selected.values())
            yield _start_of(tree), f"the SELECT has no column '{name}', which `output` names{hint}"


def _start_of(tree: exp.Expr) -> int:
    """Where the first name or literal of a part of a statement begins in the text; 0: it has none."""
    return min((each.meta["start"] for each in tree.walk() if "start" in each.meta), default=0)


def _place(text: str, start: int) -> str:
    """``:line:column`` of a place in the text, both counted from 1."""
    line, column = place_of(text, start)
    return f":{line}:{column}"


def _said_at(error: StatementRefused) -> str:
    return "" if error.line is None else f":{error.line}:{error.column}"
