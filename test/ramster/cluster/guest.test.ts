// A Linux guest whose swap is an export of a node, and most of what it swaps is with that node's peers, of which one is
// killed. Every byte is verified in the guest; a wrong one ends it with an error.

import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DEVICE_BYTES, nbdDisk, VIRTIO_NAME } from '../../../guest/devices/device.ts';
import { type SwapLoad, swapOnDevice, swapPrograms } from '../../../guest/workloads/swap.ts';
import { needGuest } from '../../guest/needs.ts';
import { Cluster, metric, type Node, type NodeChanges, peersOf, until } from '../../serve/cluster.ts';
import { newFile } from '../../serve/running.ts';

/** On a loaded machine; a quiet one takes a tenth of it. */
const PATIENCE_MS = 300_000;

const LOAD: SwapLoad = { memoryMib: 128, hogMib: 132, passes: 1, programs: false };
/** Pages that are with peers when one of them is killed: more than the store itself has room for. */
const AWAY_LEAST = 4000;

const LENDER: NodeChanges = {
  store: { memory: '96 MiB' },
  ramster: { lendBytes: '88 MiB', capBytes: '88 MiB' },
};
/**
 * Most of the store is kept free for what comes faster than it leaves; what does not fit even so goes to a file, or
 * QEMU would stop a guest whose disk is full.
 */
const borrower = (file: string): NodeChanges => ({
  store: { memory: '32 MiB' },
  exports: [{ name: 'swap', kind: 'swap', file }],
  ramster: { sendBelowPercent: 75, sendUntilPercent: 80, homeAbovePercent: 95, tickMs: 10 },
});

async function untilUp(node: Node, count: number): Promise<void> {
  await until(
    'peers are up',
    () => peersOf(node),
    ({ peers }) => peers.filter(({ state }) => state === 'up').length === count,
  );
}

test(
  'a guest swaps to a node whose pages are with others, one of which is killed, and gets every byte back',
  async (context) => {
    needGuest(context, swapPrograms('tmem', LOAD));
    const cluster = await Cluster.make(['a', 'b', 'c', 'd']);
    const [b, c, d] = [
      await cluster.start('b', LENDER),
      await cluster.start('c', LENDER),
      await cluster.start('d', LENDER),
    ];
    const file = newFile(join(cluster.folder, 'swap'), DEVICE_BYTES);
    const a = await cluster.start('a', borrower(file));
    await untilUp(a, 3);

    const device = { qemu: nbdDisk(a.nbd, 'swap'), guestName: VIRTIO_NAME, stats: async () => ({}) };
    const guest = swapOnDevice(device, LOAD);
    // Told below.
    guest.catch(() => {});
    await until(
      'the guest swaps, and its pages are with peers',
      () => metric(a, 'tmem_ramster_remote_pers_pages'),
      (away) => away >= AWAY_LEAST,
    );
    b.running.child.kill('SIGKILL');
    const { pagesOut, pagesIn } = await guest;
    expect(pagesOut).toBeGreaterThan(AWAY_LEAST);
    expect(pagesIn).toBeGreaterThan(AWAY_LEAST);
    expect(await metric(a, 'tmem_ramster_remote_pers_pages_succ_get_total')).toBeGreaterThan(0);
    expect(await metric(a, 'tmem_ramster_pages_lost_total')).toBe(0);
    // It has freed its swap, and so have the others.
    await until(
      'others have what is away, and nothing else',
      async () => ({
        away: (await peersOf(a)).remotePages,
        copies:
          (await metric(c, 'tmem_ramster_foreign_pers_pages')) +
          (await metric(d, 'tmem_ramster_foreign_pers_pages')),
      }),
      ({ away, copies }) => copies === 2 * away,
    );
  },
  PATIENCE_MS,
);
