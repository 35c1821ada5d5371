"""Requests by path and status, and how long they took, as Prometheus reads it."""

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

_requests: dict[tuple[str, int], int] = {}
_buckets = [0] * (len(BOUNDS) + 1)
_sum = 0.0


def count(path: str, status: int, seconds: float) -> None:
    global _sum
    _requests[path, status] = _requests.get((path, status), 0) + 1
    _sum += seconds
    for at, bound in enumerate(BOUNDS):
        if seconds <= bound:
            _buckets[at] += 1
            return
    _buckets[-1] += 1


def exposition() -> str:
    lines = ["# TYPE tenant_requests_total counter"]
    lines += [
        f'tenant_requests_total{{path="{path}",status="{status}"}} {number}'
        for (path, status), number in sorted(_requests.items())
    ]
    lines.append("# TYPE tenant_request_seconds histogram")
    total = 0
    for bound, number in zip((*BOUNDS, "+Inf"), _buckets):
        total += number
        lines.append(f'tenant_request_seconds_bucket{{le="{bound}"}} {total}')
    lines += [f"tenant_request_seconds_sum {_sum:.6f}", f"tenant_request_seconds_count {total}"]
    return "\n".join(lines) + "\n"
