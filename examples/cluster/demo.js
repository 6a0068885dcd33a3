// The demo's part of the file server: visitors that ask for files, a few of them often and most of them rarely, and
// somebody who kills a worker every two seconds.

import cluster from 'node:cluster';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const VISITORS = 8;
const KILL_EVERY_MS = 2000;
/** A request whose worker dies is sent again, as browsers do. */
const TRIES = 5;
const TEXT = /\.(js|mjs|cjs|ts|mts|cts|json|md)$/;
/** Enough for a store of 32 MiB to be too small without compression. */
const FILES_MAX = 2000;

/** Requests, how many of them got no answer or a wrong one, and workers killed. */
export async function runDemo(site, root, seconds) {
  const files = listFiles(root);
  const endMs = Date.now() + 1000 * seconds;
  let [requests, wrong, kills] = [0, 0, 0];
  const visit = async () => {
    while (Date.now() < endMs) {
      const file = files[Math.floor(files.length * Math.random() ** 4)];
      if (!(await isServed(site, root, file))) wrong++;
      requests++;
    }
  };
  const killer = setInterval(() => {
    const [oldest] = Object.values(cluster.workers);
    console.log(`      kill -9 ${oldest.process.pid}`);
    oldest.process.kill('SIGKILL');
    kills++;
  }, KILL_EVERY_MS);
  await Promise.all(Array.from({ length: VISITORS }, visit));
  clearInterval(killer);
  return { requests, wrong, kills };
}

/** Whether the answer is the file. */
async function isServed(site, root, file) {
  for (let tries = 0; tries < TRIES; tries++) {
    try {
      const response = await fetch(`${site}/${file.split('/').map(encodeURIComponent).join('/')}`);
      return readFileSync(join(root, file)).equals(Buffer.from(await response.arrayBuffer()));
    } catch {
      await sleep(10);
    }
  }
  return false;
}

function listFiles(root) {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && TEXT.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((path) => !path.startsWith('.'))
    .sort()
    .slice(0, FILES_MAX);
}
