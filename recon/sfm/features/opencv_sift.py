"""SIFT by OpenCV in memory, in a third of the time of COLMAP's, which goes through files."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recon.pictures.eight_bit import to_eight_bit
from recon.sfm.features.keypoints import Features
from recon.sfm.features.matching import root_normalize

CONTRAST = 0.013
"""Contrast threshold in OpenCV's unit, in which COLMAP's peak threshold is 0.02: low enough to find as many features as COLMAP
does. Doubled, pictures with little texture have too few."""


def find_features(image: Float[Tensor, "h w 3"], *, max_features: int) -> Features:
    """RootSIFT of one picture, strongest contrast first; a place with two orientations is two features.

    Lowe 2004; Arandjelović and Zisserman 2012.
    """
    import cv2

    height, width, _ = image.shape
    grey = cv2.cvtColor(to_eight_bit(image).numpy(), cv2.COLOR_RGB2GRAY)
    # the precise upscale keeps the doubled picture's features where they are; without it they lie 1/4 px off
    sift = cv2.SIFT_create(nfeatures=max_features, contrastThreshold=CONTRAST, enable_precise_upscale=True)
    keypoints, descriptors = sift.detectAndCompute(grey, None)  # type: ignore[call-overload]
    if descriptors is None or not len(keypoints):
        return Features(torch.zeros(0, 2, dtype=torch.float64), torch.zeros(0, 128), width, height)
    xy = np.array([k.pt for k in keypoints], np.float64)
    strength, angle = np.array([k.response for k in keypoints]), np.array([k.angle for k in keypoints])
    # OpenCV's order depends on its threads
    keep = np.lexsort((angle, xy[:, 1], xy[:, 0], -strength))[:max_features]
    # OpenCV counts pixel centres from 0
    return Features(torch.from_numpy(xy[keep] + 0.5), root_normalize(descriptors[keep]), width, height)
