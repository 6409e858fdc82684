// The page of a scene that moves: stored frames, drawn with Spark and three.js, and a bar to play them.

import { SparkRenderer, SplatMesh } from '@sparkjsdev/spark';
import { Color, Group, PerspectiveCamera, Scene, WebGLRenderer } from 'three';
import { OrbitControls } from 'three/addons/controls/OrbitControls.js';
import { bytesOf, page, run, say } from './page.js';
import { bar } from './bar.js';
import './page.css';
import './moving.css';

const BLUR = 0.3; // square pixels that 3DGS adds to every Gaussian's picture
const MIN_ALPHA = 1 / 255; // what 3DGS leaves out

const BEYOND_EDGE = 100; // half windows: how far outside a Gaussian may lie and still reach in
const WIDEST_PX = 16384;

// What SPZ can hold. (Spark's "extSplats" would be finer, but cut large spherical harmonics down to a power of two.)
const SPZ_RANGES = {
  rgbMin: -0.45,
  rgbMax: 1.45,
  lnScaleMin: -10,
  lnScaleMax: 5.875,
  sh1Max: 1,
  sh2Max: 1,
  sh3Max: 1,
  lodOpacity: false,
};

const asked = new URL(location.href).searchParams;

/** All embedded files as meshes; those of frames are hidden. */
async function load(scene) {
  let done = 0;
  return Promise.all(
    page.files.map(async (name, i) => {
      const fileBytes = bytesOf(`file-${i}`);
      // a moment may be empty
      const mesh = fileBytes.length ? new SplatMesh({ fileBytes, fileName: name, splatEncoding: SPZ_RANGES, editable: false }) : new Group();
      await mesh.initialized;
      say(`Loading… ${++done} of ${page.files.length}`);
      scene.add(mesh);
      mesh.visible = i >= page.times.length; // what stands still comes behind the frames
      return mesh;
    }),
  );
}

/** The frame that is shown at a time. */
function frameAt(seconds) {
  let frame = 0;
  while (frame + 1 < page.times.length && page.times[frame + 1] <= seconds + 1e-6) frame++;
  return frame;
}

run(async () => {
  const renderer = new WebGLRenderer({ antialias: false });
  document.body.append(renderer.domElement);
  const scene = new Scene();
  scene.background = new Color().setRGB(...page.background, 'srgb');

  let stale = true;
  const spark = new SparkRenderer({
    renderer,
    onDirty: () => (stale = true),
    sortRadial: false, // by depth, as scenes are trained
    preBlurAmount: page.antialiased ? 0 : BLUR,
    blurAmount: page.antialiased ? BLUR : 0,
    minAlpha: MIN_ALPHA,
    maxStdDev: Math.sqrt(-2 * Math.log(MIN_ALPHA)),
    clipXY: BEYOND_EDGE,
    maxPixelRadius: WIDEST_PX,
    accumExtSplats: true,
    enableLod: false,
  });
  scene.add(spark);

  const camera = new PerspectiveCamera(page.camera.fovYDeg);
  const controls = new OrbitControls(camera, renderer.domElement);
  controls.enableDamping = true;
  controls.addEventListener('change', () => (stale = true));
  function home() {
    camera.position.set(...page.camera.position);
    controls.target.set(...page.camera.target);
    const distance = camera.position.distanceTo(controls.target);
    camera.near = distance / 1e3;
    camera.far = distance * 1e5;
    camera.updateProjectionMatrix();
    controls.update();
  }
  function fit() {
    renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
    renderer.setSize(innerWidth, innerHeight);
    camera.aspect = innerWidth / innerHeight;
    camera.updateProjectionMatrix();
    stale = true;
  }
  addEventListener('resize', fit);
  fit();
  home();

  const meshes = await load(scene);
  const player = bar({ times: page.times, frameAt, home, playing: !asked.has('noplay'), hidden: asked.has('noui') });
  let shown = -1;
  renderer.setAnimationLoop((now) => {
    const frame = frameAt(player.tick(now));
    if (frame !== shown) {
      if (shown >= 0) meshes[shown].visible = false;
      meshes[frame].visible = true;
      shown = frame;
      stale = true;
    }
    controls.update();
    if (!stale) return;
    stale = false;
    renderer.render(scene, camera);
  });
  window.viewer = {
    spark,
    camera,
    player,
    /** Whether the frame that is asked for is the one on the screen. */
    settled: () =>
      shown === frameAt(player.state.seconds) && !stale && !spark.sorting && !spark.sortDirty && spark.display === spark.current,
  };
  say('');
});
