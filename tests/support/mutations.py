"""Random changes of JSON values and of bytes, as a stranger's files may have them."""

HUGE = 10**15
# Of sizes, counts and rates: what fills a memory, or never ends.
NUMBERS = [10**6, 10**9, 2**31, 2**63, 10**30, -(10**9), 1e-300, 1e30, -0.5, 3.7]


def mutate(node, rng, depth=0):
    """Change one random place of a JSON value."""
    strange = [
        None, True, -1, 0, 1e308, float("nan"), float("inf"), HUGE, "", "os.system", "../../etc",
        [], {}, [[]], "__lambda__", {"class_name": "__lambda__", "config": {}}, "relu" * 99,
        {"class_name": "Dense", "config": {"units": 2}}, [None] * 9,
        {"class_name": "function", "config": "eval"},
        {"class_name": "__tensor__", "config": {"value": [1], "dtype": "float32"}},
    ]  # fmt: skip
    if isinstance(node, dict | list) and node and rng.random() < 0.93:
        key = rng.choice(list(node) if isinstance(node, dict) else range(len(node)))
        deed = rng.random()
        if deed < 0.05:
            del node[key]
        elif deed < 0.1 and isinstance(node, dict):
            node[rng.choice(["class_name", "module", "config", "extra", "name"])] = node[key]
        else:
            node[key] = mutate(node[key], rng, depth + 1)
        return node
    is_number = isinstance(node, int | float) and not isinstance(node, bool)
    return rng.choice(NUMBERS if is_number and rng.random() < 0.5 else strange)


def spoil(data, rng):
    """Change some bytes of a file."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 3, 20])):
        at, deed = rng.randrange(len(data) + 1), rng.random()
        if deed < 0.6 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif deed < 0.75:
            del data[at : at + rng.choice([1, 8, 100])]
        elif deed < 0.9:
            data[at:at] = rng.choice([b"\xff" * 8, b"\0" * 8, bytes(data[:64])])
        else:
            data[at : at + 8] = (2**62).to_bytes(8, "little")
    return bytes(data)
