"""What a report says in words; the page and the terminal say the same.

All take a report that went through `read_report`.
"""

from statistics import median

from eval.report.numbers import plain
from eval.results.augment import AUGMENTED, PHOTOS_ONLY, AugmentReport, HeldOut, Interval, Series
from recon.words import count_noun

KEPT = {AUGMENTED: "augmented scene", PHOTOS_ONLY: "photos-only scene"}


def headline(r: AugmentReport) -> str:
    """The outcome of a run in one sentence."""
    if r.status == "no-reconstruction":
        return "Nothing was reconstructed from these photos."
    psnr = r.heldout.psnr or Series()
    if is_reconstruction(r):
        made = f"The scene was made from {count_noun(r.photos.registered, 'photo')}"
        if psnr.photos_only is None:
            return f"{made}; no held-out photo could be measured."
        return f"{made}: {plain(psnr.photos_only)} dB on {count_noun(r.heldout.views, 'held-out photo')}."
    kept = f"The {KEPT.get(r.kept or '', 'scene')} is kept"
    if has_no_augmented_scene(r):
        return f"{kept}: no generated frame entered it."
    if psnr.gain is None:
        return f"{kept}; its gain could not be measured."
    said = f"{kept}: generated views {_change(psnr.gain)}"
    said += _interval_words(psnr.gain_interval95)
    return f"{said} on {count_noun(r.heldout.views, 'held-out photo')}."


def null_words(r: AugmentReport) -> str:
    """Whether the generated frames beat the scene's own renderings in their place; '' where no frame was judged."""
    psnr = r.heldout.psnr or Series()
    if is_reconstruction(r) or has_no_augmented_scene(r) or psnr.gain is None:
        return ""
    own = r.heldout.own_renderings
    if own is None or own.psnr.generated_gain is None:
        if r.options.get("start"):
            return (
                "Whether the generated frames beat the scene's own renderings was not measured: scenes of several seeds that start from the "
                "one of --start hardly differ."
            )
        return (
            "Whether the generated frames beat the scene's own renderings was not measured; the same command with "
            "--baselines own-renderings does it."
        )
    gain, interval = own.psnr.generated_gain, own.psnr.generated_gain_interval95
    if float(plain(abs(gain))) == 0 or gain < 0:
        verdict, remark = "did not beat", ""
    elif interval is None:
        verdict, remark = "did not clearly beat", "; a single photo gives no interval"
    elif interval[0] <= 0:
        verdict, remark = "did not clearly beat", "; the interval includes zero"
    else:
        verdict, remark = "beat", ""
    return (
        f"The generated frames {verdict} the scene's own renderings: {plain(gain, sign=True)} dB{_interval_words(interval)} over a scene "
        f"that was given, in their place, what three photos-only scenes show from the same cameras on average{remark}."
    )


def own_words(heldout: HeldOut) -> str:
    """What own renderings give in the place of generated frames; '' where that was not asked for."""
    own = heldout.own_renderings
    if own is None or own.psnr.mean is None:
        return ""
    of = own.psnr
    return (
        f"{plain(of.mean, unit=' dB')} with own renderings for frames (gain {plain(of.gain, sign=True, unit=' dB')}, worst view "
        f"{plain(of.worst_view_gain, sign=True, unit=' dB')}); frames over these {plain(of.generated_gain, sign=True, unit=' dB')}, "
        f"worst view {plain(of.generated_worst_view_gain, sign=True, unit=' dB')}"
    )


def _interval_words(interval: Interval | None) -> str:
    if not interval:
        return ""
    return f" (95% interval {plain(interval[0], sign=True)} to {plain(interval[1], sign=True)} dB)"


def because(r: AugmentReport) -> str:
    """Why the scene was kept, as a sentence; empty where the report does not say."""
    reason = r.kept_because.strip()
    if not reason:
        return ""
    return reason[0].upper() + reason[1:] + ("" if reason[-1] in ".!?" else ".")


def certainty(r: AugmentReport) -> str:
    """Cautions that belong beside the headline; empty where there are none."""
    heldout, psnr = r.heldout, r.heldout.psnr or Series()
    interval = psnr.gain_interval95
    said = []
    if psnr.gain is not None and not has_no_augmented_scene(r):
        if not interval:
            said.append("Too few held-out photos for an interval.")
        elif interval[0] <= 0 <= interval[1]:
            said.append("The interval includes zero: these photos do not settle whether there is a gain.")
        said += filter(None, [hindsight(r)])
    if heldout.views is not None and (heldout.expected or 0) > heldout.views:
        said.append(f"{heldout.views} of {count_noun(heldout.expected, 'held-out photo')} could be measured.")
    return " ".join(said)


def hindsight(r: AugmentReport) -> str:
    """Whether the held-out photos, which decide nothing, would have kept the same scene; '' where that is unknown."""
    heldout = r.heldout
    if heldout.regret is None or heldout.best_round is None:
        return ""
    decided = any(decision.left_out for decision in r.decisions)
    if plain(heldout.regret) == plain(0.0):
        return "These photos had no say in the decision, and agree with it." if decided else ""
    best = f"the scene of round {heldout.best_round}" if heldout.best_round else "that of the photos alone"
    had = "These photos had no say in the decision, and disagree: in" if decided else "In"
    return f"{had} {best} they are shown {plain(heldout.regret)} dB better than in the kept one."


def delivery_words(r: AugmentReport) -> str:
    """On which photos the exported scene was trained, where not on the training photos alone; else ''."""
    if r.delivered_photos is None:
        return ""
    return (
        f"The exported scene was trained once more in this way on all {count_noun(r.delivered_photos, 'photo')}, the held-out ones among "
        "them; the figures are of the scene without these."
    )


def baseline_words(heldout: HeldOut) -> str:
    """How the photos alone compare with an earlier trainer; '' where that was not asked for."""
    baseline = heldout.baseline
    if baseline is None or baseline.gain is None:
        return ""
    return (
        f"{plain(baseline.psnr, unit=' dB')} of the photos alone by the earlier trainer; now "
        f"{plain(baseline.gain, sign=True, unit=' dB')}, worst view {plain(baseline.worst_view_gain, sign=True, unit=' dB')}"
    )


def latent_words(r: AugmentReport) -> str:
    """How far frames are from the moved photos in the features of an encoder; '' where none was asked."""
    said = []
    for which, accepted in (("accepted", True), ("rejected", False)):
        frames = [frame for frame in r.generated.frames if frame.accepted is accepted]
        known = [frame.latent_distance for frame in frames if frame.latent_distance is not None]
        random = [
            frame.latent_distance_untrained for frame in frames if frame.latent_distance_untrained is not None
        ]
        if known and random:
            said.append(f"{which} {plain(median(known), 3)} (untrained {plain(median(random), 3)})")
    return f"median distance from the moved photos: {', '.join(said)}" if said else ""


def photos_words(r: AugmentReport) -> str:
    """What became of the photos: '24 given, 5 to train on (3 registered), 3 held out, 15 unused, 1 left out'."""
    given, usable, training = r.photos.given, r.photos.usable, r.photos.training
    registered, heldout = r.photos.registered, r.heldout.expected
    said = [f"{plain(given, 0)} given", f"{plain(training, 0)} to train on"]
    if registered is not None and registered != training:
        said[-1] += f" ({registered} registered)"
    said.append(f"{plain(heldout, 0)} held out")
    if usable is not None and training is not None and usable - training - (heldout or 0) > 0:
        said.append(f"{usable - training - (heldout or 0)} unused (--views None takes all)")
    if given is not None and usable is not None and given > usable:
        said.append(f"{given - usable} left out")
    return ", ".join(said)


def _change(gain: float) -> str:
    amount = plain(abs(gain))
    if float(amount) == 0:
        return "left PSNR as it was"
    return f"{'raised' if gain > 0 else 'lowered'} PSNR by {amount} dB"


def is_reconstruction(r: AugmentReport) -> bool:
    """Whether photos alone were reconstructed, and nothing was to be generated."""
    return r.task == "reconstruct"


def has_no_augmented_scene(r: AugmentReport) -> bool:
    """Whether no scene with generated frames was made, because none was generated or accepted."""
    return r.kept != AUGMENTED and r.generated.accepted == 0
