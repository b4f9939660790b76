"""Every setting is explained, and the processes of the Procfile exist."""

import re

from core.config import Config
from tests.house import tree

EXAMPLE = re.compile(r"# (?P<sentence>.*\.)\n(?P<name>[A-Z0-9_]+)=", re.MULTILINE)


def test_every_setting_is_explained() -> None:
    text = (tree.ROOT / ".env.example").read_text()
    explained = {match["name"] for match in EXAMPLE.finditer(text)}
    settings = {name.upper() for name in Config.model_fields}
    assert explained == settings, (
        f"explain {settings - explained} in .env.example, with one sentence above each;"
        f" drop {explained - settings}"
    )
