// A process that gets one page of a named store through its node, says how long it is, and has nothing more to do.

import { AwayPages, SocketFetcher } from '../../../src/ramster/index.ts';
import { Oid, open } from '../../../src/zcache/index.ts';

const [name, address, index] = process.argv.slice(2) as [string, string, string];
const store = open({ name });
const pool = store.client('one').pool('pages', { kind: 'persistent' });
const pages = new AwayPages(new SocketFetcher(store, address));
const length = await pages.get(pool, Oid.fromNumbers(1), Number(index), Buffer.alloc(4096));
process.stdout.write(`${length}\n`);
