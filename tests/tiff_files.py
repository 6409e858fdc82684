"""TIFFs with tags that no library here writes, byte by byte."""

import struct

import numpy as np

SHORT, LONG, RATIONAL = 3, 4, 5
SIZE_OF = {SHORT: 2, LONG: 4, RATIONAL: 8}
WIDTH_TAG, HEIGHT_TAG, PHOTOMETRIC, ORIENTATION, X_RESOLUTION, Y_RESOLUTION = 256, 257, 262, 274, 282, 283


def tiff_bytes(
    pixels: np.ndarray, *, big_endian: bool = False, tags: dict[int, int | tuple[int, int]] | None = None
) -> bytes:
    """An uncompressed TIFF of [h, w] or [h, w, c] pixels of any type; `tags` adds to what it states, or replaces it."""
    sign = ">" if big_endian else "<"
    planes = np.atleast_3d(pixels)
    height, width, channels = planes.shape
    data = planes.astype(planes.dtype.newbyteorder(sign)).tobytes()
    kind = {"u": 1, "i": 2, "f": 3}[planes.dtype.kind]
    stated: dict[int, tuple[int, list]] = {
        WIDTH_TAG: (LONG, [width]),
        HEIGHT_TAG: (LONG, [height]),
        258: (SHORT, [8 * planes.dtype.itemsize] * channels),
        259: (SHORT, [1]),
        PHOTOMETRIC: (SHORT, [2 if channels == 3 else 1]),
        273: (LONG, [0]),  # where the pixels begin, entered below
        277: (SHORT, [channels]),
        278: (LONG, [height]),
        279: (LONG, [len(data)]),
        284: (SHORT, [1]),
        339: (SHORT, [kind] * channels),
    }
    for tag, value in (tags or {}).items():
        stated[tag] = (RATIONAL, [value]) if isinstance(value, tuple) else (SHORT, [value])
    ends = 8 + 2 + 12 * len(stated) + 4
    beyond = sum(size for kind, values in stated.values() if (size := SIZE_OF[kind] * len(values)) > 4)
    stated[273] = (LONG, [ends + beyond])
    entries, extra = b"", b""
    for tag, (kind, values) in sorted(stated.items()):
        raw = b"".join(
            struct.pack(f"{sign}II", *value)
            if kind == RATIONAL
            else struct.pack(f"{sign}{'H' if kind == SHORT else 'I'}", value)
            for value in values
        )
        place = raw.ljust(4, b"\0") if len(raw) <= 4 else struct.pack(f"{sign}I", ends + len(extra))
        extra += raw if len(raw) > 4 else b""
        entries += struct.pack(f"{sign}HHI", tag, kind, len(values)) + place
    head = (b"MM\0*" if big_endian else b"II*\0") + struct.pack(f"{sign}IH", 8, len(stated))
    return head + entries + bytes(4) + extra + data
