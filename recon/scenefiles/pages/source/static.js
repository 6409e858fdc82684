// The page of a scene that stands still: the SuperSplat viewer around the embedded file.

import { Vec3 } from 'playcanvas';
import { createViewer } from '@playcanvas/supersplat-viewer/viewer';
import '@playcanvas/supersplat-viewer/viewer.css';
import { defaultPostEffectSettings } from '@playcanvas/supersplat-viewer/settings';
import { bytesOf, page, run, say } from './page.js';
import './page.css';

const SWAY = 0.06; // half the width of the opening movement, as a share of the distance to the target
const SWAY_SECONDS = 20;
const SWAY_KEYS = 24;

const asked = new URL(location.href).searchParams;

/** The file has x right, y down, z front; the viewer turns it by half a turn about z. */
const fromFile = ([x, y, z]) => [-x, -y, z];

/** The viewer takes the angle across the longer side of the window. */
function fovOfLongerSide(fovYDeg) {
  const aspect = Math.max(1, innerWidth / innerHeight);
  return (360 / Math.PI) * Math.atan(Math.tan((fovYDeg * Math.PI) / 360) * aspect);
}

/** A slow figure of eight about the first camera, so that the scene is seen to be solid. */
function sway(position, target, fov) {
  const away = position.map((value, i) => value - target[i]);
  const distance = Math.hypot(...away);
  const level = Math.hypot(away[0], away[2]);
  const back = level > 1e-6 ? [away[0] / level, 0, away[2] / level] : [0, 0, 1];
  const right = [back[2], 0, -back[0]];
  const keys = [...Array(SWAY_KEYS).keys()];
  const at = (key) => {
    const angle = (2 * Math.PI * key) / SWAY_KEYS;
    const [sideways, along] = [Math.sin(angle), Math.sin(2 * angle) / 2].map((value) => value * SWAY * distance);
    return position.map((value, i) => value + sideways * right[i] + along * back[i]);
  };
  return {
    name: 'sway',
    duration: SWAY_SECONDS,
    frameRate: 1,
    loopMode: 'repeat',
    interpolation: 'spline',
    smoothness: 1,
    keyframes: {
      times: keys.map((key) => (key * SWAY_SECONDS) / SWAY_KEYS),
      values: { position: keys.flatMap(at), target: keys.flatMap(() => target), fov: keys.map(() => fov) },
    },
  };
}

/** A camera that sees the whole box from the side of the first one. */
function wholeScene(position, target, fovYDeg) {
  const [low, high] = page.bounds.map((corner) => new Vec3(fromFile(corner)));
  const middle = new Vec3().add2(low, high).mulScalar(0.5);
  const radius = low.distance(high) / 2;
  const shorter = Math.atan(Math.tan((fovYDeg * Math.PI) / 360) * Math.min(1, innerWidth / innerHeight));
  const back = new Vec3(position).sub(new Vec3(target)).normalize();
  const place = new Vec3().add2(middle, back.mulScalar(radius / Math.sin(shorter)));
  return { position: [...place.toArray()], target: [...middle.toArray()] };
}

function settings() {
  const fov = fovOfLongerSide(page.camera.fovYDeg);
  const position = fromFile(page.camera.position);
  const target = fromFile(page.camera.target);
  return {
    version: 2,
    tonemapping: 'none',
    highPrecisionRendering: false,
    background: { color: page.background },
    postEffectSettings: defaultPostEffectSettings(),
    animTracks: [sway(position, target, fov)],
    cameras: [{ initial: { position, target, fov } }],
    annotations: [],
    startMode: 'animTrack',
    frame: wholeScene(position, target, page.camera.fovYDeg), // see changes.mjs
  };
}

run(async () => {
  const unpacked = new Blob([bytesOf('file-0')]).stream().pipeThrough(new DecompressionStream('gzip'));
  const viewer = await createViewer({
    container: document.body,
    settings: settings(),
    contentUrl: 'data:,',
    contentFilename: page.files[0],
    contents: Promise.resolve(new Response(unpacked)),
    aa: page.antialiased,
    renderer: 'webgl', // the one whose pictures are compared with the renderer that scenes are trained with
    ui: !asked.has('noui'),
    noanim: asked.has('noanim'),
  });
  window.viewer = viewer;
  const { gsplat } = viewer.app.scene;
  gsplat.radialSorting = false; // by depth, as scenes are trained
  gsplat.minPixelSize = 0; // small Gaussians count too
  say('');
});
