"""The split that holds photos out."""

import pytest

from eval.judging.protocols import Protocol, split_photos
from recon.errors import BridgeError

NAMES = [f"{i:03d}.jpg" for i in range(24)]


def test_every_eighth_photo_by_name_is_held_out() -> None:
    parts = split_photos(list(reversed(NAMES)), views=5)
    assert parts.heldout == ("000.jpg", "008.jpg", "016.jpg")
    assert parts.training == ("001.jpg", "006.jpg", "012.jpg", "018.jpg", "023.jpg")
    assert sorted(parts.training + parts.heldout + parts.unused) == NAMES


@pytest.mark.parametrize("views", [2, 3, 9, None])
def test_parts_are_disjoint_and_as_many_as_asked(views: int | None) -> None:
    for n in range(3, 60):
        parts = split_photos([f"{i:03d}" for i in range(n)], views=views)
        everything = parts.training + parts.heldout + parts.unused
        assert len(everything) == len(set(everything)) == n
        assert len(parts.training) == min(views or n, n - len(parts.heldout))


def test_the_smallest_capture() -> None:
    parts = split_photos(["a", "b", "c"], views=9)
    assert (parts.training, parts.heldout, parts.unused) == (("b", "c"), ("a",), ())


@pytest.mark.parametrize("names", [[], ["a"], ["a", "b"]])
def test_too_few_photos(names: list[str]) -> None:
    with pytest.raises(BridgeError, match="at least 3 photos"):
        split_photos(names, views=2)


def test_senseless_requests() -> None:
    with pytest.raises(BridgeError, match="at least 2 training views, got 1"):
        split_photos(NAMES, views=1)
    with pytest.raises(BridgeError, match="every=1"):
        split_photos(NAMES, views=3, every=1)
    with pytest.raises(BridgeError, match="1 duplicates"):
        split_photos([*NAMES, NAMES[0]], views=3)


def test_protocols_are_named_and_explained() -> None:
    assert [p.value for p in Protocol] == ["known-poses", "from-scratch"]
    assert all("held" in p.explanation for p in Protocol)


def test_an_unreadable_photo_does_not_move_the_others_roles() -> None:
    names = [f"{i:02d}" for i in range(24)]
    whole = split_photos(names, views=None)
    for gone in ("03", "08"):
        left = split_photos([n for n in names if n != gone], views=None, unusable=(gone,))
        assert set(left.heldout) == set(whole.heldout) - {gone}
        assert set(left.training) == set(whole.training) - {gone}


def test_no_photo_that_was_read_to_be_trained_on_judges() -> None:
    """Where nobody has said which are held out, the next one takes the part of the one that cannot be read."""
    assert split_photos(["b", "c", "d"], unusable=("a",)).heldout == ("b",)
    with pytest.raises(BridgeError, match="0 held out"):
        split_photos(["b", "c", "d"], unusable=("a",), heldout=())
