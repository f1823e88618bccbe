"""What a benchmark found, as one table for people and one JSON for programs."""

from __future__ import annotations

import json
import math
import os
import platform
import sysconfig
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass
class Finding:
    """One case: our figure and the peer's in the same run; `ratio` is held against `target`."""

    case: str
    peer: str
    ours: float
    theirs: float
    unit: str
    ratio: float
    target: float
    at_least: bool = False  # the target is a lower bound
    note: str = ""
    within: bool = True  # a second bound, which the note names
    errors: int = 0  # failed requests of either side: such a run measures something else

    @property
    def has_target(self) -> bool:
        """Whether it is held against anything."""
        return math.isfinite(self.target)

    @property
    def met(self) -> bool:
        """Whether the target holds, in a run without errors and with its second bound kept."""
        if self.errors or not self.within:
            return False
        return self.ratio >= self.target if self.at_least else self.ratio <= self.target


def median_finding(findings: list[Finding]) -> Finding:
    """The round whose ratio is the median; all rounds' ratios go into its note."""
    chosen = sorted(findings, key=lambda finding: finding.ratio)[(len(findings) - 1) // 2]
    if len(findings) > 1:
        low, high = min(f.ratio for f in findings), max(f.ratio for f in findings)
        chosen.note = f"{chosen.note} {len(findings)} rounds {low:.2f}..{high:.2f}".strip()
    return chosen


def machine() -> dict[str, str]:
    """Where this ran."""
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
         if line.startswith("model name")), platform.processor(),
    )  # fmt: skip
    return {
        "cpu": model,
        "cores": str(os.cpu_count()),
        "kernel": platform.release(),
        "python": f"{platform.python_version()} {_optimised()}",
        "load": " ".join(f"{value:.1f}" for value in os.getloadavg()),
        "date": datetime.now(UTC).date().isoformat(),
    }


def _optimised() -> str:
    """How CPython was built: without its profile-guided optimisation it is a fifth slower."""
    options = sysconfig.get_config_var("CONFIG_ARGS") or ""
    return "optimised build" if "--enable-optimizations" in options else "plain build"


def table(findings: list[Finding]) -> str:
    """A Markdown table."""
    rows = [
        "| case | against | s3proxy | peer | unit | ratio | target | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for f in findings:
        bound = f"{'≥' if f.at_least else '≤'} {f.target:g}" if f.has_target else "-"
        verdict = ("met" if f.met else "NOT MET") if f.has_target else "for the record"
        rows.append(
            f"| {f.case} | {f.peer} | {f.ours:.4g} | {f.theirs:.4g} | {f.unit} | {f.ratio:.3g} "
            f"| {bound} | {verdict}{'; ' + f.note if f.note else ''} |"
        )
    return "\n".join(rows)


def write_json(findings: list[Finding], path: Path) -> None:
    """The same with the machine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    found = [
        {**asdict(f), "target": f.target if f.has_target else None, "met": f.met} for f in findings
    ]
    content = {"machine": machine(), "findings": found}
    path.write_text(json.dumps(content, indent=1) + "\n")
