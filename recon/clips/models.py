"""Models of clips without a manifest: the folder's name, unless the clips' names state different sources."""

import re
from collections.abc import Sequence
from dataclasses import replace

from recon.clips.source import ClipSource

REAL = ("real", "gt", "groundtruth", "original", "orig", "reference", "ref")
MADE = ("gen", "generated", "fake", "synthetic", "synth", "pred", "predicted")
"""Words by which people tell real clips from generated ones, at the beginning or the end of a name: ``real_3.mp4``,
``kitchen-gen.mp4``. Any other word may as well be a place or a person."""


def split_models(sources: Sequence[ClipSource]) -> tuple[list[ClipSource], list[str]]:
    """Split the clips of a folder into models by words in their names, where these differ.

    A clip without such a word keeps its folder's name. Otherwise real and generated clips in one folder would be one model,
    whose rate is that of neither.

    Returns:
        The sources with their models, and a sentence for each folder that was split.
    """
    split = {
        model: words
        for model in dict.fromkeys(source.model for source in sources)
        if len(words := dict.fromkeys(source_word(s.name) for s in sources if s.model == model)) > 1
    }
    whole = {source.model for source in sources} - set(split)

    def model_of(source: ClipSource) -> str:
        """Model of a clip: its folder's name, its word, or both."""
        word = source_word(source.name)
        if source.model not in split or not word:
            return source.model
        return word if len(split) == 1 and word not in whole else f"{source.model}/{word}"

    named = [replace(source, model=model_of(source)) for source in sources]
    said = []
    for folder in split:
        models = dict.fromkeys(n.model for n, s in zip(named, sources, strict=True) if s.model == folder)
        said.append(
            f"The clips of {folder} are taken for {len(models)} models, {', '.join(models)}, because their names state "
            "different sources."
        )
    return named, said


def source_word(name: str) -> str:
    """Word in a clip's name that tells whether it is real or generated; '' without one."""
    words = [word.strip("0123456789") for word in re.split(r"[\W_]+", name.rpartition("/")[2].lower())]
    words = [word for word in words if word]
    if words[:2] == ["real", "estate"]:  # RealEstate10K, whatever was made of it
        return ""
    return next((word for word in (words[:1] + words[-1:]) if word in REAL + MADE), "")


def sounds_made(model: str) -> bool:
    """Whether a model's name says that its clips are generated."""
    return source_word(model) in MADE


def sounds_real(model: str) -> bool:
    """Whether a model's name says that its clips are real."""
    return source_word(model) in REAL
