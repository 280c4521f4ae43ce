"""The pictures of the report: drawn on white, so that they are read on any page."""

import statistics

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.ticker import FuncFormatter  # noqa: E402

INK, FAINT = "#24292f", "#d0d7de"
COLOURS = {
    "tidegate": "#0969da",
    "native": "#57606a",
    "raw": "#8c959f",
    "dlt": "#bf8700",
    "airbyte": "#8250df",
    "singer": "#1a7f37",
    "sling": "#bc4c00",
}
MARKS = {"jsonl.zst": "o", "jsonl.gz": "s", "parquet": "^", "put": "x"}
STYLE = {
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    # Text stays text.
    "svg.fonttype": "none",
    "font.family": ["DejaVu Sans", "sans-serif"],
    # Two runs of the same figures draw the same file.
    "svg.hashsalt": "tidegate",
}


def colour(name):
    return COLOURS[name.split()[0].strip(",")]


def draw(results, folder):
    """Draws what there are figures for; {scenario: (file, what it shows)}."""
    folder.mkdir(exist_ok=True)
    pictures = {}
    with plt.rc_context(STYLE):
        for scenario, name, title, plot in PICTURES:
            if not results.get(scenario):
                continue
            figure = plot(results[scenario], title)
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None}, bbox_inches="tight")
            plt.close(figure)
            pictures[scenario] = (f"{folder.name}/{name}.svg", title)
    return pictures


def medians(figures, of):
    """{contestant: median}, in the order of the contestants."""
    values = {}
    for figure in figures:
        values.setdefault(figure["contestant"], []).append(of(figure))
    return {name: statistics.median(every) for name, every in values.items()}


def bars(title, values, form, log=False):
    figure, axes = plt.subplots(figsize=(8.5, 0.34 * len(values) + 0.9))
    names = list(values)
    axes.barh(names, list(values.values()), color=[colour(name) for name in names], height=0.66)
    axes.invert_yaxis()
    if log:
        axes.set_xscale("log")
        # A logarithm has no zero for bars to start from.
        axes.set_xlim(left=min(values.values()) / 3)
    for at, value in enumerate(values.values()):
        axes.annotate(form(value), (value, at), xytext=(4, 0), textcoords="offset points", va="center", fontsize=9)
    axes.set_title(title, loc="left", fontsize=11)
    axes.grid(axis="x", color=FAINT, linewidth=0.6)
    axes.tick_params(length=0)
    axes.margins(x=0.14)
    return figure, axes


def cpu(figures, title):
    values = medians(figures, lambda figure: figure["records"] / figure["cpu_seconds"])
    figure, axes = bars(title, dict(sorted(values.items(), key=lambda pair: -pair[1])), "{:,.0f}".format, log=True)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    return figure


def walls(figures, title):
    values = medians(figures, lambda figure: figure["seconds"])
    figure, axes = bars(title, dict(sorted(values.items(), key=lambda pair: pair[1])), "{:.2f}".format)
    floor = figures[0]["floor_seconds"]
    axes.axvline(floor, color=INK, linewidth=1, linestyle=":")
    axes.set_xlabel(f"dotted: {floor:g} s, which nobody can be faster than")
    return figure


def starts(figures, title):
    first = medians(figures, lambda figure: 1e3 * figure["first_request_seconds"])
    landed = medians(figures, lambda figure: 1e3 * figure["seconds"])
    figure, axes = bars(title, dict(sorted(landed.items(), key=lambda pair: pair[1])), "{:,.0f}".format, log=True)
    for at, name in enumerate(sorted(landed, key=landed.get)):
        axes.plot(first[name], at, marker="|", color="white", markersize=13, markeredgewidth=2.5)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    return figure


def growth(figures, title):
    figure, (cost, memory) = plt.subplots(1, 2, figsize=(10, 3.6))
    for name in dict.fromkeys(figure["contestant"] for figure in figures):
        own = [figure for figure in figures if figure["contestant"] == name]
        sizes = sorted({figure["records"] for figure in own})
        by_size = [[figure for figure in own if figure["records"] == size] for size in sizes]
        style = {"color": colour(name), "marker": MARKS[name.split()[-1]], "label": name, "linewidth": 1.5}
        cost.plot(
            sizes, [statistics.median(1e6 * f["cpu_seconds"] / f["records"] for f in same) for same in by_size], **style
        )
        peaks = [statistics.median((f["peak_bytes"] or 0) / 1e6 for f in same) for same in by_size]
        memory.plot(*zip(*[pair for pair in zip(sizes, peaks) if pair[1]]), **style)
    for axes, label in ((cost, "CPU, microseconds a record"), (memory, "peak memory, MB")):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("records")
        axes.set_title(label, loc="left", fontsize=10)
        axes.grid(color=FAINT, linewidth=0.6, which="both")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
        axes.yaxis.set_minor_formatter(
            FuncFormatter(lambda value, _: f"{value:,.10g}" if str(value)[0] in "25" else "")
        )
        axes.tick_params(which="minor", labelsize=8)
    handles, labels = cost.get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=3, frameon=False, bbox_to_anchor=(0.5, -0.2))
    figure.suptitle(title, x=0.07, ha="left", fontsize=11)
    figure.tight_layout()
    return figure


PICTURES = (
    ("pages-of-100", "records-per-cpu-second", "Records per CPU second, one list, pages of 100 (log scale)", cpu),
    ("growth", "growth", "CPU and memory as the list grows", growth),
    ("ten-windows", "windows", "50 ms a page, ten windows, 200 pages: wall time, s", walls),
    ("bucket", "limit", "A limit of 50 requests a second: wall time, s", walls),
    (
        "cold-start",
        "cold-start",
        "From the start to the first request (white mark) and to a landed page, ms (log scale)",
        starts,
    ),
)
