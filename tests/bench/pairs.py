"""Two servers in turns, for benches of their own: what has no place among the workloads of `run`."""

import sys

import figures
import tools
from machine import Daemon, DaemonError, Missing, cores

__all__ = ["CLIENTS", "Daemon", "DaemonError", "Missing", "cores", "wrk", "compare", "kept", "spread"]
CLIENTS = 50


def wrk(url, seconds, cpu):
    return tools.wrk(url, seconds, cpu, CLIENTS)


def compare(name, ours, theirs, options, cpu):
    """Rounds in which the two sides take turns; the one that begins changes every round."""
    urls, rounds = {"ours": ours, "theirs": theirs}, []
    for url in urls.values():
        wrk(url, 1, cpu)
    for number in range(options.rounds):
        print(f"  {name}: round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
        result = {side: wrk(urls[side], options.seconds, cpu) for side in figures.rotated(urls, number)}
        rounds.append({**result, "ratio": result["ours"]["rate"] / result["theirs"]["rate"]})
    return rounds


def kept(rounds, read):
    """Median, lowest and highest of a figure."""
    values = [read(r) for r in rounds]
    return figures.median(values), min(values), max(values)


def spread(three, form="{:.2f}"):
    return "{} ({} to {})".format(*(form.format(f) for f in three))
