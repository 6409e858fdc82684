"""The engines that draw Gaussians: gsplat on CUDA and the plain torch reference, and what they share."""
