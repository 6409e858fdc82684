"""Training by the compiled engine: one call per iteration, on parameters in its own layout."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from recon.gaussians import Gaussians, sh_bases
from recon.splats.fitting.dropout import Dropout
from recon.splats.native.layout import (
    COLOUR,
    SHAPE,
    empty_groups,
    from_table,
    pack,
    row_count,
    to_table,
    unpack,
)
from recon.splats.native.library import Frame, camera_struct, engine
from recon.splats.native.structs import Adam, Comparison, Style, pointer
from recon.splats.parameters import BETAS, EPSILON, LearningRates
from recon.splats.pyramid import View
from recon.splats.trainer import FAR, NEAR, Exposure, Moment, Sums


class GroupedParameters:
    """A scene in training and its Adam, grown and pruned together."""

    def __init__(self, gaussians: Gaussians) -> None:
        bases = sh_bases(gaussians.sh_degree)
        self.count, self.rows = len(gaussians), row_count(bases)
        self.values = pack(gaussians, bases)
        self.moments = [empty_groups(self.rows, self.count) for _ in range(2)]

    def gaussians(self) -> Gaussians:
        """A copy of the scene as it is."""
        return unpack(self.values, self.count)

    def replace(
        self, source: Int[Tensor, "m"], fresh: Bool[Tensor, "m"], edits: dict[str, Float[Tensor, "m ..."]]
    ) -> None:
        """New Gaussian i is a copy of `source[i]`; a fresh one starts without momentum; `edits` overrule values."""
        values = to_table(self.values, self.count)[source]
        for name, edit in edits.items():
            values[:, _rows(name)] = edit.detach().reshape(len(source), -1).to(values)
        self.values = from_table(values)
        for i, moment in enumerate(self.moments):  # one after the other: there is room for one twice
            kept = to_table(moment, self.count)[source]
            kept[fresh] = 0
            self.moments[i] = from_table(kept)
        self.count = len(source)

    @contextlib.contextmanager
    def drop(self, dropout: Dropout | None) -> Iterator[None]:
        """Hide what `dropout` leaves out within the block, which may learn; opacities then change by what was learnt.

        Gaussians that the engine does not draw keep their values and moments to the bit.
        """
        if dropout is None:
            yield
            return
        logits = self.values[:, SHAPE["opacity_logits"]]
        missing = logits.numel() - self.count
        kept = torch.nn.functional.pad(dropout.kept, (0, missing)).reshape(logits.shape)
        before, drawn = logits.clone(), replace(dropout, kept=kept).change_logits(logits)
        logits.copy_(drawn)
        yield
        logits.copy_(before + (logits - drawn))

    def cap_opacity(self, most: float) -> None:
        """Brings opacity down to at most `most` and forgets its momentum."""
        row = SHAPE["opacity_logits"]
        self.values[:, row].clamp_(max=float(torch.logit(torch.tensor(most))))
        for moment in self.moments:
            moment[:, row] = 0


def _rows(name: str) -> slice:
    return SHAPE.get(name, slice(COLOUR, None))


class NativeTrainer:
    """Learns one picture at a time. See `recon.splats.trainer.Trainer`."""

    def __init__(
        self,
        start: Gaussians,
        rates: LearningRates,
        extent: float,
        *,
        background: tuple[float, float, float],
        lambda_dssim: float,
        exposure: Exposure | None,
        antialiased: bool = False,
    ) -> None:
        self.parameters = GroupedParameters(start)
        self._rates, self._extent = rates, extent
        self._style = Style(background=background, antialiased=antialiased)
        self._lambda_dssim, self._exposure = lambda_dssim, exposure
        self._engine, self._frame = engine(), Frame()
        self._forget()

    def __len__(self) -> int:
        return self.parameters.count

    def _forget(self) -> None:
        self._gradient_sum, self._visits = torch.zeros(2, self.parameters.count, dtype=torch.float32).unbind()

    def step(
        self,
        image: int,
        view: View,
        moment: Moment,
        degree: int,
        penalties: tuple[float, float],
        dropout: Dropout | None = None,
    ) -> float:
        """Takes one iteration on picture number `image`; returns the loss before it."""
        scene = self.parameters
        if len(self._visits) != scene.count:
            self._forget()
        matrix, gradient = None, torch.zeros(3, 4, dtype=torch.float32)
        if self._exposure is not None:
            matrix = self._exposure.matrices[image].detach().contiguous()
        comparison = Comparison(
            target=pointer(view.image),
            weight=None if view.weight is None else pointer(view.weight),
            lambda_dssim=self._lambda_dssim,
            exposure=None if matrix is None else pointer(matrix),
            exposure_gradient=None if matrix is None else pointer(gradient),
        )
        rates = self._rows_of_rates(moment, sh_bases(degree))
        adam = Adam(
            parameters=pointer(scene.values),
            first_moments=pointer(scene.moments[0]),
            second_moments=pointer(scene.moments[1]),
            count=scene.count,
            rows=scene.rows,
            bases=sh_bases(degree),
            step=moment.iteration,
            rates=pointer(rates),
            beta1=BETAS[0],
            beta2=BETAS[1],
            epsilon=EPSILON,
            opacity_regularisation=penalties[0],
            scale_regularisation=penalties[1],
            gradient_sum=pointer(self._gradient_sum),
            visits=pointer(self._visits),
        )
        camera = camera_struct(view.camera, 0, NEAR, FAR)
        with scene.drop(dropout):
            loss = self._engine.train_step(self._frame, camera, self._style, comparison, adam)
        if self._exposure is not None:
            self._exposure.learn(image, gradient)
        return loss

    def _rows_of_rates(self, moment: Moment, bases: int) -> Float[Tensor, "rows"]:
        rates = self._rates
        out = torch.full((row_count(bases),), rates.boost_at(moment.iteration), dtype=torch.float32)
        out[SHAPE["means"]] = rates.of_means(moment.now) * self._extent
        for name in ("quats_wxyz", "log_scales", "opacity_logits"):
            out[SHAPE[name]] *= getattr(rates, name)
        out[COLOUR : COLOUR + 3] *= rates.sh0
        out[COLOUR + 3 :] *= rates.sh_rest
        return out

    def take_sums(self) -> Sums:
        """Takes the sums gathered since the last time."""
        sums = Sums(self._gradient_sum, self._visits)
        self._forget()
        return sums

    def explore(self, strength: float, generator: torch.Generator) -> None:
        """A step of the random walk of MCMC splatting."""
        seed = int(torch.randint(2**62, (), generator=generator))
        self._engine.explore(self.parameters.values, self.parameters.count, strength, seed)
