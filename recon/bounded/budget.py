"""How much memory an input may take, decided before it is taken."""

from recon.errors import BridgeError

MOST_PIXELS = 178_956_970
"""Of one picture, decoded: Pillow's own limit. A phone's 200 million come as JPEG, decoded at a part of their size."""


def check_pixels(width: int, height: int, what: object, *, error: type[BridgeError] = BridgeError) -> None:
    """Refuses to decode a picture of too many pixels.

    Raises:
        BridgeError: more than `MOST_PIXELS`, or none.
    """
    if width < 1 or height < 1 or width * height > MOST_PIXELS:
        raise error(
            f"{what} is a picture of {width}x{height}; up to {MOST_PIXELS / 1e6:.0f} million pixels are decoded"
        )


def check_memory(size: int, what: str, cure: str, *, error: type[BridgeError] = BridgeError) -> None:
    """Refuses what takes more than half of the memory that this computer has.

    Args:
        size: bytes.
        what: begins the sentence: ``"500 frames of 640x352"``.
        cure: ends it: ``"take fewer with --frames"``.
        error: the class of what is raised.

    Raises:
        BridgeError: it is more.
    """
    import psutil

    there = psutil.virtual_memory().total
    if size > there // 2:
        raise error(
            f"{what} would take {size / 2**30:,.1f} GiB of memory, and this computer has {there / 2**30:,.1f} GiB; {cure}"
        )
