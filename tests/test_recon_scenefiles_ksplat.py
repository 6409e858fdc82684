"""The .ksplat format: sections, buckets and levels as mkkellogg's writer lays them out."""

import struct
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from damaged_files import damaged, read_or_refused

from benchmarks.odd_scenes import odd_scene
from recon.errors import SceneFileError
from recon.gaussians import SH_C0, Gaussians, sh_bases
from recon.scenefiles import read_scene
from recon.scenefiles.compare import attribute_errors

STEPS = 32767


@dataclass(frozen=True)
class Bucketed:
    """A section as it is written: whole buckets of `size` first, then those in `partial`; `spare` unused records."""

    scene: Gaussians
    size: int
    partial: tuple[int, ...]
    spare: int = 0


def records(part: Bucketed, level: int, centres: np.ndarray, block: float) -> bytes:
    scene, rows = part.scene, []
    for i in range(len(scene)):
        mean, scale = scene.means[i].numpy(), scene.log_scales[i].exp().numpy()
        if level == 0:
            row = struct.pack("<10f", *mean, *scale, *scene.quats_wxyz[i])
        else:
            levels = np.round((mean - centres[i]) / (block / 2) * STEPS) + STEPS
            row = struct.pack("<3H7e", *levels.astype(int), *scale, *scene.quats_wxyz[i])
        color = (scene.sh[i, 0] * SH_C0 + 0.5) * 255
        opacity = scene.opacity_logits[i].sigmoid() * 255
        row += bytes(color.round().int().tolist()) + bytes([round(float(opacity))])
        bands = [
            scene.sh[i, sh_bases(b - 1) : sh_bases(b)].T.flatten() for b in range(1, scene.sh_degree + 1)
        ]
        for value in torch.cat(bands).tolist() if bands else []:
            byte = round((value + 1.5) / 3 * 255)
            row += (
                (struct.pack("<f", value), struct.pack("<e", value), bytes([byte]))[level]
                if level < 2
                else bytes([byte])
            )
        rows.append(row)
    return b"".join(rows) + bytes(len(rows[0]) * part.spare)


def ksplat(parts: list[Bucketed], level: int) -> bytes:
    headers, bodies = [], []
    for part in parts:
        g, block = len(part.scene), 25.0
        whole = (g - sum(part.partial)) // part.size
        lengths = [part.size] * whole + list(part.partial)
        bucket = np.repeat(np.arange(len(lengths)), lengths)
        means = part.scene.means.numpy()
        centres = np.stack([means[bucket == b].mean(0) for b in range(len(lengths))]).astype("<f4")
        head = struct.pack(
            "<4IfH2xI4x2IH", g, g + part.spare, part.size, len(lengths), block, 12, 0, whole, len(part.partial),
            part.scene.sh_degree,
        )  # fmt: skip
        headers.append(head.ljust(1024, b"\0"))
        body = np.array(part.partial, "<u4").tobytes() + centres.tobytes()
        bodies.append(body + records(part, level, centres[bucket], block))
    count = sum(len(part.scene) for part in parts)
    main = struct.pack("<2B2x4IH2x3f2f", 0, 1, len(parts), len(parts), count, count, level, 0, 0, 0, 0, 0)
    return main.ljust(4096, b"\0") + b"".join(headers) + b"".join(bodies)


def two_sections() -> list[Bucketed]:
    scene = odd_scene(200, sh_degree=2)[:195]  # without outliers, so that buckets reach everywhere
    first = Bucketed(scene[:100], size=16, partial=(3, 1), spare=5)
    return [
        first,
        Bucketed(Gaussians(**{**scene[100:].tensors(), "sh": scene.sh[100:, :4]}), size=32, partial=(31,)),
    ]


@pytest.mark.parametrize(
    ("level", "position", "log_scale", "angle_deg", "coefficient"),
    [(0, 0, 1e-6, 1e-4, 1e-7), (1, 4e-4, 1e-3, 0.08, 5e-4), (2, 4e-4, 1e-3, 0.08, 0.5 * 3 / 255 * 1.01)],
)
def test_sections_buckets_and_levels(tmp_path, level, position, log_scale, angle_deg, coefficient) -> None:
    parts = two_sections()
    (tmp_path / "a.ksplat").write_bytes(ksplat(parts, level))
    found = read_scene(tmp_path / "a.ksplat").gaussians
    filled = torch.nn.functional.pad(parts[1].scene.sh, (0, 0, 0, 5))
    scene = Gaussians(
        **{
            name: torch.cat([value, parts[1].scene.tensors()[name] if name != "sh" else filled])
            for name, value in parts[0].scene.tensors().items()
        }
    )
    errors = attribute_errors(scene, found)
    assert errors["position_units"] <= position
    assert errors["log_scale"] <= log_scale
    assert errors["angle_deg"] <= angle_deg
    assert errors["opacity"] <= 0.501 / 255
    assert errors["color"] <= 0.501 / 255
    off = (scene.sh - found.sh)[:, 1:].abs()
    assert off[:100].max() <= coefficient
    assert off[100:, :3].max() <= coefficient


def test_a_sample_of_another_program(shared) -> None:
    found = read_scene(shared / "splats" / "minimal.ksplat").gaussians
    assert found.means.tolist() == [[-1, 0, -1], [0, 0, -1], [-1, 0, 0], [0, 0, 0]]
    torch.testing.assert_close(found.log_scales.exp(), torch.full((4, 3), 0.1))


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (0, b"\1", "version 0.1"),
        (4, b"\xff\xff\xff\x7f", "cut short"),
        (20, b"\3", "level 0, 1 or 2"),
        (4096, b"\xff\xff\0\0", "in 105 records"),
        (4096 + 4, b"\xff\xff\xff\xff", "cut short"),
        (4096 + 12, b"\xff\xff\xff\xff", "cut short"),
        (4096 + 20, b"\4", "12 bytes"),
        (4096 + 32, b"\1\0\0\0", "buckets hold fewer"),
        (4096 + 40, b"\7", "degree 7"),
    ],
)
def test_claims_are_checked(tmp_path, offset, value, message) -> None:
    data = bytearray(ksplat(two_sections(), 1))
    data[offset : offset + len(value)] = value
    (tmp_path / "a.ksplat").write_bytes(data)
    with pytest.raises(SceneFileError, match=message):
        read_scene(tmp_path / "a.ksplat")


def test_a_file_without_gaussians_is_refused(tmp_path) -> None:
    (tmp_path / "a.ksplat").write_bytes(ksplat([], 0))
    with pytest.raises(SceneFileError, match="holds no Gaussians"):
        read_scene(tmp_path / "a.ksplat")


@pytest.mark.parametrize("level", [0, 1, 2])
def test_damaged_files_are_read_or_refused(tmp_path, level) -> None:
    whole = ksplat(two_sections(), level)
    heads = bytes(44) + whole[4096 : 4096 + 42] + whole[5120 : 5120 + 42]

    def with_heads(data: bytes) -> bytes:
        """Damage where it counts: 128 bytes of headers among 6,144."""
        data = data.ljust(128, b"\0")
        main = bytes(a ^ b for a, b in zip(whole[:44], data[:44], strict=True))
        return b"".join([main, whole[44:4096], data[44:86], whole[4138:5120], data[86:128], whole[5162:]])

    assert read_or_refused(tmp_path / "a.ksplat", damaged(heads, 120), with_heads) > 30
    assert read_or_refused(tmp_path / "a.ksplat", damaged(whole, 60, seed=1)) > 0
