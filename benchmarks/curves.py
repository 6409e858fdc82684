"""Quality of a scene over the CPU time spent on it: numbers, table, picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Look:
    """A scene in training, judged on held-out photos."""

    cpu_seconds: float
    """Of the training so far, all threads together; looking does not count."""
    psnr: float
    """Mean over the held-out photos, dB."""
    iterations: int
    gaussians: int


@dataclass(frozen=True)
class Curve:
    """What one trainer made of one capture."""

    capture: str
    trainer: str
    kind: str
    """'one run', looked at on the way, or 'separate', a run for each budget."""
    looks: tuple[Look, ...]

    def at(self, cpu_seconds: float) -> Look:
        """The look nearest in time."""
        return min(self.looks, key=lambda look: abs(look.cpu_seconds - cpu_seconds))


def table(curves: Sequence[Curve], budgets: Sequence[float]) -> str:
    """PSNR at the budgets, as Markdown."""
    rows = [["capture", "trainer", "kind", *(f"{b:g} CPU-s" for b in budgets), "iterations", "Gaussians"]]
    rows.append(["---"] * len(rows[0]))
    for curve in curves:
        last = curve.at(budgets[-1])
        quality = [f"{curve.at(budget).psnr:.2f}" for budget in budgets]
        rows.append(
            [curve.capture, curve.trainer, curve.kind, *quality, str(last.iterations), str(last.gaussians)]
        )
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def plot(curves: Sequence[Curve], file: Path, *, budgets: Sequence[float], title: str) -> None:
    """One panel a capture: PSNR over CPU-seconds, a colour for each trainer, dashes for separate runs."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    captures = list(dict.fromkeys(curve.capture for curve in curves))
    colors = {name: f"C{i}" for i, name in enumerate(dict.fromkeys(curve.trainer for curve in curves))}
    figure, axes = plt.subplots(1, len(captures), figsize=(5.5 * len(captures), 4), squeeze=False)
    for panel, capture in zip(axes[0], captures, strict=True):
        for curve in (c for c in curves if c.capture == capture):
            panel.plot(
                [look.cpu_seconds for look in curve.looks],
                [look.psnr for look in curve.looks],
                "o--" if curve.kind == "separate" else "-",
                color=colors[curve.trainer],
                label=f"{curve.trainer}, {curve.kind}",
            )
        panel.set(title=capture, xlabel="CPU-seconds", ylabel="PSNR of held-out photos [dB]", xscale="log")
        panel.set_xticks(budgets, [f"{budget:g}" for budget in budgets])
        panel.set_xticks([], minor=True)
        panel.grid(alpha=0.3)
        panel.legend()
    figure.suptitle(title)
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)
    plt.close(figure)
