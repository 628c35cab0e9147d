"""The JSON Schemas that ``json_schema`` checks name are read with the pipeline file, and are schemas themselves."""

from collections.abc import Iterator
from pathlib import Path

from phasegate.adapters.sql_files import text_of
from phasegate.domain.checks.json_schema import schema_problem
from phasegate.domain.errors import InputError
from phasegate.domain.spec.checks import JsonSchemaCheck
from phasegate.domain.spec.pipeline import Pipeline


def read_json_schemas(pipeline: Pipeline, folder: Path) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Read each schema that a check names, below the folder of the pipeline file.

    Returns the text by file, and (path in the pipeline file, sentence) for each that cannot be read or is no schema.
    """
    texts: dict[str, str] = {}
    wrong: list[tuple[str, str]] = []
    for at, check in _checks(pipeline):
        name = check.schema_file
        try:
            text = texts[name] = texts.get(name) or text_of(folder / name, folder)
        except InputError as error:
            wrong.append((at, f"{name}: {error}"))
        else:
            if problem := schema_problem(text):
                wrong.append((at, f"{name}: {problem}"))
    return texts, wrong


def _checks(pipeline: Pipeline) -> Iterator[tuple[str, JsonSchemaCheck]]:
    for p, phase in enumerate(pipeline.phases):
        for i, processor in enumerate(phase.processors):
            for c, check in enumerate(processor.checks):
                if isinstance(check, JsonSchemaCheck):
                    yield f"phases[{p}].processors[{i}].checks[{c}].schema", check
