"""64-bit fingerprints of bytes, as TensorFlow sorts strings into bins: FarmHash and SipHash.

References:
    Pike, 2014, "FarmHash", the function `Fingerprint64`.
    Aumasson and Bernstein, 2012, "SipHash: a fast short-input PRF".
"""

_BITS = 2**64 - 1
_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F
_CROSS = 0xC6A4A7935BD1E995


def _read(data, start, size=8):
    return int.from_bytes(data[start : start + size], "little")


def _rotate(x, bits):
    """The 64 bits of `x`, rotated right."""
    x &= _BITS
    return (x >> bits | x << (64 - bits)) & _BITS


def _fold(x):
    x &= _BITS
    return x ^ x >> 47


def _mix(u, v, factor):
    a = _fold((u ^ v) * factor)
    return _fold((v ^ a) * factor) * factor & _BITS


def _short(data):
    """Of up to 16 bytes."""
    size = len(data)
    factor = _K2 + size * 2
    if size >= 8:
        a, b = _read(data, 0) + _K2, _read(data, size - 8)
        return _mix(
            _rotate(b, 37) * factor + a & _BITS, (_rotate(a, 25) + b) * factor & _BITS, factor
        )
    if size >= 4:
        return _mix(size + (_read(data, 0, 4) << 3), _read(data, size - 4, 4), factor)
    if size > 0:
        y = data[0] + (data[size >> 1] << 8)
        z = size + (data[-1] << 2)
        return _fold(y * _K2 ^ z * _K0) * _K2 & _BITS
    return _K2


def _medium(data):
    """Of 17 to 64 bytes."""
    size = len(data)
    factor = _K2 + size * 2
    of_first = _K1 if size <= 32 else _K2
    a, b = _read(data, 0) * of_first & _BITS, _read(data, 8)
    c, d = _read(data, size - 8) * factor & _BITS, _read(data, size - 16) * _K2
    y = _rotate(a + b, 43) + _rotate(c, 30) + d & _BITS
    z = _mix(y, a + _rotate(b + _K2, 18) + c & _BITS, factor)
    if size <= 32:
        return z
    e, f = _read(data, 16) * factor & _BITS, _read(data, 24)
    g = (y + _read(data, size - 32)) * factor & _BITS
    h = (z + _read(data, size - 24)) * factor
    first = _rotate(e + f, 43) + _rotate(g, 30) + h & _BITS
    return _mix(first, e + _rotate(f + a, 18) + g & _BITS, factor)


def _stir(data, start, a, b):
    """Two numbers, with 32 bytes stirred in."""
    w, x, y, z = (_read(data, start + 8 * i) for i in range(4))
    a += w
    b = _rotate(b + a + z, 21)
    c = a
    a += x + y
    return a + z & _BITS, b + _rotate(a, 44) + c & _BITS


def _round(data, start, x, y, z, v, w, factor, weight):
    """64 bytes stirred into all seven numbers."""
    x = _rotate(x + y + v[0] + _read(data, start + 8), 37) * factor
    y = _rotate(y + v[1] + _read(data, start + 48), 42) * factor
    x = (x & _BITS) ^ (w[1] * weight & _BITS)
    y = y + v[0] * weight + _read(data, start + 40) & _BITS
    z = _rotate(z + w[0], 33) * factor & _BITS
    v = _stir(data, start, v[1] * factor, x + w[0])
    w = _stir(data, start + 32, z + w[1], y + _read(data, start + 16))
    return z, y, x, v, w


def farm(data: bytes) -> int:
    """FarmHash's fingerprint.

    Args:
        data: The bytes.
    """
    size = len(data)
    if size <= 64:
        return _short(data) if size <= 16 else _medium(data)
    x = 81
    y = x * _K1 + 113 & _BITS
    z = _fold(y * _K2 + 113) * _K2 & _BITS
    x = x * _K2 + _read(data, 0) & _BITS
    v = w = (0, 0)
    for start in range(0, (size - 1) // 64 * 64, 64):
        x, y, z, v, w = _round(data, start, x, y, z, v, w, _K1, 1)
    factor = _K1 + ((z & 0xFF) << 1)
    left = w[0] + (size - 1 & 63)
    w, v = (left, w[1]), (v[0] + left, v[1])
    w = (w[0] + v[0] & _BITS, w[1])
    x, y, z, v, w = _round(data, size - 64, x, y, z, v, w, factor, 9)
    first = _mix(v[0], w[0], factor) + _fold(y) * _K0 + z & _BITS
    return _mix(first, _mix(v[1], w[1], factor) + x & _BITS, factor)


def sip(data: bytes, key: tuple[int, int]) -> int:
    """SipHash-2-4 under a key of two 64-bit numbers.

    Args:
        data: The bytes.
        key: The two numbers.
    """
    first, second = (k & _BITS for k in key)
    v = [
        first ^ 0x736F6D6570736575,
        second ^ 0x646F72616E646F6D,
        first ^ 0x6C7967656E657261,
        second ^ 0x7465646279746573,
    ]
    words = len(data) // 8 * 8
    last = (len(data) & 0xFF) << 56 | _read(data, words)
    for word in [*(_read(data, i) for i in range(0, words, 8)), last]:
        v[3] ^= word
        _sip_rounds(v, 2)
        v[0] ^= word
    v[2] ^= 0xFF
    _sip_rounds(v, 4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


# Which number gets which added, how far that is rotated, and whether the sum is rotated by half.
_SIP_STEPS = ((0, 1, 13, True), (2, 3, 16, False), (0, 3, 21, False), (2, 1, 17, True))


def _sip_rounds(v, count):
    for a, b, left, half in _SIP_STEPS * count:
        v[a] = v[a] + v[b] & _BITS
        v[b] = _rotate(v[b], 64 - left) ^ v[a]
        v[a] = _rotate(v[a], 32) if half else v[a]


def join(first: int, second: int) -> int:
    """One fingerprint of two, in this order.

    Args:
        first: A fingerprint.
        second: Another.
    """
    x = first ^ _CROSS ^ (_fold(second * _CROSS) * _CROSS & _BITS)
    return _fold(_fold(x * _CROSS) * _CROSS)
