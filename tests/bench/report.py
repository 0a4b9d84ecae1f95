"""From the raw figures of a run to its tables and plots. Needs nothing but what is in bench.json."""

import figures
from charts import line_chart, row_chart
from figures import markdown, median, rate_text, spread, time_text

MIB = 1 << 20
BUSY = 0.05  # parts of a CPU that others may use before the figures mean less
PERCENTILES = ("p50", "p75", "p90", "p95", "p99", "p99.9", "max")

# How a figure is shown: its heading and its text.
FORMS = {
    "rate": ("rate", rate_text),
    "bytes": ("throughput", lambda v: f"{v / MIB:,.0f} MiB/s"),
    "ready": ("time", time_text),
    "mib": ("memory while idle", lambda v: f"{v:.1f} MiB"),
    "p50": ("p50", time_text),
    "p90": ("p90", time_text),
    "p99": ("p99", time_text),
    "p99.9": ("p99.9", time_text),
    "max": ("slowest", time_text),
    "added_p50": ("added at p50", time_text),
    "added_p99": ("added at p99", time_text),
    "kib_each": ("memory of each", lambda v: f"{v:.2f} KiB"),
    "per_request": ("calls per request", "{:.2f}".format),
    "of_ideal": ("rate, of the ideal", "{:.4f}".format),
    "p99_of_ideal": ("p99, of the ideal", "{:.3f}".format),
    "goodput": ("in time, of the capacity", "{:.1%}".format),
    "answered": ("answered at all, of what was asked", "{:.1%}".format),
    "connections": ("connections", "{:,.0f}".format),
    "grown_kib": ("growth of the resident memory", lambda v: f"{v / 1024:.1f} MiB"),
    "rejected": ("told 503 at once", "{:.1%}".format),
    "user_us": ("user time each", "{:.2f} µs".format),
    "system_us": ("system time each", "{:.2f} µs".format),
    "switches": ("context switches each", "{:.3f}".format),
}

# Which figures a workload's table shows besides the one that is compared.
COLUMNS = {
    "start": ("mib",),
    "hello": ("p50", "p99", "user_us", "system_us"),
    "browser": ("p50", "p99", "user_us", "system_us"),
    "noop": ("p50", "p99", "user_us", "system_us", "switches"),
    "pool400": ("p50", "p99", "switches"),
    "spin": ("p50", "p99"),
    "file": ("p50", "p99"),
    "answer1m": ("p50", "p99"),
    "post1m": ("p50", "p99"),
    "handover": ("added_p99",),
    "mixed": ("p50", "p90", "p99.9", "max"),
    "file1m": ("p50", "p99"),
    "file100m": (),
    "idle": ("connections",),
    "overload": ("answered", "rejected", "p50", "p99"),
}


def columns(name):
    return ("of_ideal", "p99", "p99_of_ideal") if name.startswith("sleep") else COLUMNS.get(name, ())


def reader(figure):
    return lambda found: found[figure]


def server_label(raw, name):
    return raw["servers"].get(name, {}).get("label", name)


def kind_of(raw, name):
    """Servers of one kind differ in how they are set up; that stands behind a comma."""
    return server_label(raw, name).partition(", ")[0]


def shown_spread(found, form):
    if len(found) == 1:
        return form(found[0])
    return f"{form(median(found))} ({form(min(found))} to {form(max(found))})"


def detail(raw, name):
    """The table of one workload."""
    work = raw["workloads"][name]
    shown = (work["figure"], *columns(name))
    header = ["server", *(FORMS[figure][0] for figure in shown)]
    if work["compared"]:
        header.append(f"{server_label(raw, work['ours'])}, times this")
    rows = []
    for server in work["servers"]:
        row = [server_label(raw, server)]
        reason = lacking(raw, name, server)
        if reason:
            rows.append(row + ["not measured"] + [""] * (len(header) - 2))
            continue
        for figure in shown:
            found = figures.values(work["rounds"], server, reader(figure))
            form = FORMS[figure][1]
            row.append(shown_spread(found, form) if figure == work["figure"] else form(median(found)))
        if work["compared"]:
            found = figures.ratios(work["rounds"], work["ours"], server, reader(work["figure"]))
            row.append("" if server == work["ours"] else spread(found) if found else "not measured")
        rows.append(row)
    notes = ["Less is better."] if work["lower"] else []
    if busy(work["quiet"]):
        notes.append(f"The machine was busy: {quiet_text(work['quiet'])}.")
    return "\n\n".join(filter(None, [f"### `{name}`: {work['title']}", " ".join(notes), markdown(header, rows)]))


def lacking(raw, name, server):
    """Why there is no figure of a server; empty when there is."""
    work = raw["workloads"][name]
    missing = raw["servers"].get(server, {}).get("missing")
    reason = missing or work["failed"].get(server)
    if not reason and not any(server in each for each in work["rounds"]):
        reason = "no round was measured"
    return reason


def all_lacking(raw):
    """(server, what, reason) of everything that was asked for and not measured; a server that is missing once."""
    found = [(name, "everything", each["missing"]) for name, each in raw["servers"].items() if each.get("missing")]
    for name, work in raw["workloads"].items():
        for server in work["servers"]:
            reason = lacking(raw, name, server)
            if reason and not raw["servers"].get(server, {}).get("missing"):
                found.append((server, name, reason))
    return found


# Figures that are worth a row besides the one that their workload is about; less of all is better.
COSTS = (
    ("hello", "user_us", "user time of an answer from the loop"),
    ("hello", "system_us", "kernel time of an answer from the loop"),
    ("noop", "switches", "context switches of a no-op handed to a thread"),
)


def comparisons(raw):
    """(title, workload, figure, whether less is better) of all that is compared with peers."""
    for name, work in raw["workloads"].items():
        if work["compared"]:
            yield work["title"], work, work["figure"], work["lower"]
        for of, figure, title in COSTS:
            if work["compared"] and of == name:
                yield title, work, figure, True


def summary(raw):
    """One row for each comparison, one column for each kind of peer: medians of ratios with their spread."""
    ours = [row for row in comparisons(raw) if row[1]["ours"] == "handoffd"]
    kinds = list(dict.fromkeys(kind_of(raw, server) for row in ours for server in row[1]["servers"][1:]))
    kinds = [kind for kind in kinds if kind != "handoffd"]  # its own variants stand in the tables below
    rows = []
    for title, work, figure, lower in ours:
        cells = {kind: [] for kind in kinds}
        for server in work["servers"][1:]:
            variant = server_label(raw, server).partition(", ")[2]
            found = figures.ratios(work["rounds"], work["ours"], server, reader(figure))
            cell = cells.get(kind_of(raw, server), [])
            cell.append((f"{variant}: " if cell else "") + (spread(found) if found else "not measured"))
        own = figures.values(work["rounds"], work["ours"], reader(figure))
        text = FORMS[figure][1](median(own)) if own else "not measured"
        rows.append([title + (" (less is better)" if lower else ""), text, *("; ".join(c) for c in cells.values())])
    return markdown(["workload", "handoffd", *kinds], rows) if rows else ""


def goals(raw):
    """What should be, and what is."""
    rows = []
    for work in raw["workloads"].values():
        for goal in work["goals"]:
            rounds, ours, peer = work["rounds"], work["ours"], goal["peer"]
            if peer:
                found = figures.ratios(rounds, ours, peer, reader(goal["figure"]))
                what = f"{work['title']}: times {server_label(raw, peer)}"
            else:
                found = figures.values(rounds, ours, reader(goal["figure"]))
                what = f"{work['title']}: {FORMS[goal['figure']][0]}"
            form = "{:.3f}".format if peer else FORMS[goal["figure"]][1]
            if not found:
                rows.append([what, f"{goal['sign']} {form(goal['bound'])}", "not measured", ""])
                continue
            value = median(found)
            good = value <= goal["bound"] if goal["sign"] == "≤" else value >= goal["bound"]
            rows.append([what, f"{goal['sign']} {form(goal['bound'])}", shown_spread(found, form), "yes" if good else "**no**"])
    return markdown(["what", "wanted", "median (spread)", "met"], rows) if rows else ""


def all_faults(raw):
    """(server, workload, count) of requests that were not answered as they should be."""
    found = []
    for name, work in raw["workloads"].items():
        for server in work["servers"]:
            count = sum(each[server].get("faults", 0) for each in work["rounds"] if server in each)
            if count:
                found.append((server, name, count))
    return found


# What README.md quotes, and how its columns are called there.
BRIEF = {
    "hello": "answer from the loop",
    "browser": "with a browser's headers",
    "noop": "no-op in a thread",
    "spin": "1 ms of CPU",
    "file": "file of 16 KiB",
}


def brief(raw):
    """The short table: how many times the peers' rates ours are, and where the rest is."""
    shown = [name for name in BRIEF if name in raw["workloads"]]
    peers = dict.fromkeys(server for name in shown for server in raw["workloads"][name]["servers"][1:])
    kinds = list(dict.fromkeys(kind_of(raw, peer) for peer in peers))
    rows = []
    for peer in sorted(peers, key=lambda peer: kinds.index(kind_of(raw, peer))):
        row = [server_label(raw, peer)]
        for name in shown:
            work = raw["workloads"][name]
            found = figures.ratios(work["rounds"], work["ours"], peer, reader(work["figure"]))
            row.append(spread(found) if found else "")
        rows.append(row)
    machine, options = raw["machine"], raw["options"]
    text = (
        f"The rates of handoffd, divided by those of each peer: median and spread of {options['rounds']} interleaved "
        f"rounds of {options['seconds']} s with {options['clients']} clients, servers on one core and the load on "
        f"another ({machine['date'][:10]}, {machine['cpu']}). [The report of this run](tests/bench/results/bench.md) "
        "has all workloads, goals, versions and plots."
    )
    if busy(raw["quiet"]):
        text += f" Meanwhile {quiet_text(raw['quiet'])}."
    plot = "![p99 over the size of the pool](tests/bench/results/sleep-p99.svg)"
    return "\n\n".join([text, markdown(["peer", *(BRIEF[name] for name in shown)], rows), plot])


def busy(quiet):
    return quiet["others"] + quiet["stolen"] > BUSY


def quiet_text(quiet):
    """Whether the machine was left alone."""
    return f"other programs used {quiet['others']:.1%} of a CPU, and the host took {quiet['stolen']:.1%}"


def document(raw):
    """The whole report, in Markdown."""
    machine, options = raw["machine"], raw["options"]
    parts = [
        "# Benchmark",
        f"{machine['date']}, {machine['cpu']}, {machine['cpus']} CPUs, {machine['kernel']}, {machine['system']}. "
        f"{options['rounds']} rounds of {options['seconds']} s. Meanwhile {quiet_text(raw['quiet'])}.",
        "Ratios are handoffd's figure over the peer's: the median of the rounds' ratios, and in brackets the lowest "
        "and the highest. How it is measured: [tests/bench](..).",
    ]
    lacks = all_lacking(raw)
    if lacks:
        rows = [(server_label(raw, server), what, reason) for server, what, reason in lacks]
        parts += ["## Not measured", markdown(["server", "workload", "why"], rows)]
    faults = all_faults(raw)
    if faults:
        rows = [(server_label(raw, server), what, f"{count:,}") for server, what, count in faults]
        parts += ["## Requests that failed", markdown(["server", "workload", "not answered, or not with 200"], rows)]
    text = summary(raw)
    if text:
        parts += ["## Against the peers", text]
    text = goals(raw)
    if text:
        parts += ["## Goals", text]
    drawn = plots(raw)
    if drawn:
        parts += ["## Plots", "\n\n".join(f"![{name}]({name}.svg)" for name in drawn)]
    parts += ["## Workload by workload", *(detail(raw, name) for name in raw["workloads"])]
    versions = [(each["label"], each.get("version", "not there"), each.get("package") or "")
                for each in raw["servers"].values()]
    parts += ["## Versions", markdown(["server", "version", "Debian packages"], versions)]
    return "\n\n".join(parts) + "\n"


# ---- plots ---------------------------------------------------------------------------------------


def point(found):
    return median(found), min(found), max(found)


def plots(raw):
    """The plots that this run has figures for: names and SVG texts."""
    drawn = {
        "ratios": ratios_plot(raw),
        "sleep-rate": sleep_plot(raw, "rate", "Rate over the size of the pool: 50 clients, 50 ms of sleep",
                                 "requests per second"),
        "sleep-p99": sleep_plot(raw, "p99", "p99 over the size of the pool: 50 clients, 50 ms of sleep",
                                "milliseconds"),
        "mixed": mixed_plot(raw),
        "overload": overload_plot(raw),
    }
    return {name: text for name, text in drawn.items() if text}


def ratios_plot(raw):
    groups = []
    for title, work, figure, lower in comparisons(raw):
        if figure == "rate" and "of_ideal" in columns(work["name"]):
            continue  # sleeps have plots of their own
        rows = []
        for server in work["servers"][1:]:
            # Upside down where less is better, so that right of 1 always means that the daemon does better.
            pair = (server, work["ours"]) if lower else (work["ours"], server)
            found = figures.ratios(work["rounds"], *pair, reader(figure))
            if found and min(found) > 0:
                rows.append((server_label(raw, server), *point(found)))
        groups.append((title, rows))
    return row_chart("How many times better than each peer (median of ratios, lowest to highest)",
                     "times better; left of the dashed line the peer is better", groups, reference=1)


def sleep_plot(raw, figure, title, upward):
    series, places, ideal = {}, [], {}
    factor = 1e3 if figure == "p99" else 1
    for name, work in raw["workloads"].items():
        if not name.startswith("sleep"):
            continue
        threads = work["threads"]
        places.append(threads)
        best = min(threads, 50) / 0.05 if figure == "rate" else figures.fifo_p99(50, threads, 0.05) * factor
        ideal[threads] = (best,) * 3
        for server in work["servers"]:
            found = figures.values(work["rounds"], server, reader(figure))
            if found:
                values = tuple(value * factor for value in point(found))
                series.setdefault(server_label(raw, server), {})[threads] = values
    rows = [("ideal (FIFO)", ideal), *series.items()]
    return line_chart(title, "threads in the pool", upward, sorted(places), rows, log=figure == "p99")


def mixed_plot(raw):
    work = raw["workloads"].get("mixed")
    if not work:
        return None
    series = []
    for server in work["servers"]:
        points = {}
        for percent in PERCENTILES:
            found = figures.values(work["rounds"], server, reader(percent))
            if found:
                points[percent] = tuple(value * 1e3 for value in point(found))
        series.append((server_label(raw, server), points))
    return line_chart("Latency of short answers in a mixed load, from the moment when each was due",
                      "percentile", "milliseconds", PERCENTILES, series, log=True)


def overload_plot(raw):
    work = raw["workloads"].get("overload")
    if not work:
        return None
    groups = []
    for figure in ("goodput",):
        rows = []
        for server in work["servers"]:
            found = figures.values(work["rounds"], server, reader(figure))
            if found:
                rows.append((server_label(raw, server), *(value * 100 for value in point(found))))
        groups.append((FORMS[figure][0], rows))
    return row_chart("At 1.5 times the capacity of 8 threads", "percent of the capacity", groups, 100, log=False)
