"""The page for people: no network, everything escaped, readable by all."""

import html
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from phasegate.report.verify.document.report import Report
from phasegate.report.verify.page import html_of, markdown_of
from tests.no_skips import lacking
from tests.report.verifying import Finished

WORDS = "<script>alert('x')</script> & <img src=https://example.org/x>"
AXE = Path(sys.prefix) / "axe" / "node_modules" / "axe-core" / "axe.min.js"
"""Where `make axe` puts it."""

QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")
"""A browser that asks nobody for anything."""


@pytest.fixture
def spoiled(home: Finished) -> Report:
    """A report with something in every part."""
    home.write("DELETE FROM raw.a WHERE d = ?", home.days[3])
    home.write("INSERT INTO raw.b SELECT * FROM raw.b WHERE d = ? LIMIT 1", home.days[4])
    home.write("UPDATE shape.left_side SET v = NULL, _fence = 0 WHERE d = ? AND k = 'T0'", home.days[6])
    home.write("UPDATE ref.history SET status = 'failed', error_class = 'bug', message = ? WHERE data_date = ?",
               WORDS, home.days[1])  # fmt: skip
    return home.verify().report


def test_the_page_needs_no_network_and_runs_nothing(spoiled: Report) -> None:
    page = html_of(spoiled)
    assert "<script" not in page and "http" not in page.replace("http-equiv", "").replace("https://example.org/x", "")
    assert not re.search(r"\b(src|href)=(?!\"#)", page.replace("src=https://example.org/x", ""))
    assert "url(" not in page and "@import" not in page
    assert "default-src 'none'" in page


def test_markup_in_a_message_is_shown_as_it_is_and_never_read(spoiled: Report) -> None:
    assert any(WORDS in failure.example for failure in spoiled.failures)
    for text in (html_of(spoiled), markdown_of(spoiled)):
        assert "<script>" not in text and "<img" not in text
        assert "&lt;img src=https://example.org/x&gt;" in text


def test_a_bar_in_a_message_does_not_end_a_cell_of_the_markdown(home: Finished) -> None:
    home.write("UPDATE ref.history SET status = 'failed', message = 'a | b' WHERE data_date = ?", home.days[1])
    (line, *_) = [line for line in markdown_of(home.verify().report).splitlines() if "a \\| b" in line]
    assert len(re.findall(r"(?<!\\)\|", line)) == 7


def test_every_query_that_a_number_names_has_its_place_on_the_page(spoiled: Report) -> None:
    page = html_of(spoiled)
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(re.findall(r'id="([^"]+)"', page))


def test_a_run_in_which_everything_is_missing_makes_a_page_under_a_megabyte(home: Finished) -> None:
    made = home.verify().report
    finding = {"kind": "missing", "date": home.days[0], "phase": "raw", "processor": "a", "table": "raw.a",
               "detail": "x" * 5_000, "expected": None, "found": 0, "query": "rows.raw.a"}  # fmt: skip
    many = [finding] * 40_000
    large = Report.model_validate({**made.model_dump(), "findings": many, "findings_total": len(many)})
    assert len(html_of(large).encode()) < 1_000_000
    assert "the first 200; the JSON has all 40,000" in html_of(large)


# In a browser


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip(lacking("chromium", "apt-get install chromium (Debian)"))
    return found


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core's script."""
    if not AXE.exists():
        pytest.skip(lacking("axe-core", "make axe"))
    return AXE.read_text()


def seen(chromium: str, folder: Path, page: str) -> Any:
    """Open a page that writes JSON into its title; what it wrote."""
    (folder / "page.html").write_text(page)
    done = subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", *QUIET, f"--user-data-dir={folder}/profile",
         "--window-size=1280,1000", "--virtual-time-budget=20000", "--dump-dom", f"file://{folder}/page.html"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )  # fmt: skip
    found = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
    assert found, done.stderr[-500:]
    return json.loads(html.unescape(found[1]))


def test_axe_finds_no_serious_fault(chromium: str, axe: str, spoiled: Report, tmp_path: Path) -> None:
    run = (
        "document.querySelectorAll('details').forEach(d => d.open = true);"
        "axe.run().then(r => document.title = JSON.stringify(r.violations.map(v => [v.impact, v.id, "
        "v.nodes.slice(0, 2).map(n => n.html)])))"
    )
    page = re.sub(r"<meta http-equiv[^>]*>", "", html_of(spoiled))
    found = seen(chromium, tmp_path, page.replace("</body>", f"<script>{axe}</script><script>{run}</script></body>"))
    assert [each for each in found if each[0] in ("serious", "critical")] == []


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_wider_than_the_window(chromium: str, spoiled: Report, tmp_path: Path, width: int) -> None:
    frame = f'<iframe id="f" width="{width}" height="900" srcdoc="{html.escape(html_of(spoiled))}"></iframe>'
    ask = "f.onload = () => document.title = JSON.stringify(f.contentDocument.documentElement.scrollWidth)"
    page = f"<title>null</title>{frame}<script>const f = document.getElementById('f'); {ask}</script>"
    assert seen(chromium, tmp_path, page) <= width
