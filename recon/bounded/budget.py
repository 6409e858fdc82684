"""Limits on the memory of an input, checked before it is taken."""

from recon.errors import BridgeError

MOST_PIXELS = 178_956_970
"""Pixels of one decoded picture: Pillow's own limit. A phone's 200 million come as JPEG, decoded at a part of their size."""


def check_pixels(width: int, height: int, what: object, *, error: type[BridgeError] = BridgeError) -> None:
    """Refuse to decode a picture of too many pixels.

    Raises:
        BridgeError: more than `MOST_PIXELS`, or a side below 1.
    """
    if width < 1 or height < 1 or width * height > MOST_PIXELS:
        raise error(
            f"{what} is a picture of {width}x{height}; up to {MOST_PIXELS / 1e6:.0f} million pixels are decoded"
        )


def check_memory(size: int, what: str, cure: str, *, error: type[BridgeError] = BridgeError) -> None:
    """Refuse an input that takes more than half of this computer's memory.

    Args:
        size: bytes.
        what: beginning of the sentence: ``"500 frames of 640x352"``.
        cure: its end: ``"take fewer with --frames"``.
        error: class of the error.

    Raises:
        BridgeError: states both sizes.
    """
    import psutil

    there = psutil.virtual_memory().total
    if size > there // 2:
        raise error(
            f"{what} would take {size / 2**30:,.1f} GiB of memory, and this computer has {there / 2**30:,.1f} GiB; {cure}"
        )
