"""How many derivations of small programs are false at other numbers, and how long one takes.

    python benchmarks/derivations.py [--programs 10000] [--first 0]

Each program is derived at one point, simplified and not, and its lines are evaluated at three
others, where autodiff in long doubles tells what is right.  Nothing but 0 wrong ones is right.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from small_programs import program, run_at, well_conditioned, wrong_lines

import autograd_mini as ag


def main() -> int:
    """Derive programs and count."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--programs", type=int, default=10_000)
    options.add_argument("--first", type=int, default=0, help="the seed of the first")
    given = options.parse_args()
    derived = evaluated = wrong = shorter = 0
    seconds = []
    for seed in range(given.first, given.first + given.programs):
        small = program(seed)
        here = run_at(small, np.random.default_rng([seed, 0]))
        if here is None:
            continue
        points = [well_conditioned(small, [seed, i]) for i in range(1, 4)]
        for simplify in (True, False):
            start = time.perf_counter()
            explanation = ag.explain(here[0], simplify=simplify)
            seconds.append(time.perf_counter() - start)
            derived += 1
            shorter += bool(explanation.steps) * simplify
            for there in points:
                if there is not None:
                    evaluated += 1
                    if lines := wrong_lines(explanation, there):
                        wrong += 1
                        print(f"program {seed}, simplify={simplify}: {', '.join(lines)}")
    print(
        f"{derived} derivations, {shorter} with something that cancels, evaluated at {evaluated} "
        f"points: {wrong} wrong; median {1e3 * statistics.median(seconds):.1f} ms, longest "
        f"{max(seconds):.2f} s"
    )
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
