"""Procedural places, each with the way in which somebody would photograph it."""

from worldgen.scenes.places.clutter import clutter
from worldgen.scenes.places.facade import facade
from worldgen.scenes.places.outdoors import outdoors
from worldgen.scenes.places.place import Place
from worldgen.scenes.places.rigs import Rig
from worldgen.scenes.places.room import room
from worldgen.scenes.places.tabletop import tabletop

__all__ = ["PLACES", "Place", "Rig"]


PLACES = (room, room, tabletop, tabletop, facade, outdoors, clutter)
"""What is drawn from, each as often as it stands here."""
