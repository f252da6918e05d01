"""Compare what both sides made of the cases of a folder, and say where they differ and why.

What holds here: a result counts as equal if it has the type and the values of the reference, these
within 1e-4 of their range; a difference counts as known only if it is on the list and the repaired
reference gives our result. Everything else is a failure.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cases import Array, Case, read_cases
from known_differences import KNOWN, ROUNDING

__all__ = ["Outcome", "compare", "report", "same"]

RELATIVE = 1e-4


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Args:
        case: the case.
        kind: `equal`, `refused` (by both), `known`, `unsupported`, or `unlisted`.
        why: the known differences that took effect.
        detail: what is seen, for a person.
    """

    case: Case
    kind: str
    why: tuple[str, ...] = ()
    detail: str = ""


def _close(a: Array, b: Array) -> Array:
    """Where two arrays agree, as far as their range lets one tell."""
    x, y = a.astype("float64"), b.astype("float64")
    finite = x[np.isfinite(x)]
    extent = float(np.ptp(finite)) if finite.size else 0.0
    largest = float(np.abs(finite).max()) if finite.size else 0.0
    # the floor is what float32 can tell apart
    floor = 1e-6 * largest + 1e-6
    with np.errstate(invalid="ignore"):
        near = np.abs(x - y) <= RELATIVE * extent + floor
    return near | (x == y) | (np.isnan(x) & np.isnan(y))


def same(expected: Array | None, ours: Array) -> bool:
    """Whether two arrays have one type, one shape, and the same values, as far as that is asked."""
    return (
        expected is not None
        and expected.dtype == ours.dtype
        and expected.shape == ours.shape
        and bool(_close(expected, ours).all())
    )


def _rounded(expected: Array | None, ours: Array, near: int) -> bool:
    """Whether no more elements differ than lie at a jump, and none by more than one step."""
    if expected is None or expected.dtype != ours.dtype or expected.shape != ours.shape:
        return False
    gap = np.abs(expected.astype("float64") - ours.astype("float64"))
    return int((~_close(expected, ours)).sum()) <= near and bool((gap <= 1).all())


def _difference(expected: Array | None, ours: Array) -> str:
    if expected is None:
        return "nothing to compare"
    if expected.shape != ours.shape:
        return f"shape {expected.shape}, ours {ours.shape}"
    if expected.dtype != ours.dtype:
        return f"type {expected.dtype}, ours {ours.dtype}"
    far = ~_close(expected, ours)
    if not far.any():
        return "equal"
    first = tuple(int(i[0]) for i in np.nonzero(far))
    return f"{int(far.sum())} of {far.size}, first {expected[first]}, ours {ours[first]}"


def _refusal(case: Case, said: Mapping[str, Any], error: Sequence[str]) -> Outcome:
    """The outcome of a case in which we raise an error."""
    kind = "unlisted"
    if error[0] == "UnsupportedError":
        kind = "unsupported"
    elif said["error"] is not None and said["repaired_error"] is not None:
        kind = "refused"
    return Outcome(case, kind, detail=f"ours raises {error}; theirs: {said['error']}")


def _outcome(
    case: Case, said: Mapping[str, Any], theirs: Array | None, repaired: Array | None, ours: Array
) -> Outcome:
    """The outcome of a case in which we give a result."""
    noted, near = tuple(said["noted"]), said["near"]
    known = {
        noted: same(repaired, ours),
        (ROUNDING,): _rounded(theirs, ours, near),
        (*noted, ROUNDING): _rounded(repaired, ours, near),
    }
    if same(theirs, ours):
        return Outcome(case, "equal")
    for why, applies in known.items():
        if why and applies:
            return Outcome(case, "known", why)
    detail = (
        f"theirs: {said['error'] or _difference(theirs, ours)};"
        f" repaired: {said['repaired_error'] or _difference(repaired, ours)}"
    )
    return Outcome(case, "unlisted", noted, detail)


def compare(folder: Path) -> list[Outcome]:
    """The outcome of each case of a folder."""
    said = json.loads((folder / "theirs.json").read_text(encoding="utf-8"))
    errors = json.loads((folder / "ours.json").read_text(encoding="utf-8"))
    theirs, repaired, ours = (
        dict(np.load(folder / f"{side}.npz")) for side in ("theirs", "repaired", "ours")
    )

    def outcome(case: Case) -> Outcome:
        key = str(case.number)
        if key in errors:
            return _refusal(case, said[key], errors[key])
        return _outcome(case, said[key], theirs.get(key), repaired.get(key), ours[key])

    return [outcome(case) for case, _ in read_cases(folder)]


def report(outcomes: list[Outcome]) -> bool:
    """Print the figures, and whatever is not known; return whether all is well."""
    kinds = Counter(o.kind for o in outcomes)
    print(f"{len(outcomes)} cases")
    print(f"{kinds['equal']:6} equal")
    print(f"{kinds['refused']:6} refused by both")
    print(f"{kinds['known']:6} differ in known ways:")
    known = [o.why for o in outcomes if o.kind == "known"]
    cases, alone = (
        Counter(k for why in known for k in why),
        Counter(w[0] for w in known if not w[1:]),
    )
    print(f"           {'cases':>6} {'alone':>6}")
    for key, difference in KNOWN.items():
        mark = "" if cases[key] else "   <- never seen"
        print(f"           {cases[key]:6} {alone[key]:6}  {key}: {difference.what}{mark}")
    print(f"{kinds['unsupported']:6} not supported by us")
    print(f"{kinds['unlisted']:6} differ, and are on no list")
    failed = {"unlisted", "unsupported"}
    for outcome in outcomes:
        if outcome.kind in failed:
            print(f"\n{outcome.kind} {outcome.why or ''}: {outcome.detail}")
            print(json.dumps(asdict(outcome.case)))
    unknown = {key for why in known for key in why} - set(KNOWN)
    if unknown:
        print(f"\nnot on the list: {', '.join(sorted(unknown))}")
    return not unknown and not any(kinds[kind] for kind in failed)
