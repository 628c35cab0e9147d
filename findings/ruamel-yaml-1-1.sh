#!/usr/bin/env bash
# ruamel.yaml (pure Python) asked for YAML 1.1, beside PyYAML, which reads YAML 1.1.
#
# Expected: both read the same scalars from a file that begins with `%YAML 1.1`.
# Behaviour: ruamel.yaml takes a plain `y` or `n` for a truth value, and `1234e56` (no dot, no sign: a code version, say) for
#   a number; PyYAML takes all of them for texts. Without the directive ruamel.yaml reads YAML 1.2, where `on` is a
#   text and `010` is ten.
# So a file that PyYAML read may change its meaning, whichever version ruamel.yaml is asked for. Of the number it warns
#   (on standard error, in the 1.1 reading alone); of the rest it says nothing.
#
# Seen on 2026-11-28, Python 3.11, Linux x86_64, ruamel.yaml 0.19.1, PyYAML 6.0.3:
#   PyYAML            y='y' on=True octal=8 version='1234e56'
#   ruamel.yaml 1.1   y=True on=True octal=8 version=1.234e+59
#   ruamel.yaml 1.2   y='y' on='on' octal=10 version=1.234e+59
#
# Exit status: 0 when it is still so, 1 when it has changed, 2 when the packages could not be installed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat >"$folder/ask.py" <<'PY'
import yaml
from ruamel.yaml import YAML

TEXT = "y: y\nswitch: on\noctal: 010\nversion: 1234e56\n"


def show(name, document):
    first, switch, octal, version = document.values()
    print(f"{name:<17} y={first!r} on={switch!r} octal={octal!r} version={version!r}")


show("PyYAML", yaml.safe_load(TEXT))
show("ruamel.yaml 1.1", YAML(typ="safe", pure=True).load("%YAML 1.1\n---\n" + TEXT))
show("ruamel.yaml 1.2", YAML(typ="safe", pure=True).load(TEXT))
PY

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check ruamel.yaml==0.19.1 PyYAML==6.0.3 || exit 2
"$folder/venv/bin/python" "$folder/ask.py" | tee "$folder/seen"

diff - "$folder/seen" <<'SEEN' || { echo "changed: mend the comments above, and what was built on them" >&2; exit 1; }
PyYAML            y='y' on=True octal=8 version='1234e56'
ruamel.yaml 1.1   y=True on=True octal=8 version=1.234e+59
ruamel.yaml 1.2   y='y' on='on' octal=10 version=1.234e+59
SEEN
echo "as on 2026-11-28"
