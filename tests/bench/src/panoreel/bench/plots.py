"""Plots as SVG, by pure functions: bars of a few figures, a line through many."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from panoreel.bench.targets import Results

WIDTH: Final = 640
ROW: Final = 26
LABEL_WIDTH: Final = 130
HEAD: Final = 34
COLOURS: Final = {"ours": "#15c"}
OTHER: Final = "#9aa7b5"


def plots(results: Results) -> dict[str, str]:
    """The plots that the results allow, by name."""
    found: dict[str, str] = {}
    for page, ways in results.get("capture", {}).items():
        cores = {way: figures["cores"] for way, figures in _ways(ways).items()}
        found[f"cores-{page}"] = bars(f"Cores used, page “{page}”: less is better", cores)
        rates = {way: figures["fps"] for way, figures in _ways(ways).items() if figures["fps"] is not None}
        if page != "slides":
            found[f"frames-{page}"] = bars(f"New pictures a second, page “{page}”: 30 is all", rates)
    if samples := results.get("memory", {}).get("samples"):
        minutes = [(time_s / 60, size) for time_s, size in samples]
        found["memory"] = line("Memory of a recording (PSS, MB) by minutes", minutes)
    return found


def bars(title: str, values: Mapping[str, float]) -> str:
    """A horizontal bar for each value."""
    longest = max(values.values(), default=0) or 1
    parts = []
    for number, (name, value) in enumerate(values.items()):
        y = HEAD + ROW * number
        length = (WIDTH - LABEL_WIDTH - 70) * value / longest
        parts += [
            f'<text x="{LABEL_WIDTH - 8}" y="{y + 15}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{LABEL_WIDTH}" y="{y}" width="{length:.1f}" height="{ROW - 6}" '
            f'fill="{COLOURS.get(name, OTHER)}"/>',
            f'<text x="{LABEL_WIDTH + length + 6:.1f}" y="{y + 15}">{value:.2f}</text>',
        ]
    return _svg(title, HEAD + ROW * len(values) + 8, parts)


def line(title: str, points: Sequence[tuple[float, float]]) -> str:
    """A line through points, above 0."""
    height, left, below = 240, 50, 30
    last = max(x for x, _ in points) or 1
    top = 1.1 * max(y for _, y in points) or 1

    def place(x: float, y: float) -> str:
        return (
            f"{left + (WIDTH - left - 20) * x / last:.1f},"
            f"{HEAD + (height - HEAD - below) * (1 - y / top):.1f}"
        )

    path = " ".join(place(x, y) for x, y in points)
    (x0, y0), (x1, _) = (place(x, 0).split(",") for x in (0, last))
    parts = [
        f'<path d="M{place(0, top)} L{x0},{y0} L{x1},{y0}" fill="none" stroke="{OTHER}"/>',
        f'<polyline points="{path}" fill="none" stroke="{COLOURS["ours"]}" stroke-width="2"/>',
        f'<text x="{left - 6}" y="{HEAD + 10}" text-anchor="end">{top:.0f}</text>',
        f'<text x="{left - 6}" y="{y0}" text-anchor="end">0</text>',
        f'<text x="{x1}" y="{height - 8}" text-anchor="end">{last:.1f}</text>',
    ]
    return _svg(title, height, parts)


def _ways(figures: Results) -> dict[str, Results]:
    return {name: way for name, way in figures.items() if isinstance(way, Mapping) and "cores" in way}


def _svg(title: str, height: int, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        f'font-size="13"><rect width="100%" height="100%" fill="#fff"/>'
        f'<text x="10" y="20" font-weight="bold">{escape(title)}</text>'
    )
    return "\n".join([head, *parts, "</svg>"]) + "\n"
