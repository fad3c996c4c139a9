"""A sweep as one file of HTML for a colleague: it needs no other file, no script and no network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def html_page(content: Mapping[str, Any]) -> str:
    """Return the page; all text of the content is shown as it is, whatever is in it."""
    from jinja2 import Environment, StrictUndefined

    template = Path(__file__).with_name("page.html").read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.from_string(template).render(content)
