"""stats.py: the statistics of benchmarks/core/harness.c, for the programs in Python. tests/bench holds both together."""


def summarize(samples):
    """(median, minimum, spread): half of the range of the middle half of the samples, over the median."""
    ordered = sorted(samples)
    count = len(ordered)
    middle = count // 2
    median = ordered[middle] if count % 2 else 0.5 * (ordered[middle - 1] + ordered[middle])
    return median, ordered[0], 0.5 * (ordered[count * 3 // 4] - ordered[count // 4]) / median


def seconds(value):
    """As people read them."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"
