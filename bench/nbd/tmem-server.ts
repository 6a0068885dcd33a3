// Our server in a process of its own, as `tmem serve` runs it: one export in memory, of the size of the image.
//
//   node tmem-server.ts <unix socket> <image bytes>
//
// SIGTERM stops it in order.

import { AreaExport, NbdServer } from '../../src/nbd/index.ts';
import { open } from '../../src/zcache/index.ts';

const [path, size] = process.argv.slice(2);
if (path === undefined || size === undefined) throw new Error('usage: tmem-server <unix socket> <image bytes>');
const bytes = Number(size);

// As much memory as the image has, which is not touched before it is needed. Every page has to be taken.
const store = open({ memory: bytes, incompressible: 'store' });
const exported = await AreaExport.open(store, { name: 'bench', kind: 'ram', size: bytes });
const server = new NbdServer();
server.addExport(exported);
await server.listen({ path });

process.once('SIGTERM', async () => {
  await server.stop(0);
  await exported.close();
  store.close();
});
