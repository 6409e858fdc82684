// Play, pause, step and seek: the bar at the bottom and the keys that do the same.

const SPEEDS = [0.25, 0.5, 1, 2];

function element(parent, tag, attributes) {
  const made = Object.assign(document.createElement(tag), attributes);
  parent.append(made);
  return made;
}

/**
 * The bar of a clip; `tick(now)` moves its clock and gives the time in the clip, in seconds.
 * The last frame is shown as long as frames are on average.
 */
export function bar({ times, frameAt, home, playing, hidden }) {
  const first = times[0];
  const step = times.length > 1 ? (times.at(-1) - first) / (times.length - 1) : 1;
  const end = times.at(-1) + step;
  const state = { seconds: first, playing: playing && times.length > 1, speed: 1 };
  let before = null;

  const box = element(document.body, 'div', { id: 'bar', hidden });
  const play = element(box, 'button', { title: 'Play or pause (space)' });
  const slider = element(box, 'input', { type: 'range', min: 0, max: times.length - 1, step: 1, title: 'Frame (arrow keys)' });
  const clock = element(box, 'output', {});
  const speed = element(box, 'select', { title: 'Speed' });
  for (const value of SPEEDS) element(speed, 'option', { value, textContent: `${value}×`, selected: value === 1 });
  const back = element(box, 'button', { textContent: 'Reset view', title: 'Back to the first camera (R)' });

  function show() {
    const frame = frameAt(state.seconds);
    play.textContent = state.playing ? '❚❚' : '▶';
    play.ariaLabel = state.playing ? 'Pause' : 'Play';
    slider.value = frame;
    clock.textContent = `${(state.seconds - first).toFixed(2)} / ${(end - first).toFixed(2)} s · ${frame + 1}/${times.length}`;
  }
  function go(frame) {
    state.playing = false;
    state.seconds = times[(frame + times.length) % times.length];
    show();
  }
  function toggle() {
    state.playing = !state.playing && times.length > 1;
    show();
  }

  const keys = {
    ' ': toggle,
    ArrowRight: () => go(frameAt(state.seconds) + 1),
    ArrowLeft: () => go(frameAt(state.seconds) - 1),
    Home: () => go(0),
    End: () => go(times.length - 1),
    r: home,
  };
  addEventListener('keydown', (event) => {
    const act = keys[event.key] ?? keys[event.key.toLowerCase()];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });
  play.addEventListener('click', () => (toggle(), play.blur()));
  back.addEventListener('click', () => (home(), back.blur()));
  slider.addEventListener('input', () => go(Number(slider.value)));
  speed.addEventListener('change', () => ((state.speed = Number(speed.value)), speed.blur()));
  show();

  return {
    state,
    go,
    tick(now) {
      const passed = before === null ? 0 : (now - before) / 1000;
      before = now;
      if (state.playing) {
        // a tab in the background stands still; it must not leap when it comes back
        state.seconds += Math.min(passed, step + 0.25) * state.speed;
        if (state.seconds >= end) state.seconds = first + ((state.seconds - first) % (end - first));
        show();
      }
      return state.seconds;
    },
  };
}
