"""Procedural places, each with the way in which somebody would photograph it."""

from worldgen.bridge.scenes.places.clutter import clutter
from worldgen.bridge.scenes.places.facade import facade
from worldgen.bridge.scenes.places.outdoors import outdoors
from worldgen.bridge.scenes.places.place import Place
from worldgen.bridge.scenes.places.rigs import Rig
from worldgen.bridge.scenes.places.room import room
from worldgen.bridge.scenes.places.tabletop import tabletop

__all__ = ["PLACES", "Place", "Rig"]


PLACES = (room, room, tabletop, tabletop, facade, outdoors, clutter)
"""What is drawn from, each as often as it stands here."""
