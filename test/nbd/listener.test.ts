// Where connections come from: a socket that was left behind has one heir.
import fs from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { NbdServer } from '../../src/nbd/index.ts';
import { newFolder } from './bench.ts';
import { connectTo } from './client.ts';

/** A socket that nobody listens on, as a process that was killed leaves one. */
async function leaveStale(path: string): Promise<void> {
  const server = createServer().listen(`${path}.first`);
  await new Promise((resolve) => server.once('listening', resolve));
  fs.linkSync(`${path}.first`, path);
  await new Promise((resolve) => server.close(resolve));
}

test('of servers that find a socket left behind, at one time, one listens and the others are told', async () => {
  for (let round = 0; round < 10; round++) {
    const folder = newFolder();
    const path = join(folder, 'socket');
    await leaveStale(path);
    const servers = Array.from({ length: 3 }, () => new NbdServer());
    onTestFinished(async () => {
      for (const server of servers) await server.stop(0);
    });
    const results = await Promise.allSettled(servers.map((server) => server.listen({ path })));
    const refused = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
    expect(refused).toMatchObject([{ code: 'EADDRINUSE' }, { code: 'EADDRINUSE' }]);
    (await connectTo(path)).destroy();
    expect(fs.readdirSync(folder)).toEqual(['socket']);
  }
});
