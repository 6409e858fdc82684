"""What may be asked of a plan: how many clips a comparison needs."""

from dataclasses import dataclass

from recon.errors import BridgeError


@dataclass(frozen=True)
class PlanOptions:
    plan: bool = False
    """Say how many clips a comparison of rates needs, and measure nothing: CLIPS and --out are left out. By the tests that
    reports make, at 5% with 80% power."""
    difference: tuple[float, ...] = ()
    """With --plan: differences of rates that are to be found, 0.1 for ten points; several by default."""
    base_rate: float | None = None
    """With --plan: the control's rate, 0.5 by default, where most clips are needed. The model's lies to the side with more room,
    below it where it is 0.5 or more."""
    correlation: float | None = None
    """With --plan: of the outcomes of two clips that are a pair, of one scene for instance; 0 and 0.5 by default."""
    discordant: float | None = None
    """With --plan, instead of --correlation: share of the pairs in which one clip meets the rule and the other does not."""
    comparisons: int | None = None
    """With --plan: tests that the report corrects for, 1 by default; each model of a usual report has about 45."""

    def check(self) -> None:
        """Refuse numbers out of range, and options of a plan where none was asked for.

        Raises:
            BridgeError: the first of them.
        """
        given = {
            name: value for name, value in vars(self).items() if name != "plan" and value not in (None, ())
        }
        if given and not self.plan:
            flag = next(iter(given)).replace("_", "-")
            raise BridgeError(f"--{flag} belongs to a plan: give --plan too, or leave it out")
        for d in self.difference:
            if not MIN_DIFFERENCE <= d <= 1:
                raise BridgeError(
                    f"expected --difference from {MIN_DIFFERENCE} to 1 (0.1 is ten points), got {d:g}"
                )
        for name in ("base_rate", "correlation", "discordant"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise BridgeError(
                    f"expected --{name.replace('_', '-')} from 0 to 1 (0.6 is 60%), got {value:g}"
                )
        if self.correlation is not None and self.discordant is not None:
            raise BridgeError(
                "--discordant and --correlation state the same in two ways: expected one of them, got both"
            )
        if self.comparisons is not None and not 1 <= self.comparisons <= MAX_COMPARISONS:
            raise BridgeError(
                f"expected --comparisons from 1 to {MAX_COMPARISONS:,}, got {str(self.comparisons)[:20]}"
            )


MIN_DIFFERENCE = 0.01
"""Smallest difference that is planned for: it needs 40,000 clips of each side, and half of it four times as many."""
MAX_COMPARISONS = 1_000_000
"""Most tests that are planned for: a report of a thousand models has 45,000, and 5% over 10^308 of them is no number any more."""
