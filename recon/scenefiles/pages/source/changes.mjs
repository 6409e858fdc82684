// What the build changes in other people's code, so that a scene looks as it was trained: [file, text before, text after].

const CORNER = /glsl\/chunks\/gsplat\/vert\/gsplatCorner\.js$/;
const COMPRESSED_SH = /glsl\/chunks\/gsplat\/vert\/formats\/compressedSH\.js$/;

export const CHANGES = [
  // "Frame scene" takes in every Gaussian from behind; a shell of background would make the scene itself a dot.
  [
    /supersplat-viewer\/dist\/viewer\.js$/,
    'createFrameCamera(bbox, defaultFov)',
    'createCamera(new Vec3(settings.frame.position), new Vec3(settings.frame.target), defaultFov)',
  ],
  // The engine subtracts a little from every Gaussian, so that it ends at a rim instead of fading out.
  [/glsl\/chunks\/gsplat\/frag\/gsplat\.js$/, 'return (exp(x * -4.0) - EXP4) * INV_EXP4;', 'return exp(x * -4.0);'],
  // It makes a Gaussian that is larger than the window smaller, which leaves holes in a background.
  [CORNER, 'min(1024.0, min(viewport_size.x, viewport_size.y))', '16384.0'],
  // It counts in half pixels, so that the 0.3 square pixels of blur that 3DGS adds became a quarter of that.
  [CORNER, 'float focal = viewport_size.x', 'float focal = 0.5 * viewport_size.x'],
  [CORNER, 'vec2 c = center.proj.ww', 'vec2 c = 2.0 * center.proj.ww'],
  // 3DGS projects what lies beside the picture as if it lay at 1.3 times its edge; without that it smears inwards.
  [
    CORNER,
    'vec3 vp = camera_params.w == 1.0 ? vec3(0.0, 0.0, 1.0) : v;',
    `vec2 edge = 1.3 / center.projMat00 * vec2(1.0, viewport_size.y / viewport_size.x) * abs(v.z);
    vec3 vp = camera_params.w == 1.0 ? vec3(0.0, 0.0, 1.0) : vec3(clamp(v.xy, -edge, edge), v.z);`,
  ],
  [
    /spark\/dist\/spark\.module\.js$/,
    'J2 = -(J1 * viewCenter.xy) * invZ',
    'edge = 1.3 * abs(viewCenter.z) / vec2(projectionMatrix[0][0], projectionMatrix[1][1]), ' +
      'J2 = -(J1 * clamp(viewCenter.xy, -edge, edge)) * invZ',
  ],
  // It reads bytes of spherical harmonics a little off, and fills the bands that a scene lacks with half a step.
  [COMPRESSED_SH, '* (8.0 / 255.0) - 4.0', '* (8.0 / 256.0) + (4.0 / 256.0 - 4.0)'],
  [COMPRESSED_SH, 'out vec3 sh[15]', 'out vec3 sh[SH_COEFFS]'],
  [COMPRESSED_SH, 'sh[3] =', '\n#if SH_BANDS > 1\nsh[3] ='],
  [COMPRESSED_SH, 'sh[8] =', '\n#if SH_BANDS > 2\nsh[8] ='],
  [COMPRESSED_SH, 'scale = 1.0;', '\n#endif\n#endif\nscale = 1.0;'],
  [/gsplat-compressed-resource\.js$/, 'this.streams.textures.has("shTexture0") ? 3 : 0', 'this.gsplatData.shBands'],
];
