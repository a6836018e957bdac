"""Takes curves out of a run's report.html into one SVG, for docs/tutorial_report.md.

    python3 docs/report_charts.py runs/dino/report.html docs/report_dino.svg "loss" "teacher entropy"
"""

import re
import sys

COLUMNS, WIDTH, HEIGHT, TITLE, GAP = 2, 640, 260, 34, 16
STYLE = """
svg { --page:#f6f7f9; --card:#fff; --text:#1c2330; --muted:#6b7484; --grid:#e4e7ec; --line:#2563eb; }
@media (prefers-color-scheme: dark) { svg { --page:#12151b; --card:#1b2029; --text:#e6e9ef;
  --muted:#98a1b0; --grid:#2c333f; --line:#6ea8fe; } }
text { fill:var(--muted); font:13px system-ui,sans-serif; }
.title { fill:var(--text); font-size:18px; font-weight:600; }
"""


def curves(html):
    """Title → what is drawn, without the strips that show values on hovering."""
    found = re.findall(r"<h3>(.*?)</h3><svg[^>]*>(.*?)</svg>", html, re.S)
    return {title: re.sub(r'<g class="hit">.*?</g>', "", svg, flags=re.S) for title, svg in found}


def cell(index, title, svg):
    x = GAP + index % COLUMNS * (WIDTH + GAP)
    y = GAP + index // COLUMNS * (HEIGHT + TITLE + GAP)
    return (f'<g transform="translate({x} {y})"><rect width="{WIDTH}" height="{HEIGHT + TITLE}" '
            f'rx="10" fill="var(--card)"/><text class="title" x="16" y="25">{title}</text>'
            f'<g transform="translate(0 {TITLE})">{svg}</g></g>')


def main(report, out, titles):
    with open(report, encoding="utf-8") as file:
        found = curves(file.read())
    rows = -(-len(titles) // COLUMNS)
    width, height = GAP + COLUMNS * (WIDTH + GAP), GAP + rows * (HEIGHT + TITLE + GAP)
    cells = [cell(i, title, found[title]) for i, title in enumerate(titles)]
    with open(out, "w", encoding="utf-8") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">'
                   f'<style>{STYLE}</style><rect width="{width}" height="{height}" rx="12" '
                   f'fill="var(--page)"/>\n' + "\n".join(cells) + "</svg>\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
