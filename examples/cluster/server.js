// A file server of several processes (node:cluster) with one page cache for all of them.
//
//   node examples/cluster/server.js [--root DIR] [--port 8080] [--workers 4]
//   node examples/cluster/server.js --demo [--seconds 20]
//
// The cache is a named store: a file in /dev/shm that every worker opens by name. A page that one worker has read is a
// hit in all others. A worker that is killed (kill -9, out of memory, a deploy) takes nothing with it: the one in its
// place starts with a warm cache. So does the whole server when it is stopped and started again; `tmem rm web` removes
// the store.
//
// --demo asks for the files itself and kills a worker every two seconds (demo.js). Each second the hit ratio is shown;
// and of each worker, how much of its first requests the cache could answer: little of those of the very first, nearly
// all of those of one that takes another's place. In the end the store is removed.
//
// In a project of yours: npm install tmem. Here: npm run build.

import cluster from 'node:cluster';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { open } from 'tmem';
import { PageCache } from 'tmem/cleancache';
import { removeStore } from 'tmem/zcache';
import { runDemo } from './demo.js';

const { values: options } = parseArgs({
  options: {
    root: { type: 'string', default: fileURLToPath(new URL('../../node_modules', import.meta.url)) },
    port: { type: 'string' },
    workers: { type: 'string', default: '4' },
    demo: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '20' },
  },
});
const { root, demo } = options;
const primary = cluster.isPrimary ? process.pid : process.ppid;
/** Who opens the store first makes it; the others attach to it. */
const STORE = { name: demo ? `demo-${primary}` : 'web', memory: '32 MiB' };
/** After so many a worker tells how many of their pages came from the cache. */
const FIRST_REQUESTS = 100;

// ---- a worker: the server ------------------------------------------------------------------------------------------

function serve() {
  const cache = new PageCache({ store: open(STORE), admit: 'first-read' });
  let requests = 0;
  const server = createServer(async (request, response) => {
    try {
      const path = normalize(decodeURIComponent(new URL(request.url, 'http://localhost').pathname));
      const file = await cache.open(join(root, path));
      try {
        response.end(await file.readFile());
      } finally {
        await file.close();
      }
    } catch {
      response.writeHead(404).end('not found\n');
    }
    if (++requests === FIRST_REQUESTS) process.send({ hitPercent: hitPercent(cache.stats()) });
  });
  server.listen(Number(options.port ?? (demo ? 0 : 8080)));
}

/** Pages found in the cache, uncompressed (hot) or compressed (cold), of all that were asked for. */
function hitPercent({ hot, cold }) {
  const hits = hot.succ_gets + cold.succ_gets;
  return (100 * hits) / Math.max(1, hits + cold.failed_gets);
}

// ---- the primary: starts the workers, replaces those that end, shows the hit ratio each second ---------------------

const replacements = [];
let isEnding = false;

function startWorker(isReplacement) {
  const worker = cluster.fork();
  worker.once('message', ({ hitPercent }) => {
    const who = `${isReplacement ? 'new' : 'first'} worker ${worker.process.pid}`;
    console.log(
      `      ${who}: ${hitPercent.toFixed(1)} % of the pages of its first ${FIRST_REQUESTS} requests were hits`,
    );
    if (isReplacement) replacements.push(hitPercent);
  });
  // One that cannot even listen would not fare better the next time.
  worker.once('listening', () => worker.once('exit', () => isEnding || startWorker(true)));
  return worker;
}

/** The counters are in the store: those of all workers, of those that are dead, too. */
function readCounters(store) {
  const pools = store.stats().clients.flatMap((client) => client.pools);
  const of = (level) => pools.find(({ name }) => name.endsWith(level))?.traffic;
  return { hot: of('-hot'), cold: of('-cold') };
}

function showHits(before, now) {
  const since = (level, counter) => now[level][counter] - (before[level]?.[counter] ?? 0);
  const hot = { succ_gets: since('hot', 'succ_gets') };
  const cold = { succ_gets: since('cold', 'succ_gets'), failed_gets: since('cold', 'failed_gets') };
  const pages = hot.succ_gets + cold.succ_gets + cold.failed_gets;
  if (pages > 0) console.log(`${hitPercent({ hot, cold }).toFixed(1).padStart(5)} % hits of ${pages} pages`);
}

async function lead() {
  const store = open(STORE);
  const [worker] = Array.from({ length: Number(options.workers) }, () => startWorker(false));
  const [{ port }] = await once(worker, 'listening');
  const site = `http://localhost:${port}`;
  console.log(`${root} at ${site}/`);
  let counters = readCounters(store);
  const shown = setInterval(() => {
    const now = readCounters(store);
    showHits(counters, now);
    counters = now;
  }, 1000);
  if (!demo) return;
  const result = await runDemo(site, root, Number(options.seconds));
  clearInterval(shown);
  isEnding = true;
  const running = Object.values(cluster.workers).filter((each) => !each.isDead());
  const exits = running.map((each) => once(each, 'exit'));
  for (const each of running) each.process.kill('SIGKILL');
  await Promise.all(exits);
  store.close();
  removeStore(STORE.name);
  console.log(JSON.stringify({ ...result, replacements }));
}

if (cluster.isPrimary) await lead();
else serve();
