"""A page as a browser reads it."""

import json
from html.parser import HTMLParser
from typing import Any


class Page(HTMLParser):
    """A page's elements, its text, and what its script reads."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.site: Any = None
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if (
            self.tags
            and self.tags[-1] == ("script", {"type": "application/json", "id": "site"})
            and data.startswith("{")
        ):
            self.site = json.loads(data)
        else:
            self.text += data
