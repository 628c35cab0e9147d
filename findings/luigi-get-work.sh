#!/usr/bin/env bash
# Luigi's local scheduler: how many tasks it looks at in one build.
#
# Expected: a task that is done costs the scheduler nothing more, so that a build looks about as often at each of its tasks whether
#   it has a hundred of them or four hundred. (The documentation says that Luigi is "not meant to scale beyond tens of thousands" of
#   jobs, and not why. That a request costs in proportion to the tasks that are *pending* is known: github.com/spotify/luigi/issues/1750.)
# Behaviour: whenever it is asked for the next task it looks at every task of the build, also at those that are done, to see which it
#   may forget, so that this work grows with the square of the build's tasks. The same tasks in several builds, one after another,
#   are looked at less often in proportion to the number of builds.
#
# Seen on 2026-11-30, Python 3.11, Linux x86_64, luigi 3.8.1, one worker, tasks that need no other:
#   one build of 100 tasks: asked 101 times, looked 10,100 times at a task
#   one build of 200 tasks: asked 201 times, looked 40,200 times at a task
#   one build of 400 tasks: asked 401 times, looked 160,400 times at a task
#   four builds of 100 tasks: asked 404 times, looked 40,400 times at a task
#
# Exit status: 0 when it is still so, 1 when it has changed, 2 when the package could not be installed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat >"$folder/ask.py" <<'PY'
import logging
from collections import Counter

import luigi
from luigi.scheduler import Scheduler, SimpleTaskState

logging.disable(logging.CRITICAL)
calls = Counter()


def counted(owner, name):
    """Count the calls of a public method."""
    method = getattr(owner, name)

    def call(*arguments, **more):
        calls[name] += 1
        return method(*arguments, **more)

    setattr(owner, name, call)


class Idle(luigi.Task):
    build = luigi.Parameter()
    number = luigi.IntParameter()
    done = False

    def complete(self):
        return self.done

    def run(self):
        self.done = True


counted(Scheduler, "get_work")
counted(SimpleTaskState, "may_prune")  # called for one task, at each look
for name, builds, tasks in (("one build", 1, 100), ("one build", 1, 200), ("one build", 1, 400), ("four builds", 4, 100)):
    calls.clear()
    for build in range(builds):
        mine = [Idle(build=f"{name} {tasks} {build}", number=number) for number in range(tasks)]
        assert luigi.build(mine, local_scheduler=True, workers=1) and all(task.done for task in mine)
    print(f"{name} of {tasks} tasks: asked {calls['get_work']} times, looked {calls['may_prune']:,} times at a task")
PY

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "luigi==3.8.1" || exit 2
"$folder/venv/bin/python" "$folder/ask.py" | tee "$folder/seen"

diff - "$folder/seen" <<'SEEN' || { echo "changed: mend the comments above, and what was built on them" >&2; exit 1; }
one build of 100 tasks: asked 101 times, looked 10,100 times at a task
one build of 200 tasks: asked 201 times, looked 40,200 times at a task
one build of 400 tasks: asked 401 times, looked 160,400 times at a task
four builds of 100 tasks: asked 404 times, looked 40,400 times at a task
SEEN
echo "as on 2026-11-30"
