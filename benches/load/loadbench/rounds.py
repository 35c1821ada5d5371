"""Every contender once a round, in rotated order: what a machine does slowly hits all of them alike, and nobody is always
the one that runs after somebody else."""
import sys

from .process import Child


def interleave(contenders, rounds, measure):
    """What `measure(contender)` said, by the contender's name, one for each round."""
    said = {contender.name: [] for contender in contenders}
    for number in range(rounds):
        turn = number % len(contenders)
        for contender in contenders[turn:] + contenders[:turn]:
            said[contender.name].append(measure(contender))
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return said


class Bench:
    """What the figures work with."""

    def __init__(self, options, firedrill, peers, server):
        self.options, self.firedrill, self.peers, self.server = options, firedrill, peers, server
        self.stolen = []  # shares of the cores, of every run

    def peer(self, *names):
        return [self.peers[name] for name in names if name in self.peers]

    def start(self, contender, load):
        return Child(contender.command(load), self.options.generator_core, self.server)

    def end(self, child):
        ended = child.wait()
        self.stolen.append(ended.stolen)
        return ended

    def run(self, contender, load):
        """From start to end: how it ended, and what it said."""
        with self.start(contender, load) as child:
            ended = self.end(child)
        return ended, contender.said(ended)
