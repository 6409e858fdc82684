// Builds the two pages, the licences of what is in them, and built.json; see ../README.md.

import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { CHANGES } from './changes.mjs';

/** Page → packages whose code ends up in it, directly or inside another. */
const PACKAGES = {
  static: ['@playcanvas/supersplat-viewer', 'playcanvas'],
  moving: ['@sparkjsdev/spark', 'fflate', 'three'],
};
const SOURCES = [
  'package-lock.json',
  'build.mjs',
  'changes.mjs',
  'page.html',
  'page.css',
  'page.js',
  'static.js',
  'moving.js',
  'moving.css',
  'bar.js',
];
const RUST = `Spark contains WebAssembly compiled from Rust: the standard library and the crates anyhow, console_error_panic_hook,
dlmalloc, fdeflate, hashbrown, image, image-webp, indexmap, js-sys, png, rustc-demangle, serde, serde_core, serde_json,
smallvec and wasm-bindgen (MIT or Apache-2.0), serde-wasm-bindgen and zip (MIT), memchr (Unlicense or MIT),
miniz_oxide (MIT, Zlib or Apache-2.0) and zlib-rs (Zlib).
`;

const read = (name) => readFileSync(new URL(name, import.meta.url), 'utf8');
const write = (name, data) => writeFileSync(new URL(`../${name}`, import.meta.url), data);
const digest = (data) => createHash('sha256').update(data).digest('hex');

/** One place of a text, changed; another version of the package may have another text, which must not pass. */
function change(text, before, after) {
  if (text.split(before).length !== 2) throw new Error(`expected once: ${before}`);
  return text.replace(before, () => after);
}

const changeOthers = {
  name: 'change-others',
  setup({ onLoad }) {
    for (const file of new Set(CHANGES.map(([pattern]) => pattern.source))) {
      onLoad({ filter: new RegExp(file) }, ({ path }) => ({
        contents: CHANGES.filter(([pattern]) => pattern.source === file).reduce(
          (text, [, before, after]) => change(text, before, after),
          readFileSync(path, 'utf8'),
        ),
      }));
    }
  },
};

function licences(packages) {
  const texts = packages.map((name) => {
    const { version } = JSON.parse(read(`node_modules/${name}/package.json`));
    return `${name} ${version}\n\n${read(`node_modules/${name}/LICENSE`).trim()}\n`;
  });
  const rust = packages.includes('@sparkjsdev/spark') ? [RUST] : [];
  return [...texts, ...rust].join('\n----\n\n');
}

/** The script and the style of a page. */
async function bundle(kind) {
  const { outputFiles, metafile } = await build({
    entryPoints: [`${kind}.js`],
    absWorkingDir: import.meta.dirname,
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    outdir: '.',
    format: 'esm',
    target: 'es2022',
    external: ['node:worker_threads'], // asked for outside browsers only
    legalComments: 'none', // the licences stand at the top of the page
    plugins: [changeOthers],
  });
  for (const path of Object.keys(metafile.inputs)) {
    const name = path.match(/node_modules\/((@[^/]+\/)?[^/]+)/)?.[1];
    if (name && !PACKAGES[kind].includes(name)) throw new Error(`the licence of ${name} is missing`);
  }
  return ['.js', '.css'].map((end) => outputFiles.find(({ path }) => path.endsWith(end)).text.trimEnd());
}

const outputs = {};
for (const kind of Object.keys(PACKAGES)) {
  const [script, style] = await bundle(kind);
  let html = read('page.html');
  html = change(html, '<!--licences-->', `<!--\n${licences(PACKAGES[kind])}-->`);
  html = change(html, '/*style*/', style);
  // A comment that opens inside a script can hide the tag that ends it.
  html = change(html, '/*script*/', script.replaceAll('<!--', '\\x3c!--'));
  const packed = gzipSync(html, { level: 9 });
  write(`${kind}.html.gz`, packed);
  outputs[`${kind}.html.gz`] = digest(packed);
  console.log(`${kind}: ${html.length} bytes, packed ${packed.length}`);
}
const sources = Object.fromEntries(SOURCES.map((name) => [name, digest(read(name))]));
write('LICENSES.txt', licences(Object.values(PACKAGES).flat()));
write('built.json', JSON.stringify({ sources, outputs }, null, 1) + '\n');
