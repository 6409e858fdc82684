"""What all back ends share: options, weights that are loaded once, and frames asked of a pipeline of diffusers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recon.compute.progress import note, progress
from recon.errors import BridgeError
from recon.pictures.eight_bit import to_eight_bit

PROMPT = "A real place, filmed sharply by a camera that moves slowly and steadily. Nothing in it moves."
"""Where the request has none."""
UNWANTED = "blurred, overexposed, flickering, people, moving things, text, watermark, painting, distorted"
LESS_MEMORY = "--model.offload sequential, fewer --model.max-frames and smaller pictures take less memory"
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
"""owner/name of the Hugging Face Hub."""


@dataclass(frozen=True)
class PipelineConfig:
    """Options of every back end; each states its own defaults."""

    weights: str = ""
    """A folder as save_pretrained of diffusers writes it, or a name of the Hugging Face Hub, whose files are loaded at first use."""
    device: str = "auto"
    """auto is CUDA where it is, else the CPU, on which full-size models are too slow to be of use."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """auto is bfloat16 on a GPU and float32 on a CPU."""
    offload: Literal["model", "sequential", "none"] = "model"
    """On a GPU: model keeps there only the network that computes; sequential only its layer, which is slow and needs least; none keeps
    all of them there."""
    steps: int = 50
    """Of the denoising: fewer are faster and worse."""
    guidance: float = 5.0
    """How strictly the words are followed; 1 is without, in half the time."""
    max_frames: int = 81
    """Frames of one call at most: memory grows with them."""
    turn_deg: float = 2.5
    """By how much the view turns, or what is seen shifts, from one frame to the next at most: frames are put between views that differ
    by more, because the camera does not jump in the videos from which it was trained."""
    prompt: str = PROMPT
    """Used where none is given with the request."""
    negative_prompt: str = UNWANTED
    """What should not be seen, where guidance is above 1."""

    def __post_init__(self) -> None:
        for name in ("steps", "max_frames"):
            if getattr(self, name) < 1:
                raise BridgeError(
                    f"expected --model.{name.replace('_', '-')} of at least 1, got {getattr(self, name)}"
                )
        if not self.turn_deg > 0:
            raise BridgeError(f"expected --model.turn-deg above 0, got {self.turn_deg}")
        folder = Path(self.weights).expanduser()
        if folder.exists() and not (folder / "model_index.json").is_file():
            raise BridgeError(
                f"expected a folder with a model_index.json as --model.weights, got {self.weights}; save_pretrained of diffusers "
                "writes one"
            )
        if not folder.exists() and not HUB_NAME.fullmatch(self.weights):
            raise BridgeError(
                f"expected a folder of weights or a name such as owner/model as --model.weights, got {self.weights!r}, which is neither"
            )

    def warn_early(self) -> str:
        """What is missing here and shows only when frames are made, after long work: weights, a GPU; '' where nothing is."""
        said = []
        if not (Path(self.weights).expanduser().exists() or _is_downloaded(self.weights)):
            said.append(
                f"the weights {self.weights} are not on this machine and will be downloaded when frames are first made; to have them "
                f"before: hf download {self.weights}"
            )
        if self.device == "auto" and not torch.cuda.is_available():
            said.append("there is no CUDA GPU here, and without one networks of full size take hours")
        return "; ".join(said)


def _is_downloaded(name: str) -> bool:
    """Whether the index of a pipeline of the hub lies in the cache of this machine."""
    from transformers.utils import cached_file

    try:
        return cached_file(name, "model_index.json", local_files_only=True) is not None
    except (OSError, ValueError):
        return False


_loaded: dict[tuple[object, ...], Any] = {}
"""The last pipeline, by what it was loaded from: a run asks several times, and two would not fit in memory."""


class PipelineModel:
    """A world model around one pipeline of diffusers, loaded when first asked.

    Args:
        pipeline: a loaded one, which is used as it is; None: of the weights.
    """

    name: ClassVar[str]
    kind: ClassVar[str]
    """Class of diffusers."""
    options: ClassVar[type[PipelineConfig]]
    """Its dataclass of options, whose defaults are taken where none are given."""
    exact: ClassVar[tuple[str, ...]] = ()
    """Parts that are computed in float32, whatever the rest is."""

    def __init__(self, config: PipelineConfig | None = None, pipeline: Any | None = None) -> None:
        self.config = config or self.options()
        self._given = pipeline

    def load(self) -> Any:
        """The pipeline on its device; loaded once and kept until another is asked for.

        Raises:
            BridgeError: weights that cannot be had or read.
        """
        if self._given is not None:
            return self._given
        config = self.config
        key = (
            self.kind,
            config.weights,
            config.device,
            config.dtype,
            config.offload,
            *self.load_arguments().items(),
        )
        if key not in _loaded:
            _loaded.clear()
            _loaded[key] = self._read()
        return _loaded[key]

    def load_arguments(self) -> dict[str, Any]:
        """What from_pretrained is given besides."""
        return {}

    def _read(self) -> Any:
        import diffusers
        import transformers

        for library in (diffusers, transformers):  # one line says what is loaded
            library.utils.logging.disable_progress_bar()
        config = self.config
        device = (
            ("cuda" if torch.cuda.is_available() else "cpu") if config.device == "auto" else config.device
        )
        on_cpu = torch.device(device).type == "cpu"
        name = ("float32" if on_cpu else "bfloat16") if config.dtype == "auto" else config.dtype
        dtypes = {"default": getattr(torch, name)} | dict.fromkeys(self.exact, torch.float32)
        slow = "; without a GPU networks of full size take hours" if on_cpu else ""
        note(f"loading {config.weights} for {self.name}{slow}")
        try:
            # safetensors alone, and no code of the repository: weights of strangers run nothing
            pipe = getattr(diffusers, self.kind).from_pretrained(
                str(Path(config.weights).expanduser()) if Path(config.weights).expanduser().exists() else config.weights,
                dtype=dtypes, use_safetensors=True, trust_remote_code=False, **self.load_arguments(),
            )  # fmt: skip
        except (MemoryError, torch.OutOfMemoryError):
            note(f"{self.name}: {LESS_MEMORY}")
            raise
        except Exception as error:
            raise BridgeError(
                f"the weights {config.weights} of {self.name} cannot be loaded: {in_one_line(error)}; name a folder of them with "
                "--model.weights, or see to the network and to the licence that the Hub may want accepted"
            ) from error
        pipe.set_progress_bar_config(disable=True)
        if on_cpu or config.offload == "none":
            return pipe.to(device)
        (pipe.enable_model_cpu_offload if config.offload == "model" else pipe.enable_sequential_cpu_offload)(
            device=device
        )
        return pipe

    def ask(self, *, generator: torch.Generator, prompt: str | None, **arguments: Any) -> Any:
        """The pipeline's answer; the same generator state gives the same on the same device.

        Raises:
            BridgeError: the pipeline failed.
        """
        config, pipe = self.config, self.load()
        with progress(f"making frames with {self.name}", config.steps) as update:

            def step(_pipe: Any, done: int, _time: Any, _tensors: dict[str, Any]) -> dict[str, Any]:
                update(done + 1, "")
                return {}

            try:
                return pipe(
                    prompt=prompt or config.prompt,
                    negative_prompt=config.negative_prompt,
                    num_inference_steps=config.steps,
                    guidance_scale=config.guidance,
                    generator=generator,
                    callback_on_step_end=step,
                    **{"output_type": "np"} | arguments,
                )
            except BridgeError:
                raise
            except (MemoryError, torch.OutOfMemoryError):
                note(f"{self.name}: {LESS_MEMORY}")
                raise
            except Exception as error:
                raise BridgeError(f"the world model {self.name} failed: {in_one_line(error)}") from error


def as_pictures(images: Float[Tensor, "n h w 3"]) -> list[Any]:
    """As PIL takes them, 8 bits."""
    from PIL import Image

    return [Image.fromarray(pixels) for pixels in to_eight_bit(images).numpy()]


def as_images(frames: np.ndarray | Sequence[Any] | Tensor) -> Float[Tensor, "n h w 3"]:
    """Frames of a pipeline, [n,h,w,3] in [0, 1], in memory."""
    return torch.as_tensor(np.asarray(frames, np.float32)).clamp(0, 1)


def in_one_line(error: Exception) -> str:
    """Kind and words of an error, shortened."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
