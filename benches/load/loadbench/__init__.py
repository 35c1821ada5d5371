"""The bench of the load engine, in the order in which a run meets its parts:

main        options, the figures asked for, the table at the end
contenders  the generators: what starts each, and what each says it did
server      nginx on free ports: plain, TLS, HTTP/2, h2c
process     a generator as a child on a core of its own: CPU, memory, exit code
rounds      every contender once a round, in rotated order
figures/    one file a figure, or a family of figures
capture     packets on the loopback device with the kernel's time stamps
schedule    what the stamps say about pacing and about waiting
rows        a figure's line: medians, ranges, ratios, limits
table       the lines as a person reads them
"""
