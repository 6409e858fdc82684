"""A rendered scene with exact cameras that SIFT can work with, and the proof that its cameras are exact."""

from functools import lru_cache

import cv2
import numpy as np
import torch

from recon.cameras import Cameras, intrinsics, look_at, project
from recon.clip import Clip
from recon.pictures.canvas import center_box, confidence_of, pad_picture

# centre, half axes along the texture's width and height; painted in this order, far to near
PLANES = [
    ((0.0, 0.0, 6.0), (5.0, 0.0, 0.0), (0.0, 4.0, 0.0)),
    ((-1.3, 0.2, 4.4), (0.7, 0.0, 0.5), (0.0, 1.1, 0.0)),
    ((1.2, -0.3, 3.8), (0.6, 0.0, -0.4), (0.0, 0.8, 0.2)),
]

SIZES = ((320, 240), (210, 280))
"""(width, height) of the landscape and the portrait camera."""
FOCALS_PX = (300.0, 345.0)
SIDE_PX = 320
"""Of the square canvas."""
GROUPS = [0, 1, 0, 1, 0, 1, 0, 1]


@lru_cache
def texture(seed: int, size: int = 700) -> np.ndarray:
    """Blobs and edges of all scales, so that there are features at every distance."""
    rng = np.random.default_rng(seed)
    picture = np.full((size, size, 3), 0.5, np.float32)
    for radius in (60, 30, 15, 8, 5):
        for _ in range(12000 // radius**2 * 8 + 40):
            centre = tuple(int(c) for c in rng.integers(0, size, 2))
            cv2.circle(
                picture, centre, int(radius * rng.uniform(0.6, 1.4)), rng.random(3).tolist(), -1, cv2.LINE_AA
            )
    return picture


def box_scene(n: int, *, width: int = 320, height: int = 240, spread: float = 1.6) -> Clip:
    """n views of three textured planes from an arc; the clip's cameras are the truth."""
    s = torch.linspace(-1, 1, n, dtype=torch.float64)
    eyes = torch.stack([spread * s, 0.35 * torch.cos(3 * s), 0.3 * s**2], 1)
    targets = torch.tensor([0.0, 0.0, 4.8], dtype=torch.float64).expand(n, 3)
    up = torch.tensor([0.0, -1.0, 0.0], dtype=torch.float64).expand(n, 3)
    K = intrinsics(focal_px=300.0, width=width, height=height, n=n)
    cameras = Cameras(look_at(eyes, targets, up), K, width, height)
    images = np.stack([render_planes(cameras[i]) for i in range(n)])
    return Clip(torch.from_numpy(images).clamp(0, 1), cameras, names=tuple(f"view-{i}.png" for i in range(n)))


def render_planes(camera: Cameras, scale: int = 2) -> np.ndarray:
    pose, K = camera.cam_from_world[0].numpy(), camera.K[0].numpy()
    w, h = camera.width * scale, camera.height * scale
    picture = np.zeros((h, w, 3), np.float32)
    # to OpenCV's integer pixel centres, at both ends
    grow = np.array([[scale, 0, -0.5], [0, scale, -0.5], [0, 0, 1]])
    for seed, (centre, along, down) in enumerate(PLANES):
        image = texture(seed)
        half = len(image) / 2
        to_plane = np.array([[1 / half, 0, 0.5 / half - 1], [0, 1 / half, 0.5 / half - 1], [0, 0, 1]])
        world = np.stack([along, down, centre], 1)
        H = grow @ K @ (pose[:3, :3] @ world + np.outer(pose[:3, 3], [0, 0, 1])) @ to_plane
        warped = cv2.warpPerspective(image, H, (w, h), flags=cv2.INTER_LINEAR)
        cover = cv2.warpPerspective(np.ones(image.shape[:2], np.float32), H, (w, h), flags=cv2.INTER_LINEAR)
        picture = picture * (1 - cover[..., None]) + warped * cover[..., None]
    return cv2.resize(picture, (camera.width, camera.height), interpolation=cv2.INTER_AREA)


def two_cameras_scene() -> Clip:
    """Eight views by the two cameras in turn; its cameras are the truth, for the canvas."""
    poses = box_scene(len(GROUPS)).require_cameras().cam_from_world
    images, boxes, K = [], [], []
    for i, group in enumerate(GROUPS):
        (width, height), focal_px = SIZES[group], FOCALS_PX[group]
        camera = Cameras(
            poses[i : i + 1], intrinsics(focal_px=focal_px, width=width, height=height, n=1), width, height
        )
        boxes.append(center_box(width, height, canvas_width=SIDE_PX, canvas_height=SIDE_PX))
        picture = pad_picture(render_planes(camera), boxes[i], width=SIDE_PX, height=SIDE_PX)
        images.append(torch.from_numpy(picture).clamp(0, 1))
        K.append(boxes[i].place(camera.K[0]))
    sure = confidence_of(boxes, width=SIDE_PX, height=SIDE_PX)
    return Clip(torch.stack(images), Cameras(poses, torch.stack(K), SIDE_PX, SIDE_PX), confidence=sure)


def test_texture_lies_where_the_cameras_say() -> None:
    """The colour of a texture's pixel is found where `project` puts its centre (COLMAP's pixel centres)."""
    clip = box_scene(3)
    centre, along, down = (np.array(v) for v in PLANES[2])
    image = cv2.GaussianBlur(texture(2), (0, 0), 3)
    seen = torch.from_numpy(np.stack([cv2.GaussianBlur(i.numpy(), (0, 0), 0.6) for i in clip.images]))
    errors, shifted = [], []
    for row, column in [(300, 320), (350, 420), (420, 260), (280, 400), (390, 350), (330, 290)]:
        a, b = ((column + 0.5) / 350 - 1), ((row + 0.5) / 350 - 1)
        pixel, _ = project(torch.from_numpy(centre + a * along + b * down)[None], clip.require_cameras())
        for i in range(3):
            u, v = (pixel[i, 0] - 0.5).tolist()
            colour = cv2.getRectSubPix(seen[i].numpy(), (1, 1), (u, v))[0, 0]
            errors.append(np.abs(colour - image[row, column]).mean())
            off = cv2.getRectSubPix(seen[i].numpy(), (1, 1), (u + 4, v + 4))[0, 0]
            shifted.append(np.abs(off - image[row, column]).mean())
    assert np.mean(errors) < 0.5 * np.mean(shifted)
