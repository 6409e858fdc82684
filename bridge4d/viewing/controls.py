"""Switches, lists and panels of one browser window."""

import html
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from bridge4d.scenes import LoadedScene, SceneView
from bridge4d.viewing.comparison import legend
from bridge4d.viewing.pictures import KINDS, kind_of, name_of

if TYPE_CHECKING:
    import viser

NO_PICTURE = "–"
PREVIOUS, NEXT = "previous", "next"
PANEL_PX = 240
"""Width of the comparison for each of its pictures: three leave the controls free in a window of 1,100 pixels."""
DRAWN_PLAINLY = {
    "mip": "Trained antialiased; the browser draws it plainly, so small things look thicker than beside a photo.",
    "2dgs": "Trained as flat discs; the browser draws thin ellipsoids.",
}
"""Ways of training that viser cannot draw → what a person should know."""

Choose = Callable[[SceneView], None]


class Controls:
    """What a person can set; the session reads it.

    Args:
        gui: of a client.
        scene: what is looked at.
        labels: names of its versions.
        kept: the one shown first.
        frusta: whether frusta are shown at first.
        choose: called with a picture that is picked from the list.
    """

    def __init__(
        self,
        gui: "viser.GuiApi",
        scene: LoadedScene,
        labels: Sequence[str],
        kept: str,
        *,
        frusta: bool,
        choose: Choose,
    ) -> None:
        self._kept = kept
        gui.add_html(describe_scene(scene))
        self.versions = (
            gui.add_dropdown("scene", tuple(labels), initial_value=kept) if len(labels) > 1 else None
        )
        self.pictures = _Pictures(gui, scene.views, choose, frusta=frusta) if scene.views else None
        self.frames, self.play, self._time = None, None, None
        if scene.moving is not None and len(scene.moving) > 1:
            self.frames = gui.add_slider("frame", 0, len(scene.moving) - 1, 1, 0)
            self._time = gui.add_text("time", "", disabled=True)
            self.play = gui.add_checkbox("play", False)
        self._panel = gui.add_panel(visible=False)
        with self._panel.add_tab("picture and scene"):
            self.comparison = gui.add_html("")

    @property
    def version(self) -> str:
        """The label of the scene to show."""
        return self._kept if self.versions is None else self.versions.value

    @property
    def frame(self) -> int:
        """The frame of a moving scene to show."""
        return 0 if self.frames is None else self.frames.value

    @property
    def playing(self) -> bool:
        """Whether a moving scene is to play."""
        return self.play is not None and self.play.value

    def kinds(self) -> dict[str, bool]:
        """Which kinds of frusta to show."""
        return {} if self.pictures is None else {k: box.value for k, box in self.pictures.boxes.items()}

    def show_frame(self, frame: int, time_s: float) -> None:
        """Move the slider of a moving scene."""
        if self.frames is None or self._time is None:
            return
        if self.frames.value != frame:
            self.frames.value = frame
        if self._time.value != (text := f"{time_s:.2f} s"):
            self._time.value = text

    def show_choice(self, view: SceneView) -> None:
        """Name the picture in the list."""
        if self.pictures is not None:
            self.pictures.show_choice(view)

    def show_comparison(self, view: SceneView, content: str) -> None:
        """Fill the panel, and open it where it is not."""
        self.comparison.content = content
        if not self._panel.visible:
            self._panel.visible = True
            self._panel.float(x=15, y=-15)
        self._panel.set_width(PANEL_PX * (2 if view.confidence is None else 3))


class _Pictures:
    """A legend, switches by kind, and a list to fly through."""

    def __init__(
        self, gui: "viser.GuiApi", views: Sequence[SceneView], choose: Choose, *, frusta: bool
    ) -> None:
        self._views, self._names = views, [name_of(view) for view in views]
        gui.add_html(legend(views))
        there = {kind_of(view) for view in views}
        self.boxes = {kind: gui.add_checkbox(KINDS[kind].short, frusta) for kind in KINDS if kind in there}
        self.list = gui.add_dropdown("fly to", (NO_PICTURE, *self._names))
        self.steps = gui.add_button_group("picture", (PREVIOUS, NEXT))

        @self.list.on_update
        def _(event: "viser.GuiEvent") -> None:
            # a value that the server sets comes back without a client
            if event.client is not None and (here := self._here()) is not None:
                choose(self._views[here])

        @self.steps.on_click
        def _(_: "viser.GuiEvent") -> None:
            here = self._here()
            if self.steps.value == NEXT:
                there = 0 if here is None else here + 1
            else:
                there = -1 if here is None else here - 1
            choose(self._views[there % len(self._views)])

    def show_choice(self, view: SceneView) -> None:
        """Name the picture in the list."""
        if self.list.value != (name := name_of(view)):
            self.list.value = name

    def _here(self) -> int | None:
        return self._names.index(self.list.value) if self.list.value in self._names else None


def describe_scene(scene: LoadedScene) -> str:
    """HTML: what is looked at, and what the browser cannot show of it."""
    lines = [f"<b>{html.escape(scene.source.name or str(scene.source))}</b>"]
    lines.append(f"{len(scene.gaussians):,} Gaussians")
    if scene.gaussians.sh_degree > 0:
        lines.append("Colours are those seen from where the camera last rested.")
    if scene.render_mode in DRAWN_PLAINLY:
        lines.append(DRAWN_PLAINLY[scene.render_mode])
    if scene.views:
        lines.append("Click a frustum to see its picture beside the scene.")
    lines += [html.escape(f"{note}.") for note in scene.notes]
    return f"<div style='padding:0 0.8em;font-size:0.9em'>{'<br>'.join(lines)}</div>"
