"""The schedule of a run is read again in one query, and of a cancelled run not at all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phasegate.adapters.embedded.schedule_file import ScheduleFile
from phasegate.domain.errors import TransientError
from phasegate.domain.plan import Plan
from phasegate.domain.state.run import Run
from phasegate.services.operating.operators import cancel
from phasegate.services.reading.schedule import Query
from phasegate.services.reading.schedule_changes import schedule_news
from tests.world import World, write_source


def test_one_query_tells_what_changed_and_a_cancelled_run_asks_none(tmp_path: Path) -> None:
    world, asked = World(tmp_path, dates=4), list[str]()
    with world.open() as embedded:
        world.begin(embedded)
        write_source(world.source, dict.fromkeys(world.days[:3], 2))

        def query_of(run: Run, plan: Plan) -> Query:
            assert run.source == str(world.source)
            file = ScheduleFile(world.source, plan.pipeline.calendar)

            def query(sql: str) -> list[Mapping[str, Any]]:
                asked.append(sql)
                return file.query(sql)

            return query

        news = schedule_news(embedded.state, "r", query_of, world.clock.now())
        assert (news.changes.lost, news.unread, len(asked)) == ((world.days[3],), "", 1)
        cancel(embedded.state, "r")
        assert not schedule_news(embedded.state, "r", query_of, world.clock.now()).changes
        assert len(asked) == 1


def test_a_warehouse_that_does_not_answer_is_told_in_one_line(tmp_path: Path) -> None:
    world = World(tmp_path, dates=2)

    def silent(_run: Run, _plan: Plan) -> Query:
        raise TransientError("BigQuery does not answer\n(503)")

    with world.open() as embedded:
        world.begin(embedded)
        news = schedule_news(embedded.state, "r", silent, world.clock.now())
    assert (news.unread, bool(news.changes)) == ("BigQuery does not answer (503)", False)
