let nowMs = 0;
let isRead = false;
const done = Promise.resolve();

function expire(): void {
  isRead = false;
}

/**
 * `performance.now()`, read once for everything that one event brings: the calls of one batch of frames share it. A
 * reading costs as much as all other counting of a call together.
 */
export function turnNow(): number {
  if (isRead) return nowMs;
  isRead = true;
  done.then(expire);
  nowMs = performance.now();
  return nowMs;
}
