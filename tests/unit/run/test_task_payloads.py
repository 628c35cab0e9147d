"""What the dispatcher writes is what the runner reads."""

from datetime import date, timedelta

import pytest
from pydantic import ValidationError

from phasegate.domain.messages.tasks import BatchPayload, QueuedAttempt, TaskPayload, payload_model, write_payload
from phasegate.domain.state.facts import AttemptKey, Inputs

DAY = date(2024, 1, 5)
INPUTS = pytest.mark.parametrize("inputs", [(), (("fetch/a", 1), ("fetch/b", 3))], ids=["no inputs", "inputs"])


def queued(days: int, inputs: Inputs, processor: str = "a") -> list[QueuedAttempt]:
    """Second attempts of one processor on consecutive days."""
    return [QueuedAttempt(AttemptKey(DAY + timedelta(days=n), "raw", processor, 2), 3, inputs) for n in range(days)]


def alone(day: date, inputs: Inputs) -> TaskPayload:
    """The payload of such an attempt that travels alone."""
    return TaskPayload(
        run_id="run-1", date=day, phase="raw", processor="a", attempt=2, generation=3, inputs=dict(inputs), epoch=4
    )


@INPUTS
def test_a_payload_is_the_text_of_the_model_that_reads_it(inputs: Inputs) -> None:
    text, model = write_payload("run-1", queued(1, inputs), 4), alone(DAY, inputs)
    assert text == model.model_dump_json()
    assert payload_model(text) is TaskPayload
    assert TaskPayload.model_validate_json(text) == model
    assert model.queued == tuple(queued(1, inputs))


@INPUTS
def test_the_payload_of_a_batch_is_the_text_of_the_model_that_reads_it(inputs: Inputs) -> None:
    text = write_payload("run-1", queued(3, inputs), 4)
    assert payload_model(text) is BatchPayload
    model = BatchPayload.model_validate_json(text)
    assert text == model.model_dump_json()
    assert model.queued == tuple(queued(3, inputs))


def test_a_processor_that_is_called_attempts_is_no_batch() -> None:
    assert payload_model(write_payload("run-1", queued(1, (("fetch/attempts", 1),), "attempts"), 4)) is TaskPayload


@pytest.mark.parametrize("order", [[1, 0], [0, 0]], ids=["backwards", "twice"])
def test_a_batch_whose_dates_are_not_in_order_each_once_is_refused(order: list[int]) -> None:
    both = queued(2, ())
    with pytest.raises(ValidationError, match="each date stands once, in order"):
        BatchPayload.model_validate_json(write_payload("run-1", [both[n] for n in order], 4))
