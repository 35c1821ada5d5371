#!/usr/bin/env python3
"""The failover table as a small program: slow and plain, to hold the fast one in src/timeline/tally to.

  oracle.py RESULT.json EXPORT.csv     recompute every step's dossier from the exported requests; print what differs

Times are integer microseconds since the run's zero, as in both files. Percentiles are nearest rank: element ⌊q·n⌋ (the last at
most) of the sorted values; a median of an even number is the mean of the two in the middle. `failover.settle_us` is taken
from the report (it must be at least 5 s, unless the scenario sets it).
"""
import bisect, csv, json, math, statistics, sys

NEITHER = {"dropped", "cut"}


def poisson_cdf(k, m):
    term = total = math.exp(-m)
    for i in range(1, k + 1):
        term *= m / i
        total += term
    return total


def upper_bound(k):
    """95 % one-sided upper bound of a Poisson mean after k events."""
    lo, hi = float(k), k + 20 + 10 * math.sqrt(k + 1)
    for _ in range(200):
        mid = (lo + hi) / 2
        lo, hi = (mid, hi) if poisson_cdf(k, mid) > 0.05 else (lo, mid)
    return hi


def quantile(q, m):
    k = 0
    while poisson_cdf(k, m) < q:
        k += 1
    return k


def allowance(bad, total, stretch):
    """Bad requests that a stretch of `stretch` requests may hold after a baseline of `bad` in `total`; None: too short."""
    if not total:
        return None
    a = quantile(0.99, upper_bound(bad) / total * stretch)
    return None if a > 0.05 * stretch else a


def rank(values, q):
    v = sorted(values)
    return v[min(len(v) - 1, int(q * len(v)))]


def episodes(requests, allowed, settle, slot, watch_end):
    """[(begin, end or None)] of requests [(due, bad)] in order of due; begins lie before watch_end, stretches may pass it."""
    bad = [t for t, b in requests if b]
    good = [t for t, b in requests if not b]
    last_due = requests[-1][0] if requests else 0

    def held(t):
        return bisect.bisect_left(bad, t + settle) - bisect.bisect_left(bad, t)

    found, i, floor = [], 0, -1
    while True:
        while i < len(bad) and (bad[i] <= floor or held(bad[i]) <= allowed):
            i += 1
        if i == len(bad) or bad[i] >= watch_end:
            return found
        k = bisect.bisect_right(good, bad[i + allowed])
        while k < len(good) and held(good[k]) > allowed:
            k += 1
        end = good[k] if k < len(good) and good[k] + settle <= last_due + slot else None
        core = bad[i:bisect.bisect_left(bad, end)] if end is not None else bad[i:]
        near = max(10 * statistics.median([b - a for a, b in zip(core, core[1:])]) if len(core) > 1 else 0, slot)
        c = i + allowed
        while c > 0 and bad[c - 1] > floor and bad[c] - bad[c - 1] <= near:
            c -= 1
        begin = bad[c]
        if end is None:
            return found + [(begin, None)]
        j = bisect.bisect_left(bad, end)
        while j < len(bad) and bad[j] - bad[j - 1] <= near:
            j += 1
        k = bisect.bisect_right(good, max(bad[j - 1], end - 1))
        if k == len(good):
            return found + [(begin, None)]
        end = good[k]
        found.append((begin, end))
        floor, i = end, bisect.bisect_right(bad, end)


def dossier(rows, step, baseline_from, first_dispatch, settle, slot):
    """Figures of one step for one journey (or all): `rows` are (due, done, outcome, good), any order."""
    d, end, heal = step["dispatched_us"], step["watch_end_us"], step["healed_us"]
    rows = [r for r in rows if r[2] not in NEITHER]
    base = [r for r in rows if baseline_from <= r[0] < first_dispatch]
    mine = sorted([(max(r[0], d), r[1], not r[3], r[0] < d) for r in rows if r[0] >= d or r[1] >= d])
    in_watch = [r for r in mine if r[0] < end]
    allowed = allowance(sum(not r[3] for r in base), len(base), round(settle / slot))
    out = {"bad": sum(r[2] for r in in_watch), "in_flight": sum(r[2] and r[3] for r in in_watch), "allowance": allowed}
    out["masked"] = out["bad"] == 0
    done = sorted([d, end] + [r[1] for r in mine if not r[2] and d <= r[1] <= end])
    out["longest_gap_us"] = max(b - a for a, b in zip(done, done[1:]))
    if allowed is None:
        return out
    eps = episodes([(r[0], r[2]) for r in mine], allowed, settle, slot, end)
    before = [e for e in eps if heal is None or e[0] < heal]
    after = [e for e in eps if heal is not None and e[0] >= heal]
    stop = lambda e: end if e[1] is None else e[1]
    out["episodes"] = len(eps)
    out["first_impact_us"] = eps[0][0] - d if eps else None
    out["failover_us"] = (None if before[-1][1] is None else before[-1][1] - d) if before else 0
    out["return_us"] = (None if after[-1][1] is None else after[-1][1] - heal) if after else 0
    out["impaired_us"] = sum(stop(e) - e[0] for e in eps)
    spans = [[r[0] for r in mine if r[2] and e[0] <= r[0] < stop(e)] for e in eps]
    out["outage_us"] = max((s[-1] - s[0] for s in spans), default=0)
    if spans:
        s = spans[-1]
        out["resolution_us"] = max([slot] + ([rank([b - a for a, b in zip(s, s[1:])], 0.95)] if len(s) > 1 else []))
    return out


def compare(result, table):
    """Differences [(step, journey, figure, reported, recomputed)]."""
    load, diffs = result["load"], []
    rows = [(int(r["due_us"]), int(r["done_us"]), r["outcome"], r["good"] in ("1", "true"), r["journey"]) for r in table]
    warm_end = min((s["dispatched_us"] for s in result["steps"]), default=0)
    first = warm_end
    base_from = load["steps_zero_us"]
    for step in result["steps"]:
        for name, told in [("all", step["failover"]), *step["failover"].get("journeys", {}).items()]:
            mine = [r[:4] for r in rows if name in ("all", r[4])]
            truth = dossier(mine, step, base_from, first, told["settle_us"], told["slot_us"])
            for key, want in truth.items():
                got = told.get(key)
                same = got == want if got is None or want is None or isinstance(want, bool) else abs(got - want) <= 2
                if not same:
                    diffs.append((step["name"], name, key, got, want))
    return diffs


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    found = compare(json.load(open(sys.argv[1])), list(csv.DictReader(open(sys.argv[2], newline=""))))
    for row in found:
        print("%s, %s: %s reported %s, recomputed %s" % row)
    print(f"{len(found)} differences")
    sys.exit(1 if found else 0)
