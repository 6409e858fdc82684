"""The metrics of the held-out photos, and how each is printed."""

from dataclasses import dataclass

from eval.results.augment import HeldOut, Series


@dataclass(frozen=True)
class ShownMetric:
    name: str
    title: str
    """With its network, where it has one."""
    unit: str
    digits: int
    better: str
    """'higher' or 'lower'."""
    series: Series


def measured_metrics(heldout: HeldOut) -> list[ShownMetric]:
    """Those with a mean of any scene, in the order they are shown."""
    known = [
        ShownMetric("PSNR", "PSNR", " dB", 2, "higher", heldout.psnr or Series()),
        ShownMetric("SSIM", "SSIM", "", 4, "higher", heldout.ssim or Series()),
    ]
    if (distance := heldout.perceptual) is not None:
        known.append(ShownMetric("LPIPS", distance.network or "LPIPS", "", 4, "lower", distance))
    return [m for m in known if m.series.photos_only is not None or m.series.augmented is not None]
