"""What time stamps of packets say about pacing, and about how long callers waited."""
import math
import re
from dataclasses import dataclass
from statistics import linear_regression

from .problem import Problem

SETTLED = 1.0  # the first second is left out: connections are made in it


@dataclass
class Pacing:
    p50: float  # seconds behind the schedule
    p99: float
    burst: int  # most arrivals within any 1 ms
    arrivals: int


def pacing(stamps, rate, fit_rate=False):
    """Of the arrivals at the server against the schedule that fits them best: arrival k belongs to slot k, and the offset is
    that of the arrival which is earliest against its slot, so that no error is below zero. With `fit_rate` the spacing is
    fitted too, by least squares: good for a generator whose rate is a little off, which is no matter of pacing."""
    stamps = sorted(stamps)
    if not stamps:
        raise Problem("no request was seen on loopback; is the server on another device?")
    stamps = [at for at in stamps if at - stamps[0] >= SETTLED]
    spacing = 1 / rate
    if fit_rate:
        spacing = linear_regression(range(len(stamps)), [at - stamps[0] for at in stamps]).slope
    behind = [at - stamps[0] - slot * spacing for slot, at in enumerate(stamps)]
    earliest = min(behind)
    errors = sorted(late - earliest for late in behind)
    return Pacing(percentile(errors, 0.5), percentile(errors, 0.99), burst(stamps, 0.001), len(stamps))


def burst(stamps, within):
    most = first = 0
    for last, at in enumerate(stamps):
        while at - stamps[first] >= within:
            first += 1
        most = max(most, last - first + 1)
    return most


def percentile(ordered, share):
    """Nearest rank."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


NUMBERED = re.compile(rb"^GET /(\d+) ")


def waits(packets, rate):
    """How long each numbered request took from its due time to its answer, by the packets: request n is due at n / rate from
    an offset that the earliest of all requests gives. One request at a time on a connection: the answer is the next
    segment that comes back on it."""
    first = {}  # when each request first left
    asked = {}  # client port -> the request that is on it
    answered = {}
    for packet in packets:
        if packet.to_server:
            if line := NUMBERED.match(packet.payload):
                number = int(line[1])
                first.setdefault(number, packet.at)
                asked[packet.client_port] = number
        elif (number := asked.pop(packet.client_port, None)) is not None:
            answered[number] = packet.at
    offset = min(at - number / rate for number, at in first.items())
    return sorted(at - number / rate - offset for number, at in answered.items())


def stall_waits(rate, seconds, stall):
    """What callers wait who come by the clock when a server that takes no time stands still once, by arithmetic."""
    stalled = [stall - slot / rate for slot in range(int(stall * rate))]
    return sorted(stalled + [0.0] * (int(rate * seconds) - len(stalled)))
