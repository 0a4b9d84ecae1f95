"""What is packaged for Prometheus and Grafana fits what the daemon shows."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import StartDaemon
from harness import ROOT, conf
from promtext import scrape

MONITORING = ROOT / "packaging" / "monitoring"
NAME = re.compile(r"\b((?:handoffd|http_server|process)_[a-z_]+)\b")


@pytest.fixture
def known(start: StartDaemon) -> set[str]:
    """The names of all metrics, those of the parts of histograms among them."""
    daemon = start(conf('path = "/metrics"; action = "metrics"'))
    families = scrape(daemon).families
    return set(families) | {
        name + part
        for name, family in families.items()
        if family.kind == "histogram"
        for part in ("_bucket", "_sum", "_count")
    }


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    path = shutil.which("promtool")
    if path is None:
        pytest.skip("promtool is not installed (packaging/install-deps installs it)")
    return subprocess.run([path, *arguments], capture_output=True, text=True, cwd=MONITORING)


@pytest.mark.parametrize(
    "arguments",
    [("check", "rules", "handoffd.rules.yml"), ("test", "rules", "handoffd.rules.test.yml")],
    ids=["check", "test"],
)
def test_promtool_takes_the_alerts(arguments: tuple[str, ...]) -> None:
    done = promtool(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_wrong_rule_would_be_told(tmp_path: Path) -> None:
    (tmp_path / "wrong.yml").write_text("groups: [{name: a, rules: [{alert: B, expr: 'c >'}]}]")
    assert promtool("check", "rules", str(tmp_path / "wrong.yml")).returncode != 0


@pytest.mark.parametrize("file", ["handoffd.rules.yml", "grafana-handoffd.json"])
def test_every_metric_that_is_asked_for_exists(known: set[str], file: str) -> None:
    text = re.sub(r"uid\W+handoffd", "", (MONITORING / file).read_text())
    asked = set(NAME.findall(text)) - {"http_route", "http_response_status_code"}
    assert len(asked) > 8
    assert asked <= known


def test_the_dashboard_is_whole() -> None:
    board = json.loads((MONITORING / "grafana-handoffd.json").read_text())
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["type"] == "row" or all(target["expr"] for target in panel["targets"])


def test_every_query_of_the_dashboard_can_be_parsed(tmp_path: Path) -> None:
    board = json.loads((MONITORING / "grafana-handoffd.json").read_text())
    queries = [t["expr"] for p in board["panels"] if p["type"] != "row" for t in p["targets"]]
    rules = [
        {"record": f"a:query:{number}", "expr": query.replace("$__rate_interval", "1m")}
        for number, query in enumerate(queries)
    ]
    file = tmp_path / "queries.yml"  # JSON is YAML
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = promtool("check", "rules", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(queries)} rules found" in done.stdout
