// A worker of area.test.ts: stores, loads, drops and invalidates slots that another thread uses as well.
import { parentPort, workerData } from 'node:worker_threads';
import { Frontswap, ZcacheFrontswapBackend } from '../../src/frontswap/index.ts';
import { CLEAN, DIRTY } from '../../src/frontswap/slot-map.ts';
import { attach } from '../../src/zcache/index.ts';

const store = attach(workerData.store);
const shim = new Frontswap();
shim.register(new ZcacheFrontswapBackend(store));
const area = shim.attach(workerData.area);

let state: number = workerData.seed;
function random(below: number): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
}

const page = new Uint8Array(4096);
const out = new Uint8Array(4096);
let wrong = 0;
for (let round = 0; round < workerData.rounds; round++) {
  const slot = random(area.slots);
  const what = random(8);
  if (what < 4) {
    // Each page names its slot, so that a page of another slot is noticed.
    area.store(slot, page.fill(1 + slot, 0, 2048).fill(random(256), 2048));
  } else if (what < 6) {
    if (area.load(slot, out) > 0 && !out.subarray(0, 2048).every((byte) => byte === 1 + slot)) wrong++;
  } else if (what === 6) {
    area.invalidatePage(slot);
  } else if (area.map.change(slot, DIRTY, CLEAN)) {
    area.dropClean(slot);
  }
}
store.close();
parentPort?.postMessage({ wrong });
