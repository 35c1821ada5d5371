"""The scenario of a whole run against the benchmarks' server."""

HEAD = """version: 1
name: {name}
seed: 1
stack: {{ external: {{ addresses: {{ server: "127.0.0.1:{port}" }} }} }}
load:
  base_url: http://127.0.0.1:{port}
  warmup: 1s
  stages: [ {{ rate: {rate}/s, for: {seconds}s }} ]
  timeout: 1s
  connections: {{ max: 32 }}
  request: {{ get: / }}
"""


def scenario(name, port, rate, seconds, rest):
    """Its text; `rest` follows the load, and may go on with it."""
    return HEAD.format(name=name, port=port, rate=rate, seconds=seconds) + rest
