"""picture.py: throughput over batch and over width, log axes, a colour for each width or batch, a mark for each backend and precision; full lines
where samples lie in the backend's memory, dashed ones where their copies are counted. Drawn by gnuplot."""
import json
import pathlib
import shutil
import subprocess

COLOURS = ("#1b9e77", "#d95f02", "#7570b3", "#e7298a", "#66a61e", "#e6ab02", "#a6761d", "#666666")
MARKS = (7, 5, 9, 13, 11)  # of the backends: disc, square, triangle, diamond, triangle upside down


def curves(report, over, along):
    """(label, points by `over`) for each backend, precision and value of `along`, for copies counted and not."""
    found = {}
    for e in report["benchmarks"]:
        if "copies_counted" in e:
            key = (e["backend"], e["precision"], e[along], e["copies_counted"])
            found.setdefault(key, []).append((e[over], e["items_per_second"]))
    return {key: sorted(points) for key, points in sorted(found.items()) if len(points) > 1}


def panel(title, axis, along, found):
    """A plot command and its data."""
    plots, blocks = [], []
    values = sorted({key[2] for key in found})
    makes = sorted({key[:2] for key in found})
    for (backend, precision, value, counted), points in found.items():
        colour = COLOURS[values.index(value) % len(COLOURS)]
        mark = MARKS[makes.index((backend, precision)) % len(MARKS)]
        name = "notitle" if counted else f"title '{backend} {precision}, {along} {value}'"
        plots.append(f"'-' using 1:2 with linespoints pt {mark} ps 0.6 lw 1.5 lc rgb '{colour}' dt {2 if counted else 1} {name}")
        blocks.append("\n".join(f"{x} {y}" for x, y in points) + "\ne")
    return (f"set title '{title}'\nset xlabel '{axis}'\nset ylabel 'samples a second'\nplot " + ", ".join(plots) + "\n" +
            "\n".join(blocks) + "\n")


def script(report, path):
    over_batch, over_width = curves(report, "batch", "width"), curves(report, "width", "batch")
    panels = [panel("over the batch", "batch", "width", over_batch)] if over_batch else []
    panels += [panel("over the width", "width", "batch", over_width)] if over_width else []
    if not panels:
        return None
    head = (f"set terminal svg size {620 * len(panels)},520 font 'sans,12' background 'white'\nset output '{path}'\n"
            "set logscale xy\nset format x '10^{%T}'\nset format y '10^{%T}'\nset grid\nset key outside below maxcols 3\n"
            f"set multiplot layout 1,{len(panels)}\n")
    return head + "".join(panels) + "unset multiplot\n"


def draw(source, path):
    """None, or why there is no picture."""
    if not pathlib.Path(source).exists():
        return f"{source} is not there"
    if not shutil.which("gnuplot"):
        return "gnuplot is not installed"
    text = script(json.loads(pathlib.Path(source).read_text()), path)
    if not text:
        return "no curve has two points"
    done = subprocess.run(["gnuplot"], input=text, text=True, check=False, stderr=subprocess.PIPE)
    return done.stderr.strip() or "gnuplot failed" if done.returncode else None
