"""Everything the compiled engine does, on ordinary and on odd input; run under sanitizers by a test beside it.

Prints the largest difference to the reference. What the sanitizers find ends the process.
"""

import math

import torch

from recon.cameras import Cameras, intrinsics, look_at
from recon.gaussians import Gaussians
from recon.splats.loss import photometric_loss
from recon.splats.native.library import load
from recon.splats.native.trainer import NativeTrainer
from recon.splats.parameters import LearningRates
from recon.splats.pyramid import View
from recon.splats.render import render, render_with_screen
from recon.splats.trainer import Exposure, Moment

ODD = {
    "means": torch.tensor([0.0, 0.0, -9.0]),
    "log_scales": torch.tensor([9.0, -20.0, -20.0]),
    "quats_wxyz": torch.zeros(4),
    "opacity_logits": torch.tensor(60.0),
}


def scene(g: int, generator: torch.Generator) -> Gaussians:
    normal = torch.randn(g, 10, generator=generator)
    return Gaussians(
        means=normal[:, :3],
        quats_wxyz=normal[:, 3:7],
        log_scales=normal[:, 7:] * 0.5 + math.log(0.1),
        opacity_logits=torch.randn(g, generator=generator) * 2,
        sh=torch.randn(g, 16, 3, generator=generator) * 0.3,
    )


def camera(width: int, height: int) -> Cameras:
    eye = torch.tensor([[0.4, 0.2, -3.0]], dtype=torch.float64)
    up = torch.tensor([[0.0, -1, 0]], dtype=torch.float64)
    pose = look_at(eye, torch.zeros_like(eye), up).requires_grad_()
    return Cameras(pose, intrinsics(focal_px=0.9 * width, width=width, height=height), width, height)


def drawn_and_derived(gaussians: Gaussians, view: Cameras, **style: bool) -> None:
    leaves = Gaussians(**{k: v.clone().requires_grad_() for k, v in gaussians.tensors().items()})
    drawn, _ = render_with_screen(leaves, view, engine="cpu", median_depth=True, **style)
    assert drawn.depth_median is not None
    (drawn.images.sum() + drawn.depth.sum() + drawn.alpha.sum() + drawn.depth_median.sum()).backward()


def main() -> None:
    load()
    g = torch.Generator().manual_seed(0)
    crowd = scene(600, g)  # in several bands, as few entries are allowed in one
    worst = 0.0
    for width, height in ((1, 1), (3, 5), (16, 16), (53, 37), (70, 130)):
        view = camera(width, height)
        truth = render(crowd.to(dtype=torch.float64), view, engine="reference").images
        worst = max(worst, float((render(crowd, view, engine="cpu").images - truth).abs().max()))
        drawn_and_derived(crowd, view, antialiased=True)
    view = camera(53, 37)
    for count in (0, 1, 15, 16, 17):
        drawn_and_derived(crowd[:count], view)
    for name, value in ODD.items():
        odd = crowd[:20].tensors()
        odd[name] = value.expand_as(odd[name]).clone()
        drawn_and_derived(Gaussians(**odd), view)
    nan = Gaussians(**{k: torch.full_like(v, torch.nan) for k, v in crowd[:20].tensors().items()})
    drawn_and_derived(nan, view)
    target, weight = torch.rand(37, 53, 3, generator=g), (torch.rand(37, 53, generator=g) - 0.3).clamp_min(0)
    for size in ((37, 53), (1, 1), (9, 2), (37, 5)):
        image = torch.rand(*size, 3, generator=g).requires_grad_()
        photometric_loss(image, target[: size[0], : size[1]], weight[: size[0], : size[1]]).backward()
    trainer = NativeTrainer(
        crowd,
        LearningRates(),
        1.0,
        background=(0.1, 0.2, 0.3),
        lambda_dssim=0.2,
        exposure=Exposure(1, 1e-3),
        antialiased=True,
    )
    for i in range(5):
        trainer.step(
            0, View(target, weight, view), Moment(i + 1, i / 5, (i + 1) / 5), min(i, 3), (1e-4, 1e-4)
        )
        trainer.explore(1.0, g)
    print(worst)  # noqa: T201


if __name__ == "__main__":
    main()
