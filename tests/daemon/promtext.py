"""Reads the Prometheus text format (version 0.0.4), strictly."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Iterator

from harness import Client

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
HEAD = re.compile(rf"# (HELP|TYPE) ({NAME}) (.+)")
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? ([-+0-9.e]+|[+-]Inf|NaN)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)')
ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}
PARTS = {"histogram": ("_bucket", "_sum", "_count")}

Labels = frozenset  # of (name, value)


@dataclass
class Family:
    kind: str
    samples: dict[tuple[str, Labels], float] = field(default_factory=dict)


def _labels(text: str) -> Labels:
    found, at = [], 0
    while at < len(text):
        match = LABEL.match(text, at)
        assert match is not None, f"bad labels: {text}"
        found.append((match[1], re.sub(r"\\.", lambda e: ESCAPES[e[0]], match[2])))
        at = match.end()
    assert len(dict(found)) == len(found), f"a label twice: {text}"
    return frozenset(found)


class Scrape:
    """All samples of one document."""

    def __init__(self, text: str) -> None:
        self.families: dict[str, Family] = {}
        helped, name, kind = set(), "", ""
        assert text.endswith("\n")
        for line in text.split("\n")[:-1]:
            if head := HEAD.fullmatch(line):
                if head[1] == "HELP":
                    assert head[2] not in helped, f"twice: {line}"
                    helped.add(head[2])
                    continue
                name, kind = head[2], head[3]
                assert name in helped and name not in self.families, line
                self.families[name] = Family(kind)
                continue
            sample = SAMPLE.fullmatch(line)
            assert sample is not None, f"no sample: {line!r}"
            assert sample[1] in [name + part for part in PARTS.get(kind, ("",))], line
            key = (sample[1], _labels(sample[2] or ""))
            assert key not in self.families[name].samples, f"twice: {line}"
            self.families[name].samples[key] = float(sample[3])

    def all(self, name: str, **labels: str) -> Iterator[tuple[dict[str, str], float]]:
        """The samples of that name that have these labels, perhaps among others."""
        family = next(
            (f for n, f in self.families.items() if name in [n + part for part in
             PARTS.get(f.kind, ("",))]), None
        )
        for (sample, has), value in family.samples.items() if family else ():
            if sample == name and labels.items() <= dict(has).items():
                yield dict(has), value

    def sum(self, name: str, **labels: str) -> float:
        return sum(value for _, value in self.all(name, **labels))

    def get(self, name: str, **labels: str) -> float:
        """The one sample that has these labels."""
        values = [value for _, value in self.all(name, **labels)]
        assert len(values) == 1, f"{name} {labels}: {len(values)} samples"
        return values[0]

    def counters(self) -> dict[tuple[str, Labels], float]:
        """All that may only rise."""
        return {
            key: value
            for family in self.families.values()
            if family.kind != "gauge"
            for key, value in family.samples.items()
        }


def scrape(daemon: Client, target: str = "/metrics") -> Scrape:
    answer = daemon.get(target)
    assert answer.status == 200
    assert answer.header("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    return Scrape(answer.body.decode("utf-8"))
