// What a user's compiler must accept, and what it must refuse, of the published types.
import { attach, Oid, open, TmemError } from 'tmem';
import 'tmem/cleancache';
import 'tmem/frontswap';
import 'tmem/zcache';

const store = open({ memory: '64 MiB', threads: 4 });
const named = open({ name: 'web', directory: '/dev/shm' });
const pool = store
  .client('web', { weight: 100, cap: '16 MiB' })
  .pool('pages', { kind: 'ephemeral', codec: 'lzo' });
const outcome:
  | 'stored'
  | 'frozen'
  | 'compresses-poorly'
  | 'over-limit'
  | 'over-cap'
  | 'no-memory'
  | 'pool-gone'
  | 'off' = pool.put(Oid.fromNumbers(1, 2n), 0, new Uint8Array(4096));
const length: number = pool.get(Oid.fromString('a'), 0, Buffer.alloc(4096));
for (const { oid, index } of pool.walk()) pool.flushPage(oid, index);
const other = attach(store.share());
other.close();
const code: string = new TmemError('TMEM_ERR_INDEX', 'out of range').code;

// @ts-expect-error a page is put under an Oid, not under its text
pool.put('a', 0, new Uint8Array(4096));
// @ts-expect-error a store without a name needs its memory
open({ threads: 4 });
// @ts-expect-error there is no such kind
store.client('web').pool('pages', { kind: 'eternal' });

export { code, length, named, outcome };
