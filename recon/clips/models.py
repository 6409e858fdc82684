"""Which model a clip is of, where no manifest says so: the folder's, unless names state different sources."""

import re
from collections.abc import Sequence
from dataclasses import replace

from recon.clips.source import ClipSource

REAL = ("real", "gt", "groundtruth", "original", "orig", "reference", "ref")
MADE = ("gen", "generated", "fake", "synthetic", "synth", "pred", "predicted")
"""Words by which people tell real clips from generated ones, at the beginning or the end of a name: ``real_3.mp4``,
``kitchen-gen.mp4``. Any other word may as well be a place or a person."""


def split_models(sources: Sequence[ClipSource]) -> tuple[list[ClipSource], list[str]]:
    """The sources with models by the words in their names, where the clips of one folder have different ones; and a
    sentence for each such folder.

    A clip without such a word keeps its folder's name. Real and generated clips in one folder would else be one model,
    whose rate is that of neither.
    """
    split = {
        model: words
        for model in dict.fromkeys(source.model for source in sources)
        if len(words := dict.fromkeys(source_word(s.name) for s in sources if s.model == model)) > 1
    }
    whole = {source.model for source in sources} - set(split)

    def model_of(source: ClipSource) -> str:
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
    """The word in a clip's name that says whether it is real or generated; '' where there is none."""
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
