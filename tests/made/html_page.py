"""A page as its tests read it."""

import json
from html.parser import HTMLParser

from runner.report.html import script

VOID = {"meta", "link", "br", "img", "hr", "input", "wbr"}


class Page(HTMLParser):
    """Collects every tag and the text, and checks that tags are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        else:
            self.text += data

    def runs_its_own_script_alone(self) -> bool:
        """Whether the page has its own script, whole, and else only JSON that is one text each."""
        (own,) = [text for text in self.scripts if text == script()]
        others = [text for text in self.scripts if text != own]
        for text in others:
            json.loads(text)
        kinds = [given.get("type") for tag, given in self.tags if tag == "script"]
        return sorted(map(str, kinds)) == ["None", *["application/json"] * len(others)]
