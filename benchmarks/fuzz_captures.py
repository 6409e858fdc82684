"""Damaged cameras, manifests, COLMAP models, pictures, videos and run files: each is read or refused in one sentence.

    python -m benchmarks.fuzz_captures --files 2000
    python -m benchmarks.fuzz_captures --files 500 --readers colmap cameras

As `benchmarks.fuzz_readers`, whose children read them: 6 GiB, 20 seconds, nothing written beside.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.fuzz_readers import BAD, Reader, fuzz

MEMORY = 6 << 30
"""Bytes of address space that a reader may take beyond what its process starts with."""
WIDTH, HEIGHT = 32, 24


def read_cameras(path: Path) -> None:
    from recon.camera_files import holds_cameras, read_requested

    holds_cameras(path)
    bare = path.suffix in (".npz", ".npy") or path.stem.startswith("matrices")
    convention = "cam_from_world/opencv" if bare else None
    read_requested(path, width=WIDTH, height=HEIGHT, convention=convention)


def read_photos(path: Path) -> None:
    from recon.capture.read import read_capture

    read_capture(path, max_side=WIDTH, max_frames=4)


def read_manifest(path: Path) -> None:
    from recon.clips import manifest

    manifest.read_manifest(path)


def read_video(path: Path) -> None:
    from recon.clips.read import read_clip
    from recon.clips.source import ClipSource

    read_clip(ClipSource("clip", path, None, "model"), max_side=WIDTH)


def read_run(path: Path) -> None:
    from bridge4d.runs.stored_json import read_object

    read_object(path)


READERS: dict[str, Reader] = {
    "cameras": read_cameras,
    "colmap": read_photos,
    "transforms": read_photos,
    "pictures": read_photos,
    "manifests": read_manifest,
    "videos": read_video,
    "runs": read_run,
}


def seeds(folder: Path) -> dict[str, list[Path]]:
    """Small whole files for each reader; a folder is damaged in one of its files."""
    import numpy as np
    import torch

    from recon.camera_files.formats.transforms_write import write_transforms
    from recon.cameras import Cameras, intrinsics
    from recon.clip import Clip
    from recon.colmap.write import write_colmap
    from recon.points import PointCloud
    from recon.tracks import Tracks

    generator = torch.Generator().manual_seed(0)
    pose = torch.eye(4, dtype=torch.float64).repeat(4, 1, 1)
    pose[:, 0, 3] = torch.linspace(0, 1, 4).double()
    K = intrinsics(focal_px=40.0, width=WIDTH, height=HEIGHT).repeat(4, 1, 1)
    cameras = Cameras(pose, K, WIDTH, HEIGHT)
    images = torch.rand(4, HEIGHT, WIDTH, 3, generator=generator)
    clip = Clip(images, cameras, names=tuple(f"f{i}.png" for i in range(4)))
    write_transforms(folder / "transforms" / "transforms.json", clip)
    points = PointCloud(
        torch.rand(6, 3, generator=generator).double() + 2, torch.rand(6, 3), torch.ones(6).double()
    )
    point = torch.arange(6).repeat(4)
    image = torch.arange(4).repeat_interleave(6)
    tracks = Tracks(image, point, torch.rand(24, 2, generator=generator).double() * 20)
    models = []
    for kind in ("binary", "text"):
        place = folder / "colmap" / kind
        write_colmap(place, cameras, clip.names, points, tracks, text=kind == "text")
        _write_pictures(place / "images", images)
        models.append(place)
    _write_pictures(folder / "pictures", images)
    return {
        "cameras": [*_camera_files(folder / "cameras", pose.numpy(), K.numpy()), *models],
        "colmap": models,
        "transforms": [folder / "transforms"],
        "pictures": [folder / "pictures"],
        "manifests": _manifests(folder / "manifests"),
        "videos": _videos(folder / "videos", (images * 255).byte().numpy().astype(np.uint8)),
        "runs": [_run_file(folder / "runs")],
    }


def _write_pictures(folder: Path, images) -> None:
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    pictures = [Image.fromarray((image * 255).byte().numpy()) for image in images]
    for i, picture in enumerate(pictures):
        picture.save(folder / f"f{i}.png")
    if folder.name != "pictures":
        return
    exif = pictures[0].getexif()
    exif[0x0112] = 6
    pictures[0].save(folder / "g.jpg", exif=exif)
    pictures[1].save(folder / "g.webp")
    pictures[2].save(folder / "g.tif", compression="tiff_deflate")
    pictures[3].convert("RGBA").save(folder / "h.png")
    pictures[3].convert("P").save(folder / "i.png", transparency=3)
    pictures[0].save(folder / "g.bmp")


def _camera_files(folder: Path, pose, K) -> list[Path]:
    import numpy as np

    folder.mkdir()
    rows = [" ".join(f"{v:.6f}" for v in p[:3].flatten()) for p in pose]
    texts = {
        "realestate.txt": [
            "https://example.org",
            *(f"{i}000 1.2 1.6 0.5 0.5 0 0 {row}" for i, row in enumerate(rows)),
        ],
        "kitti.txt": rows,
        "tum.txt": [f"{i} {i} 0 0 0 0 0 1" for i in range(4)],
        "matrices.txt": [" ".join(f"{v:.6f}" for v in p.flatten()) for p in pose],
    }
    for name, lines in texts.items():
        (folder / name).write_text("\n".join(lines) + "\n")
    (folder / "matrices.json").write_text(
        json.dumps({"w2c": pose.tolist(), "K": K[0].tolist(), "width": 32, "height": 24})
    )
    (folder / "matrices_list.json").write_text(json.dumps(pose.tolist()))
    keys = [{"camera_to_world": p.flatten().tolist(), "fov": 50} for p in pose]
    said = {
        "camera_type": "perspective",
        "render_width": WIDTH,
        "render_height": HEIGHT,
        "fps": 24,
        "camera_path": keys,
    }
    (folder / "camera_path.json").write_text(json.dumps(said))
    unreal = [" ".join(f"[{' '.join(map(str, row))}]" for row in p.T) for p in pose]
    (folder / "recammaster.json").write_text(
        json.dumps({f"frame{i}": {"cam01": matrix} for i, matrix in enumerate(unreal)})
    )
    frames = [{"file_path": f"f{i}.png", "transform_matrix": p.tolist()} for i, p in enumerate(pose)]
    lens = {"fl_x": 40.0, "fl_y": 40.0, "cx": 16, "cy": 12, "w": WIDTH, "h": HEIGHT, "k1": 0.01}
    (folder / "frames.json").write_text(json.dumps(lens | {"n_frames": len(frames), "frames": frames}))
    np.save(folder / "a.npy", pose)
    np.savez(folder / "a.npz", w2c=pose, K=K, width=WIDTH, height=HEIGHT)
    np.savez_compressed(folder / "b.npz", extrinsics=pose[:, :3])
    return sorted(folder.iterdir())


def _manifests(folder: Path) -> list[Path]:
    folder.mkdir()
    rows = [
        {"clip": f"{i}.mp4", "cameras": f"{i}.txt", "model": "m", "prompt": 'a "cat", sitting'}
        for i in range(3)
    ]
    (folder / "a.json").write_text(json.dumps(rows))
    (folder / "b.json").write_text(json.dumps({"clips": rows}))
    (folder / "a.csv").write_text(
        'clip,cameras,model,prompt\n0.mp4,0.txt,m,"a ""cat"", sitting"\n1.mp4,,m,\n'
    )
    (folder / "b.csv").write_text("clip;group\n0.mp4;a\n1.mp4;b\n")
    return sorted(folder.iterdir())


def _videos(folder: Path, frames) -> list[Path]:
    import av

    folder.mkdir()
    for name, codec, form in (
        ("a.mp4", "libx264", "yuv420p"), ("a.mkv", "libx264", "yuv420p"), ("a.gif", "gif", "rgb8"),
        ("a.avi", "mpeg4", "yuv420p"),
    ):  # fmt: skip
        with av.open(str(folder / name), "w") as container:
            stream: Any = container.add_stream(codec, rate=10)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, form
            for frame in frames:
                for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                    container.mux(packet)
            for packet in stream.encode():
                container.mux(packet)
    return sorted(folder.iterdir())


def _run_file(folder: Path) -> Path:
    folder.mkdir()
    said = {
        "stage": "sfm",
        "fingerprint": "0" * 64,
        "seconds": 1.5,
        "files": {"a.png": {"bytes": 12, "sha256": "1" * 64}},
    }
    (folder / "stage.json").write_text(json.dumps(said, indent=2))
    return folder / "stage.json"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=2000, help="damaged files for each reader")
    parser.add_argument("--readers", nargs="*", default=list(READERS), help="only these")
    parser.add_argument(
        "--keep", type=Path, default=Path("runs/fuzz"), help="where files that kill a reader are kept"
    )
    asked = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        found = seeds(Path(folder))
        for name in asked.readers:
            began = time.perf_counter()
            row = fuzz(
                name, found[name], asked.files, asked.keep.absolute(), reader=READERS[name], memory=MEMORY
            )
            failed |= any(row.get(kind) for kind in BAD)
            print(f"{row}  {time.perf_counter() - began:.0f} s", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
