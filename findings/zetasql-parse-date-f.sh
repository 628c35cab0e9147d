#!/usr/bin/env bash
# ZetaSQL as WebAssembly (Python package zetasql): PARSE_DATE with %F.
#
# Expected: %F is read as %Y-%m-%d, as Google's page on format elements lists it, and as FORMAT_DATE writes it
#   (https://cloud.google.com/bigquery/docs/reference/standard-sql/format-elements#format_elements_date_time).
# Behaviour: a date in that form is an error; FORMAT_DATE knows the element. Whoever judges a dialect by this engine has
#   to judge this by the page.
#
# Seen on 2026-11-30, Python 3.11, Linux x86_64, zetasql 0.1.5: the lines at the end of this file. It takes a minute or
#   two: the engine is compiled first.
#
# Exit status: 0 when it is still so, 1 when it has changed, 2 when the packages could not be installed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "zetasql==0.1.5" || exit 2

cat >"$folder/ask.py" <<'PY'
from zetasql.api import CatalogBuilder
from zetasql.api.prepared_query import PreparedQuery
from zetasql.types import AnalyzerOptions, LanguageOptions, ZetaSQLBuiltinFunctionOptions

language = LanguageOptions.maximum_features()
functions = ZetaSQLBuiltinFunctionOptions(language_options=language)
catalog = CatalogBuilder("asked").with_builtin_functions(functions).build()
options = AnalyzerOptions(language_options=language, default_timezone="UTC")

for asked in (
    "CAST(PARSE_DATE('%Y-%m-%d', '2024-02-29') AS STRING)",
    "CAST(PARSE_DATE('%F', '2024-02-29') AS STRING)",
    "FORMAT_DATE('%F', DATE '2024-02-29')",
):
    builder = PreparedQuery.builder().set_sql(f"SELECT {asked}").set_analyzer_options(options)
    with builder.set_catalog(catalog).prepare() as query:
        try:
            cell = query.execute().content.table_data.row[0].cell[0]
            print(f"{asked}: '{cell.string_value}'")
        except Exception as error:
            print(f"{asked}: {str(error).splitlines()[0]}")
PY

"$folder/venv/bin/python" "$folder/ask.py" | tee "$folder/seen"

diff - "$folder/seen" <<'SEEN' || { echo "changed: mend the comments above, and what was built on them" >&2; exit 1; }
CAST(PARSE_DATE('%Y-%m-%d', '2024-02-29') AS STRING): '2024-02-29'
CAST(PARSE_DATE('%F', '2024-02-29') AS STRING): [OUT_OF_RANGE] Failed to parse input string "2024-02-29"
FORMAT_DATE('%F', DATE '2024-02-29'): '2024-02-29'
SEEN
echo "as on 2026-11-30"
