"""What the dispatcher writes is what the runner reads."""

from datetime import date

import pytest

from phasegate.domain.messages.tasks import TaskPayload, write_payload
from phasegate.domain.state.facts import AttemptKey, Inputs


@pytest.mark.parametrize("inputs", [(), (("fetch/a", 1), ("fetch/b", 3))], ids=["no inputs", "inputs"])
def test_a_payload_is_the_text_of_the_model_that_reads_it(inputs: Inputs) -> None:
    text = write_payload("run-1", AttemptKey(date(2024, 1, 5), "raw", "a", 2), 3, inputs, 4)
    model = TaskPayload(
        run_id="run-1",
        date=date(2024, 1, 5),
        phase="raw",
        processor="a",
        attempt=2,
        generation=3,
        inputs=dict(inputs),
        epoch=4,
    )
    assert text == model.model_dump_json()
    assert TaskPayload.model_validate_json(text) == model
