"""The corpus of URLs that must lead nowhere."""

from pathlib import Path


def forbidden_urls() -> list[str]:
    """The rows of forbidden_urls.txt, with its escapes resolved."""
    return [
        row.split("  # ")[0].strip().encode().decode("unicode_escape")
        for row in Path(__file__).with_suffix(".txt").read_text().splitlines()
        if row and not row.startswith("#")
    ]
