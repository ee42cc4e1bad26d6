"""The results as a chart to look at: one SVG, bars of CPU per message and messages per second."""

from xml.sax.saxutils import escape

from table import NAMES

WORKS = ("accept", "relay", "maildir")
PANELS = (("CPU, ms per message (less is better)", "cpu_ms_per_message", "{:.3f}"),
          ("messages per second (more is better)", "messages_per_second", "{:,.0f}"))
COLOURS = {"postrider": "#1b6ca8", "sink": "#c9c9c9", "keeper": "#c9c9c9", "smtp-sink": "#c9c9c9"}
OTHER = "#9aa5b1"

BAR, GAP, LEFT, WIDTH, PANEL = 18, 6, 110, 320, 520


def text(x, y, words, **more):
    attributes = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in more.items())
    return f'<text x="{x:.0f}" y="{y:.0f}"{attributes}>{escape(words)}</text>'


def bars(left, top, values, form):
    """One bar for each server; all lengths to one scale."""
    longest = max(values.values())
    out = []
    for number, (server, value) in enumerate(values.items()):
        y = top + number * (BAR + GAP)
        length = WIDTH * value / longest if longest else 0
        out.append(text(left + LEFT - 8, y + BAR - 5, NAMES[server], text_anchor="end"))
        out.append(f'<rect x="{left + LEFT}" y="{y}" width="{max(length, 1):.1f}" height="{BAR}" '
                   f'fill="{COLOURS.get(server, OTHER)}"/>')
        out.append(text(left + LEFT + length + 6, y + BAR - 5, form.format(value)))
    return out


def chart(results):
    """The SVG's text."""
    out, y = [], 30
    for work in WORKS:
        if work not in results.runs:
            continue
        height = 0
        for number, (title, key, form) in enumerate(PANELS):
            values = {server: results.median(work, server, key) for server in results.runs[work]}
            values = {server: value for server, value in values.items() if value is not None}
            left = number * PANEL
            out.append(text(left + 10, y, f"{work}: {title}", font_weight="bold"))
            out += bars(left, y + 12, values, form)
            height = max(height, len(values) * (BAR + GAP))
        y += height + 50
    about = results.about
    out.append(text(10, y, f"{about['date']}, {about['machine']['cores']} cores, "
                           f"{about['machine']['file_system']}, {about['machine']['kernel']}"))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * PANEL + 40}" height="{y + 20}" '
            'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
            + "\n".join(out) + "</svg>\n")
