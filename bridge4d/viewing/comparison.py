"""A picture beside what the scene shows from the same camera."""

import base64
import html
import io
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bridge4d.runs import store
from bridge4d.scenes import GENERATED, SceneView
from bridge4d.viewing.pictures import KINDS, kind_of
from eval.pictures.images import psnr
from recon.gaussians import Gaussians
from recon.scenefiles import RenderMode
from recon.splats.render import draw_views

SHOWN_PX = 640
"""Long side of the pictures in the panel; twice what it gives them, for dense screens."""
JPEG_QUALITY = 90
"""Of pictures in the panel: differences to the scene must not be JPEG's."""


def compare(view: SceneView, gaussians: Gaussians, render_mode: RenderMode) -> str:
    """HTML: the picture, our rendering from its camera, and the confidence that came with a generated one.

    Args:
        view: of the run.
        gaussians: the scene that is shown.
        render_mode: as it was trained.
    """
    picture = view.crop(store.load_picture(view.picture))
    drawn = draw_views(gaussians, view.own_camera.to(dtype=torch.float32), antialiased=render_mode == "mip")
    rendering = drawn.images[0].clamp(0, 1)
    alike = ""
    if picture.shape == rendering.shape:
        alike = f", PSNR {float(psnr(picture[None], rendering[None])):.1f} dB"
    figures = [
        _figure(picture, "generated frame" if view.role == GENERATED else "photo"),
        _figure(rendering, f"this scene from its camera{alike}"),
    ]
    if view.confidence is not None:
        figures.append(_figure(_load_grey(view), "confidence stated by the world model: black 0, white 1"))
    return f"{_heading(view)}<div style='display:flex;gap:6px;padding:6px'>{''.join(figures)}</div>"


def placeholder(view: SceneView) -> str:
    """HTML until `compare` is done."""
    return f"{_heading(view)}<div style='padding:6px'>rendering …</div>"


def legend(views: Sequence[SceneView]) -> str:
    """HTML: colours of the kinds that are there, and how many of each."""
    counts = {kind: sum(kind_of(view) == kind for view in views) for kind in KINDS}
    rows = [
        f"<div>{_swatch(KINDS[kind].color)} {count} {KINDS[kind].title}</div>"
        for kind, count in counts.items()
        if count
    ]
    return f"<div style='padding:0 0.8em;font-size:0.9em;line-height:1.6'>{''.join(rows)}</div>"


def _heading(view: SceneView) -> str:
    kind = KINDS[kind_of(view)]
    said = f"{kind_of(view)}: {view.reason}" if view.role == GENERATED else kind.title.removesuffix("s")
    return (
        f"<div style='padding:6px 6px 0'>{_swatch(kind.color)} <b>{html.escape(view.name)}</b> "
        f"{html.escape(said)}</div>"
    )


def _swatch(color: tuple[int, int, int]) -> str:
    return (
        f"<span style='display:inline-block;width:0.8em;height:0.8em;border-radius:2px;"
        f"background:rgb{color}'></span>"
    )


def _figure(picture: Float[Tensor, "h w 3"], caption: str) -> str:
    source = base64.b64encode(_jpeg(picture)).decode()
    return (
        f"<figure style='margin:0;flex:1;min-width:0'><img src='data:image/jpeg;base64,{source}' "
        f"style='width:100%;display:block'><figcaption style='font-size:0.8em'>{html.escape(caption)}"
        "</figcaption></figure>"
    )


def _jpeg(picture: Float[Tensor, "h w 3"]) -> bytes:
    from PIL import Image

    image = Image.fromarray((picture.numpy() * 255).round().astype(np.uint8))
    image.thumbnail((SHOWN_PX, SHOWN_PX))
    content = io.BytesIO()
    image.save(content, "JPEG", quality=JPEG_QUALITY)
    return content.getvalue()


def _load_grey(view: SceneView) -> Float[Tensor, "h w 3"]:
    """The confidence map, 0 to 1."""
    from PIL import Image

    with Image.open(str(view.confidence)) as image:
        grey = np.asarray(image, dtype=np.float32) / 65535
    return torch.from_numpy(grey)[..., None].expand(-1, -1, 3)
