"""Plant every mistake of the catalogue, and count how often `ag.compare` finds it and says why.

::

    python -m benchmarks.diagnosis                                # both halves, every mistake
    python -m benchmarks.diagnosis --half visible --sample 300    # some cases of one half
    python -m benchmarks.diagnosis --pairs --failures 20          # two mistakes at once, too

The networks of the visible half may be looked at while the diagnosis is built; those of the
held-out half may not.  Right derivations in all conventions show whether there are false alarms.
Exits with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import importlib
import random
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

from tqdm import tqdm

import autograd_mini as ag

from .mistakes.conventions import right
from .mistakes.networks import planted_pairs
from .mistakes.planted import Mistake, Planted

HALVES = {"visible": "networks", "held-out": "held_out"}
LINE, CAUSE, PAIR = 0.99, 0.95, 0.90  # of the cases, at least
BEHIND = 0.03  # the most by which the held-out half may fall short of the visible one


class Failure(NamedTuple):
    """A case that was not diagnosed as it should be, and what the report said."""

    case: Planted
    said: str

    def __str__(self) -> str:
        planted = [
            f"  {id} at {line}: {text} ({', '.join(sorted(causes))})"
            for id, line, text, causes, _ in self.case.mistakes
        ]
        return "\n".join([self.case.network, *planted, f"  report: {self.said}"])


@dataclass
class Tally:
    """How many cases there were, and in how many the line and the cause were found."""

    cases: int = 0
    line: int = 0
    cause: int = 0

    def count(self, line: bool, cause: bool) -> None:
        """Count one case."""
        self.cases += 1
        self.line += line
        self.cause += cause

    def shares(self) -> tuple[float, float]:
        """The share of the cases whose line was found, and of those whose cause was."""
        return self.line / max(self.cases, 1), self.cause / max(self.cases, 1)


@dataclass
class Score:
    """What `ag.compare` reached on cases with no, one and two mistakes."""

    mistakes: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    pairs: Tally = field(default_factory=Tally)
    right: int = 0
    false_alarms: int = 0
    seconds_right: list[float] = field(default_factory=list)
    seconds_wrong: list[float] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    @property
    def total(self) -> Tally:
        """All cases with one mistake."""
        rows = self.mistakes.values()
        return Tally(
            sum(row.cases for row in rows),
            sum(row.line for row in rows),
            sum(row.cause for row in rows),
        )

    def missed(self) -> Iterator[str]:
        """The targets that were missed, of those that the cases measure."""
        line, cause = self.total.shares()
        if self.total.cases and line < LINE:
            yield f"first wrong line: {line:.2%} < {LINE:.0%}"
        if self.total.cases and cause < CAUSE:
            yield f"cause: {cause:.2%} < {CAUSE:.0%}"
        if self.pairs.cases and self.pairs.shares()[1] < PAIR:
            yield f"both of two mistakes: {self.pairs.shares()[1]:.2%} < {PAIR:.0%}"
        if self.false_alarms:
            yield f"false alarms: {self.false_alarms} of {self.right} > 0"


def score(cases: Iterable[Planted]) -> Score:
    """Let `ag.compare` diagnose the cases, and count what it finds."""
    result = Score()
    for case in cases:
        began = time.perf_counter()
        try:
            report = ag.compare(case.J, case.hand, names=case.names)
        except Exception as error:  # a crash is a failure to diagnose like any other
            report, said = None, f"{type(error).__name__}: {error}"
        else:
            said = summary(report)
        seconds = time.perf_counter() - began
        if not case.mistakes:
            good = report is not None and bool(report)
            result.right += 1
            result.false_alarms += not good
            result.seconds_right.append(seconds)
        else:
            lines = {line.name: line for line in report.lines} if report is not None else {}
            result.seconds_wrong.append(seconds)
            if len(case.mistakes) == 1:
                (mistake,) = case.mistakes
                found = report.first_wrong if report is not None else None
                places = mistake.elsewhere | {mistake.line}
                tally, line = result.mistakes[mistake.id], found in places
                cause = explained(lines.get(str(found) if line else mistake.line), mistake)
            else:
                # one line may carry both mistakes: then its causes have to meet those of both
                tally = result.pairs
                at = [(lines.get(mistake.line), mistake) for mistake in case.mistakes]
                line = all(it is not None and it.verdict == "wrong" for it, _ in at)
                cause = line and all(explained(it, mistake) for it, mistake in at)
            tally.count(line, cause)
            good = line and cause
        if not good:
            result.failures.append(Failure(case, said))
    return result


def explained(line: Any, mistake: Mistake) -> bool:
    """Whether a line of the report names a cause that describes the mistake."""
    return line is not None and bool(mistake.causes & set(line.causes))


def summary(report: Any) -> str:
    """The first wrong line, and what is said about each wrong one."""
    wrong = [
        f"{line.name} ({', '.join(line.causes) or 'no cause'})"
        for line in report.lines
        if line.verdict == "wrong"
    ]
    return f"first wrong {report.first_wrong}; wrong: {', '.join(wrong) or 'none'}"


# ---- the command ---------------------------------------------------------------------------------


def planted(half: str, seed: int) -> Iterator[Planted]:
    """The cases of one half, each with one mistake."""
    networks = importlib.import_module(f".mistakes.{HALVES[half]}", __package__)
    yield from networks.planted(seed)


def sampled(cases: Iterable[Planted], count: int | None, seed: int) -> Iterable[Planted]:
    """Some of the cases, in their order: each is as likely to be among them as any other."""
    if count is None:
        return cases
    rng, stream = random.Random(seed), iter(cases)
    kept = list(enumerate(islice(stream, count)))
    for position, case in enumerate(stream, count):
        place = rng.randrange(position + 1)
        if place < count:
            kept[place] = position, case
    return [case for _, case in sorted(kept, key=lambda pair: pair[0])]


def natural(id: str) -> tuple[str, int, str]:
    """Sort A2 before A10."""
    digits = "".join(filter(str.isdigit, id))
    letters = id.split(digits) if digits else [id, ""]
    return letters[0], int(digits or 0), letters[-1]


def table(result: Score) -> str:
    """The score, a line for each mistake of the catalogue."""
    rows = [f"{'mistake':10} {'cases':>6} {'first wrong line':>17} {'cause':>8}"]
    entries = [(id, result.mistakes[id]) for id in sorted(result.mistakes, key=natural)]
    if entries:
        entries.append(("all", result.total))
    if result.pairs.cases:
        entries.append(("pairs", result.pairs))
    for name, tally in entries:
        line, cause = tally.shares()
        rows.append(f"{name:10} {tally.cases:6} {line:17.2%} {cause:8.2%}")
    if result.right:
        rows.append(f"\nfalse alarms: {result.false_alarms} of {result.right} right derivations")
    for what, seconds in (("right", result.seconds_right), ("wrong", result.seconds_wrong)):
        if seconds:
            median, most = statistics.median(seconds), max(seconds)
            rows.append(f"a report on a {what} derivation: median {median:.3f} s, max {most:.3f} s")
    return "\n".join(rows)


def parser() -> argparse.ArgumentParser:
    """Return the options of the command."""
    result = argparse.ArgumentParser("python -m benchmarks.diagnosis", description=__doc__)
    result.formatter_class = argparse.RawDescriptionHelpFormatter
    result.add_argument("--half", choices=[*HALVES, "all"], default="all")
    result.add_argument("--sample", type=int, metavar="N", help="take N cases of each kind")
    result.add_argument("--seed", type=int, default=0)
    result.add_argument("--pairs", action="store_true", help="plant two mistakes at once, too")
    result.add_argument("--failures", type=int, default=0, metavar="N", help="print N of each kind")
    return result


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the tables, and say which targets were missed."""
    options = parser().parse_args(arguments)
    halves = list(HALVES) if options.half == "all" else [options.half]
    kinds = {f"{half} half": planted(half, options.seed) for half in halves}
    if options.pairs:
        kinds["two mistakes"] = planted_pairs(options.seed)
    kinds["right derivations"] = right(options.seed)

    missed, shares = [], {}
    for kind, cases in kinds.items():
        chosen = sampled(cases, options.sample, options.seed)
        result = score(tqdm(chosen, desc=kind, disable=None))
        print(f"\n==== {kind} ====\n{table(result)}")
        for failure in result.failures[: options.failures]:
            print(f"\n{failure}")
        missed += [f"{kind}: {target}" for target in result.missed()]
        shares[kind] = result.total.shares()
    if options.half == "all":
        pairs = zip(shares["visible half"], shares["held-out half"], strict=True)
        for what, (visible, held_out) in zip(("first wrong line", "cause"), pairs, strict=True):
            if held_out < visible - BEHIND:
                missed.append(f"held-out half: {what} {visible - held_out:.2%} behind the visible")
    print("\n" + ("\n".join(["missed:", *missed]) if missed else "every target is met"))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
