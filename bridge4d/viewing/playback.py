"""Which frame of a moving scene is due while it plays."""

import time
from collections.abc import Callable

from recon.sequence import GaussianFrames


class Playback:
    """Plays in real time and from the start again at the end; a slow browser skips frames.

    Args:
        moving: the scene.
        clock: seconds from any beginning.
    """

    def __init__(self, moving: GaussianFrames, clock: Callable[[], float] = time.monotonic) -> None:
        self._moving, self._clock = moving, clock
        self._first_s = float(moving.times_s[0])
        # the last frame stays as long as the others do on average
        self._length_s = float(moving.times_s[-1]) - self._first_s + 1 / (moving.fps or 1.0)
        self._began_s: float | None = None
        self._frame: int | None = None

    def next_frame(self, frame: int, *, playing: bool) -> int:
        """The frame to show.

        Args:
            frame: where the slider stands; if a person moved it, playing goes on from there.
            playing: else the slider decides.
        """
        if not playing:
            self._began_s = None
            return frame
        now = self._clock()
        if self._began_s is None or frame != self._frame:
            self._began_s = now - (float(self._moving.times_s[frame]) - self._first_s)
        self._frame = self._moving.index_at(self._first_s + (now - self._began_s) % self._length_s)
        return self._frame
