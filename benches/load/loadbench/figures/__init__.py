"""The figures by name, in the order in which they are measured. Each is a function that takes the bench and gives lines."""
from . import books, deadline, generator_stall, kill, light, memory, open_loop, pacing, reload, screen, server_stall, throughput

FIGURES = {
    "throughput": ("Most requests a second, plain HTTP/1.1, closed loop", throughput.plain),
    "tls": ("The same over TLS", throughput.tls),
    "http2": ("HTTP/2, one connection with 32 streams, closed loop", throughput.http2),
    "open-loop": ("20,000/s, open loop, by ticks", open_loop.measure),
    "books": ("What was asked against rate × time, and against what became of it", books.measure),
    "pacing": ("Arrivals at the server against their schedule", pacing.measure),
    "light": ("1,000/s", light.measure),
    "server-stall": ("The server stands still for 1 s: what callers waited", server_stall.measure),
    "generator-stall": ("The generator stands still for 1 s", generator_stall.measure),
    "deadline": ("The server stands still for 2 s, timeout 500 ms, 10,000/s", deadline.measure),
    "kill": ("The server is killed for 2 s: the outage as `firedrill run` reports it, and as it was", kill.measure),
    "reload": ("nginx reloads four times under load", reload.measure),
    "screen": ("The game day's screen beside a load of 5,000/s", screen.measure),
    "memory": ("Memory, 64 connections", memory.measure),
}
