// A server in a process of its own, for tests that kill it. Argument: JSON { path, store, export }. Says 'ready'.

import { AreaExport, type AreaExportOptions, NbdServer } from '../../src/nbd/index.ts';
import { open, type StoreOptions } from '../../src/zcache/index.ts';

export interface ServerArguments {
  readonly path: string;
  readonly store: StoreOptions;
  readonly export: AreaExportOptions;
  /** Pages that may stay in the store; all others are moved out again and again. */
  readonly shrinkTo?: number;
}

async function main(given: ServerArguments): Promise<void> {
  const store = open(given.store);
  const exported = await AreaExport.open(store, given.export);
  const server = new NbdServer();
  server.addExport(exported);
  await server.listen({ path: given.path });
  const { shrinkTo } = given;
  let stopping = false;
  if (shrinkTo !== undefined) {
    const shrink = async (): Promise<void> => {
      await exported.swap.shrink(shrinkTo);
      if (!stopping) setTimeout(shrink, 2);
    };
    void shrink();
  }
  process.on('SIGTERM', async () => {
    stopping = true;
    await server.stop();
    await exported.close();
    store.close();
  });
  process.stdout.write('ready\n');
}

if (process.argv[2] !== undefined) void main(JSON.parse(process.argv[2]));
