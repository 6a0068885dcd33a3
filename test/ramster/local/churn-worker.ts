// A thread that keeps changing pages of all memories while another one moves them between machines.
import { workerData } from 'node:worker_threads';
import { attach, Oid, type StoreToken, TmemError } from '../../../src/index.ts';
import { seededRandom } from '../../codec/sample-pages.ts';
import { numbered } from '../../tmem/page-content.ts';

const { token, rounds, seed } = workerData as { token: StoreToken; rounds: number; seed: number };
const store = attach(token);
const random = seededRandom(seed);
const client = store.client('churned');
const out = new Uint8Array(4096);

/** Of each page, how well it compresses. */
const SIZES = 5;
const INDEXES = 40;
const pages = Array.from({ length: INDEXES * SIZES }, (_, i) =>
  numbered(Math.floor(i / SIZES), 200 + (i % SIZES) * 450),
);

for (let i = 0; i < rounds; i++) {
  const kind = random(2) === 0 ? 'ephemeral' : 'persistent';
  const pam = (['zv', 'zbud', 'raw'] as const)[random(3)]!;
  const pool = client.pool(`${kind} ${pam}`, { kind, pam });
  const oid = Oid.fromNumbers(random(3));
  const index = random(INDEXES);
  const what = random(10);
  if (what < 6) pool.put(oid, index, pages[index * SIZES + random(SIZES)]!);
  else if (what < 8) pool.flushPage(oid, index);
  else if (what < 9) {
    try {
      pool.get(oid, index, out);
    } catch (error) {
      if (!TmemError.is(error) || error.code !== 'TMEM_ERR_REMOTE') throw error;
    }
  } else if (random(20) === 0) pool.destroy();
  else if (random(4) === 0) store.shrink(random(5));
  else pool.flushObject(oid);
}
store.close();
