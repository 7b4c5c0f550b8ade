"""tables.py: what run-all measured, as Markdown for docs/performance.md. A folder's PART.json, one section a part."""
import json
import pathlib

import stats

ROOT = pathlib.Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- begin: written by benchmarks/run-all --page -->", "<!-- end: written by benchmarks/run-all --page -->"


def between_marks(page, markdown):
    """The page with what stands between its marks replaced."""
    head, _, rest = page.partition(BEGIN)
    _, found, tail = rest.partition(END)
    if not found:
        raise ValueError(f"the page lacks the marks {BEGIN} and {END}")
    return f"{head}{BEGIN}\n\n{markdown}\n{END}{tail}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows])


def rate(value):
    """Three digits and a letter."""
    for letter, scale in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= scale:
            return f"{value / scale:.3g} {letter}"
    return f"{value:.3g}"


def micro(value):
    return stats.seconds(value * 1e-6)


def percent(value):
    return f"{100 * value:.0f} %"


def network(entry):
    return f"{entry['inputs']}-{entry['layers']}".replace(":relu", "")


def conditions(context, quick):
    """The machine, and a warning where it had other work."""
    load, cores = context["load_avg"][0], context["num_cpus"]
    text = (f"{context['date'][:16].replace('T', ' ')}, {context['processor']}, {cores} processors, NVIDIA driver: "
            f"{context['driver']}; {context['library_build_type']}, {context['compiler']}, commit {context['commit']}; load average "
            f"{load:.2f} before the run.")
    if load > 0.5 * cores:
        text += (" **The machine had other work while this was measured: the times are of no use, the ratios of little; what is "
                 "shown is that the suite works.**")
    return text + (" A run with `--quick`." if quick else "")


# ---------------------------------------------------------------- the parts

def taken(count):
    return f"{count / 2**20:.1f}" if count else "-"


def peers(report):
    """The table of aims: a row for each network and optimiser."""
    rows = []
    for entry in report["benchmarks"]:
        if not entry["name"].startswith("peer step/"):
            continue
        name, optimizer, batch = entry["name"].removeprefix("peer step/").rsplit("/", 3)[:3]
        products = entry.get("step_over_products")
        rows.append([name.replace(":relu", ""), batch.removeprefix("batch:"), optimizer, micro(entry["real_time"]),
                     f"{products:.3f} ± {percent(entry['step_over_products_spread'])}" if products else "-",
                     f"{entry['pytorch_over_step']:.2f} ± {percent(entry['pytorch_over_step_spread'])}",
                     f"{taken(entry['peak_bytes'])} / {taken(entry['plan_bytes'])}",
                     taken(entry["pytorch_peak_bytes"]), entry["best_pytorch"].removeprefix("pytorch ")])
    return table(["network", "batch", "optimiser", "step", "step over GEMMs", "PyTorch's time over ours", "MiB taken / planned",
                  "PyTorch's MiB", "PyTorch"], rows)


def time_goes(entry):
    parts = entry["profile_us"]
    shares = {key: value / parts["total"] for key, value in parts.items() if key != "total"}
    return ", ".join(f"{key} {percent(share)}" for key, share in sorted(shares.items(), key=lambda item: -item[1])
                     if share >= 0.005)


def steps(report, copies=True):
    return [entry for entry in report["benchmarks"] if entry.get("copies_counted") == copies and "profile_us" in entry]


def growth(report):
    rows = [[network(e) if e["depth"] < 10 else f"{e['inputs']}, {e['depth']} layers of {e['width']}", e["batch"],
             e["parameters"], micro(e["real_time"]), percent(e["spread"]), rate(e["items_per_second"]), rate(e["flops"]),
             f"{e['floor_ratio']:.2f}", time_goes(e)] for e in steps(report)]
    return table(["network", "batch", "parameters", "step", "±", "samples/s", "FLOP/s", "over the floor", "where the time goes"],
                 rows)


def grid(report):
    counted = {e["name"].removeprefix("step/"): e for e in steps(report)}
    resident = {e["name"].removeprefix("step_resident/"): e for e in steps(report, copies=False)}
    rows = [[f"{e['backend']} {e['precision']}", e["width"], e["batch"], rate(e["items_per_second"]),
             rate(resident[name]["items_per_second"]), rate(e["flops"]), f"{e['floor_ratio']:.2f}"] for name, e in counted.items()]
    text = table(["backend", "width", "batch", "samples/s, copies counted", "not counted", "FLOP/s", "over the floor"], rows)
    left = report["context"].get("left_out", [])
    if left:
        text += "\n\nLeft out:\n\n" + "\n".join(f"- {x['backend']}, {x['precision']}: {x['reason'].replace(f'{ROOT}/', '')}" for x in left)
    if not any(e["backend"] == "cuda" for e in counted.values()):
        text += "\n\nNo device was there: **no figure of a GPU is known**."
    return text


def ops(report):
    rows = [[e["name"].split("/")[0], e["name"].split("/")[1], micro(e["real_time"]), percent(e["spread"]),
             rate(e["bytes_per_second"]), rate(e["flops"]) if "flops" in e else "-", f"{e['floor_ratio']:.2f}"]
            for e in report["benchmarks"]]
    return table(["operation", "B x I x O", "time", "±", "bytes/s", "FLOP/s", "over the floor"], rows)


def threads(report):
    by_network = {}
    for entry in steps(report):
        by_network.setdefault((network(entry), entry["batch"]), {})[entry["threads"]] = entry
    rows = []
    for (name, batch), entries in by_network.items():
        one = entries.get(1)
        for count, e in sorted(entries.items()):
            rows.append([name, batch, count, micro(e["real_time"]), percent(e["spread"]),
                         f"{one['real_time'] / e['real_time']:.2f}" if one else "-"])
    return table(["network", "batch", "threads", "step", "±", "times one thread"], rows)


SECTIONS = (
    ("peers", "Beside PyTorch", peers, "benchmarks/peers/run"),
    ("growth", "As work grows", growth, "backprop bench, batch, width and depth in turn"),
    ("grid", "CPU against GPU", grid, "backprop bench --backend all --precision all"),
    ("ops", "Operation by operation", ops, "benchmarks/bench_ops"),
    ("threads", "Threads", threads, "backprop bench --threads"),
)


def markdown(folder, quick=False):
    """All sections whose figures are in the folder."""
    text = []
    for part, title, make, command in SECTIONS:
        path = pathlib.Path(folder, f"{part}.json")
        if path.exists():
            report = json.loads(path.read_text())
            text.append(f"### {title}\n\n`benchmarks/run-all{' --quick' if quick else ''} {part}` ({command}).\n"
                        f"{conditions(report['context'], quick)}\n\n{make(report)}\n")
    if pathlib.Path(folder, "throughput.svg").exists() and text:
        text.append("![samples a second over batch and width](throughput.svg)\n")
    return "\n".join(text)
