"""The pages of the reference are those that today's code makes; links lead somewhere."""

import re
import runpy
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
DOCS = CHECKOUT / "docs"
PAGES = runpy.run_path(str(DOCS / "make_reference.py"))["PAGES"]
PLACES = [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_of_the_reference_is_current(page: str) -> None:
    shown = (DOCS / page).read_text("utf-8")
    assert shown == PAGES[page](), "python docs/make_reference.py writes it anew"


@pytest.mark.parametrize("page", PLACES, ids=lambda path: path.name)
def test_links_lead_to_files_and_headings_that_are_there(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        name, _, heading = link.partition("#")
        if re.match(r"\w+:", link):
            continue
        target = (page.parent / name) if name else page
        assert target.exists(), link
        if heading:
            titles = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.MULTILINE)
            anchors = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]
            assert heading in anchors, link
