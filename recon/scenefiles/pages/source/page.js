// What both kinds of page share: what was embedded, the message in the middle, the first camera.

/** What the writer says of the scene, in the axes of the embedded files. */
export const page = JSON.parse(document.getElementById('page').textContent);

/** Show a text in the middle of the page; '' hides it. */
export function say(text) {
  const message = document.getElementById('message');
  message.hidden = !text;
  message.textContent = text;
}

/** The bytes of an embedded file. Its text is let go, so that they are held only once. */
export function bytesOf(id) {
  const element = document.getElementById(id);
  const text = element.textContent;
  element.remove();
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return bytes;
}

/** Run a page; if it fails, say so where it would have been. */
export async function run(main) {
  try {
    const context = document.createElement('canvas').getContext('webgl2');
    if (!context) throw new Error('this browser offers no WebGL 2 (is hardware acceleration switched off?)');
    context.getExtension('WEBGL_lose_context')?.loseContext(); // browsers allow a few at a time
    await main();
  } catch (error) {
    console.error(error);
    say(`The scene cannot be shown: ${error.message ?? error}`);
  }
}
