// A process that puts and frees pages in a disk store until it is killed, and tells what was acknowledged.
import { bytesOf } from '../../../src/ramster/remote-store/conformance-tools.ts';
import { DiskStore } from '../../../src/ramster/remote-store/disk-store.ts';
import { optionsIn } from './disk-stores.ts';

const AT_A_TIME = 8;
/** It is killed long before: so that it ends if nobody does. */
const ROUNDS_MOST = 20_000;

const [folder = '', firstId = '1'] = process.argv.slice(2);
/** Ends when the message is out of this process: a kill takes none back. */
function tell(message: object): Promise<void> {
  return new Promise((resolve) => process.send?.(message, () => resolve()));
}

const store = await DiskStore.open(optionsIn(folder));
let next = Number(firstId);

async function work(): Promise<void> {
  for (let round = 0; round < ROUNDS_MOST; round++) {
    const id = next++;
    const bytes = bytesOf(1, id, 1 + ((id * 997) % 4096));
    if ((await store.put({ pool: 1, kind: 'persistent', id, bytes })) !== 'stored')
      throw new Error('not stored');
    await tell({ stored: id });
    if (id % 3 !== 0) continue;
    await tell({ freeing: id - 2 });
    await store.free([{ pool: 1, id: id - 2 }]);
    await tell({ freed: id - 2 });
  }
}

await Promise.all(Array.from({ length: AT_A_TIME }, work));
process.exit(1);
