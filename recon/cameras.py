"""Pinhole cameras: where pictures were taken from, and with what lens."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from recon.errors import CameraError


@dataclass(frozen=True)
class Cameras:
    """A batch of n pinhole cameras of one image size.

    Lens distortion does not exist past the boundary: readers undistort.
    """

    cam_from_world: Float[Tensor, "n 4 4"]
    """Rigid transforms, OpenCV axes; float64 where they come from a file or from SfM."""
    K: Float[Tensor, "n 3 3"]
    """Intrinsics in pixels; the centre of the top-left pixel is (0.5, 0.5)."""
    width: int
    height: int
    """Size of every picture in pixels."""

    def __post_init__(self) -> None:
        if self.cam_from_world.shape[0] != self.K.shape[0]:
            raise CameraError(
                f"expected as many intrinsics as poses, got {self.K.shape[0]} and {self.cam_from_world.shape[0]}"
            )
        if self.width < 1 or self.height < 1:
            raise CameraError(f"expected a positive image size, got {self.width}x{self.height}")

    def __len__(self) -> int:
        return self.cam_from_world.shape[0]

    def __getitem__(self, index: int | slice | Sequence[int] | Tensor) -> "Cameras":
        """A batch again, also for a single index; a list of booleans keeps where it is true."""
        if isinstance(index, int):
            index = [index]
        if not isinstance(index, slice | Tensor):
            chosen = list(index)
            flags = bool(chosen) and all(isinstance(one, bool) for one in chosen)
            index = torch.tensor(chosen, dtype=torch.bool if flags else torch.long)
        return replace(self, cam_from_world=self.cam_from_world[index], K=self.K[index])

    def limit_size(self, max_side: int | None) -> "Cameras":
        """For the same pictures with a long side of at most `max_side` pixels; themselves where they are that small."""
        long = max(self.width, self.height)
        if max_side is None or long <= max_side:
            return self
        return self.resize(
            width=max(1, round(self.width * max_side / long)),
            height=max(1, round(self.height * max_side / long)),
        )

    @property
    def world_from_cam(self) -> Float[Tensor, "n 4 4"]:
        """The inverse poses; rigid, so exact up to rounding."""
        R = self.cam_from_world[:, :3, :3].transpose(1, 2)
        out = torch.zeros_like(self.cam_from_world)
        out[:, :3, :3] = R
        out[:, :3, 3] = -(R @ self.cam_from_world[:, :3, 3:])[..., 0]
        out[:, 3, 3] = 1
        return out

    @property
    def centers(self) -> Float[Tensor, "n 3"]:
        """Camera centres in the world."""
        return self.world_from_cam[:, :3, 3]

    @property
    def forward(self) -> Float[Tensor, "n 3"]:
        """Unit viewing directions in the world."""
        return self.cam_from_world[:, 2, :3]

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Cameras":
        """Move both tensors to a device or dtype."""
        return replace(self, cam_from_world=self.cam_from_world.to(device, dtype), K=self.K.to(device, dtype))

    def place_at(self, centers: Float[Tensor, "n 3"]) -> "Cameras":
        """The same gazes from other places."""
        pose = self.cam_from_world.clone()
        pose[:, :3, 3] = -(pose[:, :3, :3] @ centers[..., None])[..., 0]
        return replace(self, cam_from_world=pose)

    def resize(self, *, width: int, height: int) -> "Cameras":
        """The same cameras with pictures of another size (the whole picture, not a crop)."""
        scale = torch.tensor([width / self.width, height / self.height, 1.0], dtype=self.K.dtype)
        return replace(self, K=scale.to(self.K.device)[:, None] * self.K, width=width, height=height)

    def validate(self, names: Sequence[str] | None = None) -> "Cameras":
        """Itself, or a `CameraError` that names the first camera that is none.

        Raises:
            CameraError: NaN, a left-handed or non-rigid pose, a focal length that is not positive.
        """
        for i in range(len(self)):
            who = f"camera {names[i] if names else i}"
            pose, K = self.cam_from_world[i].double(), self.K[i].double()
            if not (torch.isfinite(pose).all() and torch.isfinite(K).all()):
                raise CameraError(f"{who} has NaN or infinite values; remove it or mend the camera file")
            R = pose[:3, :3]
            if torch.linalg.det(R) < 0:
                raise CameraError(
                    f"{who} is left-handed (determinant {torch.linalg.det(R):.3f}, expected +1); "
                    "check the axes convention of the camera file"
                )
            if (R @ R.T - torch.eye(3, dtype=R.dtype)).abs().max() > 1e-3:
                raise CameraError(f"{who} is not a rotation plus translation (scaled or sheared axes)")
            if K[0, 0] <= 0 or K[1, 1] <= 0:
                raise CameraError(f"{who} has a focal length of {K[0, 0]:.3f} px, expected a positive one")
        return self

    @staticmethod
    def concatenate(parts: Sequence["Cameras"]) -> "Cameras":
        """One batch from several of the same image size."""
        sizes = {(p.width, p.height) for p in parts}
        if len(sizes) != 1:
            raise CameraError(f"expected cameras of one image size, got {sorted(sizes)}")
        return replace(
            parts[0],
            cam_from_world=torch.cat([p.cam_from_world for p in parts]),
            K=torch.cat([p.K for p in parts]),
        )


def look_at(
    eye: Float[Tensor, "n 3"], target: Float[Tensor, "n 3"], up: Float[Tensor, "n 3"]
) -> Float[Tensor, "n 4 4"]:
    """``cam_from_world`` of cameras at `eye` that look at `target`, picture upright along world `up`.

    Where the view is parallel to `up`, another axis is taken in its stead, so the result is always rigid.
    """
    forward = torch.nn.functional.normalize(target - eye, dim=-1)
    right = torch.linalg.cross(forward, up)
    degenerate = right.norm(dim=-1, keepdim=True) < 1e-6
    spare = torch.linalg.cross(forward, up.roll(1, dims=-1) + torch.tensor([0.3, 0.1, 0.2], dtype=up.dtype))
    right = torch.nn.functional.normalize(torch.where(degenerate, spare, right), dim=-1)
    down = torch.linalg.cross(forward, right)
    R = torch.stack([right, down, forward], dim=1)
    pose = torch.eye(4, dtype=eye.dtype).repeat(len(eye), 1, 1)
    pose[:, :3, :3] = R
    pose[:, :3, 3] = -(R @ eye[..., None])[..., 0]
    return pose


def intrinsics(
    *, focal_px: float, width: int, height: int, n: int = 1, dtype: torch.dtype = torch.float64
) -> Float[Tensor, "n 3 3"]:
    """n equal matrices with square pixels and the principal point in the middle."""
    K = torch.tensor([[focal_px, 0, width / 2], [0, focal_px, height / 2], [0, 0, 1]], dtype=dtype)
    return K.repeat(n, 1, 1)


def project(
    points: Float[Tensor, "p 3"], cameras: Cameras
) -> tuple[Float[Tensor, "n p 2"], Float[Tensor, "n p"]]:
    """Pixels and z-depth of world points in every camera; pixels behind a camera mean nothing (depth ≤ 0)."""
    pose = cameras.cam_from_world.to(points.dtype)
    x = points @ pose[:, :3, :3].transpose(1, 2) + pose[:, None, :3, 3]
    z = x[..., 2]
    uvw = x @ cameras.K.to(points.dtype).transpose(1, 2)
    return uvw[..., :2] / torch.where(z.abs() < 1e-12, 1e-12, z)[..., None], z


def backproject(depth: Float[Tensor, "n h w"], cameras: Cameras) -> Float[Tensor, "n h w 3"]:
    """World points of every pixel centre at the given z-depth."""
    _, h, w = depth.shape
    v, u = torch.meshgrid(
        torch.arange(h, dtype=depth.dtype) + 0.5, torch.arange(w, dtype=depth.dtype) + 0.5, indexing="ij"
    )
    rays = (
        torch.stack([u, v, torch.ones_like(u)], -1) @ torch.linalg.inv(cameras.K).to(depth.dtype)[:, None].mT
    )
    pose = cameras.world_from_cam.to(depth.dtype)
    return (rays * depth[..., None]) @ pose[:, None, :3, :3].mT + pose[:, None, None, :3, 3]


def nearest_camera(cameras: Cameras, target: Cameras) -> int:
    """Index of the camera that stands and looks most alike: distance as a share of the largest, plus the share of a half
    turn between the gazes."""
    distance = (cameras.centers - target.centers).norm(dim=1).double()
    cosine = (cameras.forward * target.forward).sum(1).double().clamp(-1, 1)
    return int((distance / distance.max().clamp_min(1e-9) + torch.arccos(cosine) / torch.pi).argmin())
