"""Figures that others published: for scale only, on other clips and by rules that their papers do not fully state."""

from eval.results.measure import Published

_COSMOS = "Cosmos World Foundation Model Platform, arXiv 2501.03575"
_OTHER = "other clips, another recovery: for scale, no comparison"

PUBLISHED: list[Published] = [
    Published(
        who="Cosmos, text to world",
        what="clips with recoverable poses",
        value="62.6%",
        source=_COSMOS,
        note=_OTHER,
    ),
    Published(
        who="real videos, the control of that figure",
        what="clips with recoverable poses",
        value="56.4%",
        source=_COSMOS,
        note=_OTHER,
    ),
    Published(
        who="Cosmos, camera-conditioned",
        what="pose estimation success rate",
        value="82.0%",
        source=_COSMOS,
        note=_OTHER,
    ),
    Published(
        who="Cosmos, camera-conditioned",
        what="rotation error",
        value="1.646°",
        source=_COSMOS,
        note=_OTHER,
    ),
    Published(
        who="Cosmos, camera-conditioned",
        what="translation error",
        value="0.038",
        source=_COSMOS,
        note=_OTHER,
    ),
]
