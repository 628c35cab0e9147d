#!/usr/bin/env bash
# SQLite (Python package apsw, which brings its own): processes that switch a new file to the write-ahead log at the same moment.
#
# Expected: a connection with a busy timeout waits for another one's lock; PRAGMA journal_mode = WAL takes milliseconds, so that
#   with ten seconds of patience each of three processes has the log in the end.
# Behaviour: some are refused at once ("database is locked"), without any wait: where each of two has read the file and wants it
#   alone, SQLite does not call the busy handler. A file that others may open at that moment is best made by one process at a time.
#
# Seen on 2026-11-30, Python 3.11, Linux x86_64, apsw 3.54.1.0, 1,500 new files, three processes each:
#   refused: some | waited a second or more: none
#
# Exit status: 0 when it is still so, 1 when it has changed, 2 when the package could not be installed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "apsw==3.54.1.0" || exit 2

cat >"$folder/ask.py" <<'PY'
import multiprocessing
import tempfile
import time
from pathlib import Path

import apsw

FILES, PROCESSES = 1500, 3


def switch(folder, barrier, refused):
    for number in range(FILES):
        connection = apsw.Connection(str(Path(folder, str(number))))
        connection.set_busy_timeout(10_000)
        barrier.wait()
        begun = time.monotonic()
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
        except apsw.BusyError:
            refused.append(time.monotonic() - begun)
        barrier.wait()
        connection.close()


with tempfile.TemporaryDirectory() as folder, multiprocessing.Manager() as manager:
    barrier, refused = multiprocessing.Barrier(PROCESSES), manager.list()
    processes = [multiprocessing.Process(target=switch, args=(folder, barrier, refused)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    waited = [seconds for seconds in refused if seconds >= 1]
    print(f"refused: {'some' if refused else 'none'} | waited a second or more: {'some' if waited else 'none'}")
PY

"$folder/venv/bin/python" "$folder/ask.py" | tee "$folder/seen"

diff - "$folder/seen" <<'SEEN' || { echo "changed: mend the comments above, and what was built on them" >&2; exit 1; }
refused: some | waited a second or more: none
SEEN
echo "as on 2026-11-30"
