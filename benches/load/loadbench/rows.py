"""A figure's line: the rounds' values, a peer's in the same rounds, the ratio of each pair, and the limit."""
from dataclasses import dataclass, field
from statistics import median


@dataclass
class Limit:
    """On the ratio where there is a peer, else on the value."""

    op: str  # "<=", ">=" or "=="
    bound: float
    stretch: bool = False  # would be nice

    def met(self, value):
        return {"<=": value <= self.bound, ">=": value >= self.bound, "==": value == self.bound}[self.op]


@dataclass
class Row:
    name: str
    unit: str
    values: list
    peer: str | None = None
    peer_values: list = field(default_factory=list)
    limit: Limit | None = None
    note: str = ""

    def ratios(self):
        """Of each pair, that is of the two runs of one round."""
        return [ours / theirs for ours, theirs in zip(self.values, self.peer_values) if theirs]

    def judged(self):
        return self.ratios() if self.peer else self.values

    def met(self):
        """None where nothing was to be met, or nothing was measured."""
        if self.limit is None or not self.judged():
            return None
        return self.limit.met(median(self.judged()))

    def document(self):
        return {
            "name": self.name,
            "unit": self.unit,
            "values": self.values,
            "peer": self.peer,
            "peer_values": self.peer_values,
            "ratios": self.ratios() if self.peer else [],
            "limit": f"{self.limit.op} {self.limit.bound:g}" if self.limit else None,
            "stretch": bool(self.limit and self.limit.stretch),
            "met": self.met(),
            "note": self.note,
        }


def against(name, unit, ours, peers, limits):
    """One line for each peer that was there; one without a peer where none was. `limits` by the peer's name."""
    lines = [Row(name, unit, ours, peer, values, limits.get(peer)) for peer, values in peers.items()]
    return lines or [Row(name, unit, ours)]
