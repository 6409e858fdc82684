"""The world models of this package, one line each; nothing is imported for them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelEntry:
    """One line of the registry."""

    module: str
    factory: str
    description: str
    config: str = ""
    """Name of its dataclass of options, which the factory takes; '' where it has none."""
    renders_scene: bool = False
    """It draws a splat scene, which the factory is given: from the file behind its name, or the request's."""
    chooses_cameras: bool = False
    """It is asked from cameras that it chooses itself."""
    recovers_poses: bool = False
    """It also tells the poses of a video."""
    argument: str = ""
    """What must follow the name and a colon, for people; '' where nothing may. The factory takes it, and a folder to work in."""
    needs: str = ""
    """What must be there to run it, for people."""
    packages: tuple[str, ...] = ()
    """Importable names that its extra brings."""
    extra: str = ""
    note: str = ""
    """What a reader of its results should know."""
    license: str = "Apache-2.0"
    """Of the model and what it generates, with what it forbids; told to whoever uses it, and in reports."""


MODELS: dict[str, ModelEntry] = {
    "bridge": ModelEntry(
        "worldgen.models.bridge.model", "Bridge", "the default: learned blending and repair of the warped photos, "
        "holes filled by sampling, a calibrated confidence; ships in the package",
        config="BridgeOptions",
        note="It starts from the photos' own geometry, so COLMAP is expected to recover most of its frames; "
        "the gate has more to say about models that invent more.",
    ),
    "warp": ModelEntry(
        "worldgen.models.warp", "Warp", "moves the photos themselves by their multi-view depth; invents nothing",
        config="WarpOptions",
        note="It moves the photos by their own geometry, so COLMAP is expected to recover its frames; "
        "the gate has more to say about models that invent.",
    ),
    "splat": ModelEntry(
        "worldgen.models.splat", "SplatModel", "renders a splat scene: an oracle for tests, or a better scene as teacher",
        renders_scene=True, needs="a scene to render, without which it cannot run: --model splat:FILE",
    ),
    "synthetic": ModelEntry(
        "worldgen.models.synthetic", "SyntheticRoom",
        "a ray-traced room with exact pictures: truth for tests and demonstrations",
    ),
    "synthetic-moving": ModelEntry(
        "worldgen.models.synthetic_moving", "SyntheticMoving",
        "a ray-traced place in which things move, with exact pictures at any time: truth for bridge4d sample --moving",
        config="SyntheticMovingOptions",
    ),
    "wan-vace": ModelEntry(
        "worldgen.backends.wan_vace", "WanVace",
        "Wan-VACE: moves the photos by their depth, and a large video model paints what they leave open; mends renderings too",
        config="Config", packages=("diffusers", "transformers"), extra="world",
        needs="a CUDA GPU, and its weights, which are downloaded at first use: of 1.3 billion parameters by default, of 14 with "
        "--model.weights Wan-AI/Wan2.1-VACE-14B-diffusers, and a text encoder of 5.7",
        note="What it paints has a confidence of 0.25, whatever it looks like: nobody has measured it. Nobody has run it here with "
        "its weights.",
    ),
    "sana-wm": ModelEntry(
        "worldgen.backends.sana_wm", "SanaWM",
        "SANA-WM: a photo and a camera path in metres become a video of up to a minute",
        config="Config", packages=("diffusers", "transformers"), extra="world",
        needs="a CUDA GPU (its authors state 51 GB with a second stage, which is not used here), and its weights of 2.6 "
        "billion parameters, which are downloaded at first use",
        license="Apache-2.0 by its card; its text encoder Gemma 2 and its decoder LTX-2 have terms of their own, and those of Gemma forbid "
        "the uses that Google's policy lists",
        note="Nobody has run it here with its weights. It sees one photo; what others show it does not know.",
    ),
    "wan-first-last": ModelEntry(
        "worldgen.backends.wan_first_last", "WanFirstLast",
        "Wan from a first to a last frame: videos from photo to photo, told of no cameras",
        config="Config", packages=("diffusers", "transformers"), extra="world",
        needs="a CUDA GPU, and its weights of 14 billion parameters, which are downloaded at first use",
        note="It takes no cameras: where its frames stand is taken to be on an even way from photo to photo, and the gate decides. Nobody has run it "
        "here with its weights.",
    ),
    "cosmos3": ModelEntry(
        "worldgen.backends.cosmos3", "Cosmos3",
        "Cosmos 3 Omni: a photo and the steps of a camera become a video, and a video the steps of its camera",
        config="Config", recovers_poses=True, packages=("diffusers", "transformers"), extra="world",
        needs="a CUDA GPU with more than 32 GB, which its weights alone take (16 billion parameters, downloaded at first use)",
        license="OpenMDW-1.1 by its card",
        note="It is told of no lens, and draws with that of the photo; the unit of its steps is not stated by its authors "
        "(--model.units-per-metre). The guardrail is off unless --model.guardrail is given. Nobody has run it here with its weights.",
    ),
    "finished": ModelEntry(
        "worldgen.finished.model", "Finished", "a clip that exists already, a video or a folder of frames, with its cameras or without",
        config="FinishedOptions", argument="clip.mp4", license="", chooses_cameras=True,
        needs="a clip, and where there are some its cameras: --model finished:clip.mp4 --model.cameras transforms.json",
        note="Its frames are asked for where its own cameras are, whatever would have been planned. Without a file of cameras COLMAP recovers "
        "them beside the photos.",
    ),
    "program": ModelEntry(
        "worldgen.outside.program", "Program", "a program of any environment, which answers request folders",
        config="OutsideOptions", argument="python answer.py {request} {answer}", license="",
        needs="a program: --model \"program:python answer.py {request} {answer}\"; bridge4d models --example answer.py writes one to begin with",
    ),
    "http": ModelEntry(
        "worldgen.outside.server", "Server", "a server that answers request folders as zip archives",
        config="OutsideOptions", argument="//localhost:8000/", license="",
        needs="a server: --model http://host:port/; bridge4d models --example serve.py writes one to begin with",
    ),
    "https": ModelEntry(
        "worldgen.outside.server", "SecureServer", "the same over HTTPS",
        config="OutsideOptions", argument="//host/", license="", needs="a server: --model https://host/",
    ),
}  # fmt: skip
