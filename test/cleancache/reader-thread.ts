// A worker of threads.test.ts: random reads through the page cache, each compared with the file.
import fs from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { PageCache } from '../../src/cleancache/index.ts';
import { attach } from '../../src/zcache/index.ts';

const { store: token, paths, seed, reads } = workerData;
const store = attach(token);
// Much smaller than the files, so that pages move between the levels all the time.
const cache = new PageCache({ store, hotPages: 32, admit: 'first-read', now: () => Date.now() + 60_000 });
const files = await Promise.all(paths.map((path: string) => cache.open(path)));
const contents = paths.map((path: string) => fs.readFileSync(path));

let state = seed;
/** A number below `below`, from a seed: the same run each time. */
function random(below: number): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
}

let wrong = 0;
for (let i = 0; i < reads; i++) {
  const which = random(files.length);
  const position = random(200_000);
  const { bytesRead, buffer } = await files[which].read(Buffer.alloc(1 + random(20_000)), { position });
  const expected = contents[which].subarray(position, position + buffer.length);
  if (!buffer.subarray(0, bytesRead).equals(expected)) wrong++;
}
for (const file of files) await file.close();
const { hot, cold, source_bytes: sourceBytes } = cache.stats();
store.close();
parentPort?.postMessage({ wrong, sourceBytes, found: hot.succ_gets + cold.succ_gets });
