// Two nodes and an application as processes: the application has the store of one node open, most of which is with the
// other one, and reads and writes its pages as if they all were here.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { RamsterSettings } from '../../../src/ramster/index.ts';
import { countAway, HOLDER, type Node, newStoreName, OWNER, until, untilUp } from '../cluster/cluster.ts';
import { CommandProcess, type Commands } from '../cluster/commands.ts';
import { Pages } from '../cluster/load.ts';
import type { NodeCommands } from '../cluster/node-process.ts';
import { pageOf } from '../cluster/pages.ts';
import type { AppCommands } from './app-process.ts';

/** On a loaded machine; a quiet one takes a tenth of it. */
const PATIENCE_MS = 180_000;
/** Commands of a load. */
const SOME = 60;
/** Pages that are away at least when a test has something to prove. */
const AWAY_LEAST = 500;
/** Twice what the store holds. */
const FILE_PAGES = 4096;

const SETTINGS = {
  ...{ replicas: 1, sendBelowPercent: 68, sendUntilPercent: 72, homeAbovePercent: 100 },
  ...{ patienceMs: 20_000, leaseMs: 600_000, heartbeatMs: 100, suspectMs: 500, downMs: 1000, tickMs: 10 },
};

async function started<Has extends Commands>(program: string): Promise<CommandProcess<Has>> {
  const path = join(import.meta.dirname, program);
  const process_ = await CommandProcess.start<Has>([process.execPath, path]);
  onTestFinished(() => process_.kill());
  return process_;
}

/** A holder, and what it takes to start its owner and an application on the owner's store. */
async function scene() {
  const folder = mkdtempSync(join(tmpdir(), 'tmem-fetch-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const name = newStoreName();
  const socketOf = (what: string) => `unix:${join(folder, `${what}.sock`)}`;
  const peer = (node: string) => ({ name: node, address: socketOf(node) });
  const holder = await started<NodeCommands>('../cluster/node-process.ts');
  await holder.call('open', {
    store: HOLDER,
    ramster: {
      ...SETTINGS,
      name: 'b',
      listen: [socketOf('b')],
      peers: [peer('a')],
      lendBytes: '56 MiB',
      capBytes: '56 MiB',
    },
  });
  return {
    folder,
    /** The node on the store, which is made if it is not there. */
    owner: async (changes: Partial<RamsterSettings> = {}): Promise<Node> => {
      const owner = await started<NodeCommands>('../cluster/node-process.ts');
      const own = { name: 'a', listen: [socketOf('a')], peers: [peer('b')], fetchListen: socketOf('fetch') };
      await owner.call('open', { store: { ...OWNER, name }, ramster: { ...SETTINGS, ...own, ...changes } });
      await untilUp(owner, 'b');
      return owner;
    },
    app: async () => {
      const app = await started<AppCommands>('app-process.ts');
      await app.call('open', name, socketOf('fetch'));
      return app;
    },
  };
}

test(
  'an application reads and writes its pages while they come and go, and its node is killed and comes back',
  async () => {
    const { owner, app: newApp } = await scene();
    let node = await owner();
    const app = await newApp();
    const pages = new Pages(4);
    // It has the commands that are used on pages.
    const like = app as unknown as Node;
    await pages.fill(like);
    await until(
      'much is away',
      () => countAway(node),
      (away) => away > AWAY_LEAST,
    );
    for (let round = 0; round < 2; round++) {
      const load = pages.load(like);
      await load.goOn(SOME);
      await load.end();
      await pages.verify(like);
      expect(await countAway(node)).toBeGreaterThan(AWAY_LEAST);
      const { persistent } = pages;
      // In the middle of gets, or while nobody brings anything home.
      const isBusy = round === 0;
      const reads = isBusy ? app.call('read', 'persistent', persistent.indexes) : undefined;
      await node.kill();
      const during = (await reads) ?? [];
      const after = await app.call('read', 'persistent', persistent.indexes);
      for (const found of [during, after]) {
        for (const [i, read] of found.entries()) {
          if (read !== 'away') persistent.found(persistent.indexes[i]!, read);
        }
      }
      if (!isBusy) expect(after).toContain('away');
      node = await owner();
      await pages.verify(like);
    }
    expect((await node.call('statistics')).pages_lost).toBe(0);
    await app.call('close');
  },
  PATIENCE_MS,
);

test(
  'two applications at a time read what is away, and one that is killed in the middle takes nothing with it',
  async () => {
    const { owner, app: newApp } = await scene();
    const node = await owner();
    const [first, second] = [await newApp(), await newApp()];
    const pages = new Pages(5);
    await pages.fill(node);
    await until(
      'much is away',
      () => countAway(node),
      (away) => away > AWAY_LEAST,
    );
    const { persistent } = pages;
    const killed = first.call('read', 'persistent', persistent.indexes).catch((error) => String(error));
    const reads = second.call('read', 'persistent', persistent.indexes);
    await first.kill();
    await killed;
    for (const [i, found] of (await reads).entries()) persistent.found(persistent.indexes[i]!, found);
    await pages.verify(node);
    expect((await node.call('statistics')).pages_lost).toBe(0);
  },
  PATIENCE_MS,
);

test(
  'an application caches a file in the store, and finds pages of it that are with the peer',
  async () => {
    const { folder, owner, app: newApp } = await scene();
    const node = await owner({ clients: ['cleancache'] });
    const app = await newApp();
    const path = join(folder, 'file');
    writeFileSync(
      path,
      Buffer.concat(Array.from({ length: FILE_PAGES }, (_, n) => pageOf('ephemeral', n, 1))),
    );
    await until(
      'pages of the file came from the peer',
      async () => {
        expect(await app.call('readFile', path)).toBe(0);
        return (await node.call('statistics')).remote_eph_pages_succ_get;
      },
      (fetched) => fetched > 0,
    );
    // Without the node the file itself is read.
    await node.kill();
    expect(await app.call('readFile', path)).toBe(0);
    await owner({ clients: ['cleancache'] });
    expect(await app.call('readFile', path)).toBe(0);
    await app.call('close');
  },
  PATIENCE_MS,
);
