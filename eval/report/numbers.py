"""How figures are printed: rounded for the eye, exact for the machine.

Each becomes ``<data value="1.4234">+1.42</data>``, so that a page can be read by a program and a test can
compare what is printed with what was measured. A missing value is a dash.
"""

from markupsafe import Markup

MISSING = Markup('<span class="missing" title="not measured">–</span>')
MINUS = "−"


def plain(value: float | None, digits: int = 2, *, sign: bool = False, unit: str = "") -> str:
    """Text of a figure, with a true minus; '–' where there is none."""
    if value is None:
        return "–"
    text = f"{value:+.{digits}f}" if sign else f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", MINUS) + unit


def p_words(p: float | None) -> str:
    """'p = 0.012', 'p = 0.29', 'p < 0.001'."""
    if p is None:
        return "–"
    return "p < 0.001" if p < 0.001 else f"p = {plain(p, 3 if p < 0.1 else 2)}"


def number(value: float | None, digits: int = 2, sign: bool = False, unit: str = "") -> Markup:
    """A figure for a page."""
    if value is None:
        return MISSING
    return Markup('<data value="{}">{}</data>{}').format(repr(value), plain(value, digits, sign=sign), unit)


def percent(value: float | None, digits: int = 1) -> Markup:
    """A share for a page: 0.0123 is printed as 1.2%."""
    if value is None:
        return MISSING
    return Markup('<data value="{}">{}%</data>').format(repr(value), plain(100 * value, digits))


def duration(seconds: float | None) -> Markup:
    """12.3 s · 4 min 10 s · 2 h 05 min."""
    if seconds is None:
        return MISSING
    whole = round(seconds)
    if seconds < 60:
        text = f"{seconds:.1f} s" if round(seconds, 1) < 60 else "1 min 00 s"
    elif whole < 3600:
        text = f"{whole // 60} min {whole % 60:02d} s"
    else:
        text = f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return Markup('<data value="{}">{}</data>').format(repr(seconds), text)
