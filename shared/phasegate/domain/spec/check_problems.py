"""The checks of a pipeline file may be wrong where types alone cannot tell: unknown names, bounds that are missing or
crossed."""

from collections.abc import Iterator, Sequence

from phasegate.domain.spec.arithmetic import ArithmeticProblem, names_in
from phasegate.domain.spec.checks import (
    KINDS,
    OWN_CHECKS,
    UNRECOVERABLE,
    Check,
    CoverageCheck,
    EntitiesCheck,
    JsonSchemaCheck,
    RangeCheck,
    RowsCheck,
    name_of,
)
from phasegate.domain.spec.ordering import is_judged_after
from phasegate.domain.spec.pipeline import ObjectOutput, Phase, Pipeline, Processor, TableOutput, did_you_mean

Problem = tuple[str, str]


def check_problems(pipeline: Pipeline, phase: Phase, at: str, phases: Sequence[str]) -> Iterator[Problem]:
    """Find (path, sentence) for what is wrong with the checks of a phase. phases: those whose tables they may read."""
    if phase.checks and not any(isinstance(x.output, TableOutput) for x in phase.processors):
        yield f"{at}.checks", "checks read tables, and no processor of this phase writes one"
    for c, check in enumerate(phase.checks):
        if isinstance(check, JsonSchemaCheck):
            yield f"{at}.checks[{c}]", "'json_schema' is about one object; write it with the processor that makes it"
        yield from _check(pipeline, check, f"{at}.checks[{c}]", phases)
        for processor in phase.processors:
            yield from _order(pipeline, phase, processor, check, f"{at}.checks[{c}]", phases)
    for i, processor in enumerate(phase.processors):
        where = f"{at}.processors[{i}]"
        for c, check in enumerate(processor.checks):
            if isinstance(check, JsonSchemaCheck):
                if not isinstance(processor.output, ObjectOutput):
                    yield f"{where}.checks[{c}]", "'json_schema' reads an object, and this processor writes none"
            elif not isinstance(processor.output, TableOutput):
                yield f"{where}.checks[{c}]", f"'{check.check}' reads a table, and this processor writes none"
            else:
                yield from _check(pipeline, check, f"{where}.checks[{c}]", phases)
                yield from _order(pipeline, phase, processor, check, f"{where}.checks[{c}]", phases)
        yield from _names(phase, processor, where)


def _names(phase: Phase, processor: Processor, at: str) -> Iterator[Problem]:
    """A name must tell one check of a processor from the others."""
    own = [check for check in phase.checks_of(processor) if check.name is not None]
    for check in own:
        if check.name in KINDS and check.name != check.check:
            yield f"{at}.checks", f"the name '{check.name}' is a kind of check; choose another"
        if check.name in OWN_CHECKS:
            yield f"{at}.checks", f"the name '{check.name}' is a verdict of Phasegate's own; choose another"
    names = [name_of(check) for check in own]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{at}.checks", f"the name '{name}' is used twice"


def _check(pipeline: Pipeline, check: Check, at: str, phases: Sequence[str]) -> Iterator[Problem]:
    if isinstance(check, RowsCheck):
        yield from _rows(pipeline, check, at)
    elif isinstance(check, EntitiesCheck):
        if (check.calendar is None) == (check.processor is None):
            yield at, "give either `calendar` (an entity list) or `processor` (whose keys are expected)"
        elif check.processor is not None:
            yield from _other_table(pipeline, check.processor, at, phases)
        elif check.calendar not in pipeline.calendar.entities:
            known = pipeline.calendar.entities
            yield f"{at}.calendar", f"unknown entity list '{check.calendar}'{did_you_mean(check.calendar or '', known)}"
    elif isinstance(check, CoverageCheck):
        yield from _other_table(pipeline, check.processor, at, phases)
    elif isinstance(check, RangeCheck):
        if check.min is None and check.max is None:
            yield at, "give `min`, `max` or both"
        elif check.min is not None and check.max is not None and check.min > check.max:
            yield at, f"min {check.min:g} is above max {check.max:g}"


def _order(
    pipeline: Pipeline, phase: Phase, processor: Processor, check: Check, at: str, phases: Sequence[str]
) -> Iterator[Problem]:
    """Compared with a table that is still being written, half of a table looks like all of it."""
    name = check.processor if isinstance(check, EntitiesCheck | CoverageCheck) else None
    if name is None or not isinstance(processor.output, TableOutput):
        return
    try:
        other = pipeline.resolve(name, phases)
    except LookupError:
        return
    if not is_judged_after(pipeline, phase.name, processor.name, other):
        remedy = "let it be needed (`needs`)" if other[0] == phase.name else f"add a gate on {other[0]}"
        yield f"{at}.processor", f"'{processor.name}' may be judged before '{name}' has ended; {remedy}"


def _rows(pipeline: Pipeline, check: RowsCheck, at: str) -> Iterator[Problem]:
    if (check.exactly is None) == (check.at_least is None):
        yield at, "give either `exactly` or `at_least`"
        return
    try:
        unknown = names_in(check.expression) - set(pipeline.calendar.numbers)
    except ArithmeticProblem as error:
        yield at, str(error)
    else:
        for name in sorted(unknown):
            yield at, f"unknown number '{name}'{did_you_mean(name, pipeline.calendar.numbers)}"


def _other_table(pipeline: Pipeline, name: str, at: str, phases: Sequence[str]) -> Iterator[Problem]:
    try:
        found = pipeline.resolve(name, phases)
    except LookupError as error:
        yield f"{at}.processor", str(error)
    else:
        other = next(x for x in pipeline.phase(found[0]).processors if x.name == found[1])
        if not isinstance(other.output, TableOutput):
            yield f"{at}.processor", f"'{name}' writes no table"


def known_problems(pipeline: Pipeline) -> Iterator[Problem]:
    """Find (path, sentence) for what is wrong with the known exceptions of a pipeline."""
    for k, known in enumerate(pipeline.known):
        at = f"known[{k}]"
        if len(set(known.dates)) < len(known.dates):
            yield f"{at}.dates", "a date stands there twice"
        try:
            phase, name = pipeline.resolve(known.processor, pipeline.phase_names)
        except LookupError as error:
            yield f"{at}.processor", str(error)
            continue
        checked = pipeline.phase(phase).checks_of(pipeline.processor(f"{phase}/{name}"))
        names = [*(name_of(check) for check in checked), UNRECOVERABLE]
        if known.check not in names:
            hint = did_you_mean(known.check, names)
            yield f"{at}.check", f"nothing of '{known.processor}' is checked by '{known.check}'{hint}"
