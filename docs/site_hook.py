"""What MkDocs is told beside mkdocs.yml: pages link to sources, which the site has no copies of."""

import re
from typing import Any


def on_page_markdown(markdown: str, **_: Any) -> str:  # noqa: ANN401  (MkDocs hands over its objects)
    """Keep the text of a link that leads out of the pages."""
    return re.sub(r"\[([^\]]+)\]\(\.\./[^)]*\)", r"\1", markdown)
