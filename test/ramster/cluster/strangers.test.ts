// Nodes that are not let in: both sides learn why, and nothing is lent to them.

import { expect, test } from 'vitest';
import { hours, makeAuthority } from '../certificates.ts';
import {
  Cluster,
  countAway,
  type Node,
  type NodeChanges,
  OWNER,
  until,
  untilTold,
  untilUp,
  untilWhole,
} from './cluster.ts';
import { Pages } from './load.ts';
import { needNetwork } from './network.ts';

/** On a loaded machine; a quiet one takes a tenth of it. */
const PATIENCE_MS = 180_000;
/** Commands of a load. */
const SOME = 40;

/** Waits until a node says this of a peer. */
async function untilProblem(node: Node, name: string, pattern: RegExp): Promise<void> {
  await until(
    `${name}: ${pattern}`,
    () => node.call('peers'),
    (peers) => peers.some((peer) => peer.name === name && pattern.test(peer.problem ?? '')),
  );
}

test(
  'of two nodes with one name the second is refused, is told so, and harms nothing of the first',
  async (context) => {
    needNetwork(context);
    const cluster = await Cluster.make('a', 'b', 'c', 'x');
    const [b, c] = await Promise.all(['b', 'c'].map((name) => cluster.start(name)));
    const a = await cluster.start('a', { store: OWNER });
    await untilUp(a, 'b', 'c');
    const pages = new Pages(31);
    await pages.fill(a);
    const load = pages.load(a);
    const peers = ['b', 'c'].map((name) => ({ name, address: cluster.addressOf(name) }));
    const twin = await cluster.start('a', { machine: 'x', store: OWNER, ramster: { peers } });
    const own = new Pages(32);
    await own.fill(twin);
    for (const name of ['b', 'c']) {
      await untilProblem(twin, name, /refused: another node called 'a' is running; give each its own name/);
    }
    await untilTold(b!, 'refused', /another node called 'a' is running/);
    await untilTold(c!, 'refused', /another node called 'a' is running/);
    await load.goOn(SOME);
    await untilUp(a, 'b', 'c');
    await load.end();
    expect(await countAway(twin)).toBe(0);
    await own.verify(twin);
    await untilWhole(a, [b!, c!]);
    await pages.verify(a);
  },
  PATIENCE_MS,
);

type Change = (cluster: Cluster) => Promise<NodeChanges['ramster']>;

test.for<[string, Change, { readonly stranger: RegExp; readonly node: RegExp }]>([
  [
    'of another cluster',
    async () => ({ cluster: 'other' }),
    {
      stranger: /refused: this is a node of cluster 'tmem', not 'other'/,
      node: /this is a node of cluster 'tmem', not 'other'/,
    },
  ],
  [
    'with a certificate of another authority',
    async () => ({ tls: await (await makeAuthority('another')).node('s') }),
    {
      stranger: /certificate was signed by another authority/,
      node: /certificate was signed by another authority/,
    },
  ],
  [
    'with a certificate of the right authority and another name',
    async ({ authority }) => ({ tls: await authority.node('somebody') }),
    {
      stranger: /refused: its certificate is for node 'somebody', it calls itself 's'/,
      node: /its certificate is for node 'somebody', it calls itself 's'/,
    },
  ],
  [
    'with a certificate that has expired',
    async ({ authority }) => ({ tls: await authority.node('s', { validity: hours(-24, -1) }) }),
    { stranger: /the certificate has expired/, node: /the certificate has expired/ },
  ],
  [
    'with a certificate that is not valid yet',
    async ({ authority }) => ({ tls: await authority.node('s', { validity: hours(1, 24) }) }),
    { stranger: /the certificate is not valid before/, node: /the certificate is not valid before/ },
  ],
  [
    'without any certificate',
    async () => ({ tls: undefined, allowInsecure: true }),
    { stranger: /./, node: /what it sent is no TLS/ },
  ],
])(
  'a node %s is refused, told on both sides, and keeps its pages',
  { timeout: PATIENCE_MS },
  async ([, change, says], context) => {
    needNetwork(context);
    const cluster = await Cluster.make('b', 's');
    const b = await cluster.start('b');
    const s = await cluster.start('s', {
      store: OWNER,
      ramster: { replicas: 1, ...(await change(cluster)) },
    });
    const pages = new Pages(33);
    await pages.fill(s);
    await untilProblem(s, 'b', says.stranger);
    await untilTold(b, 'refused', says.node);
    expect((await s.call('peers')).map(({ state }) => state)).toEqual(['down']);
    expect((await b.call('peers')).map(({ state, lentPages }) => [state, lentPages])).toEqual([['down', 0]]);
    expect((await b.call('statistics')).foreign_pers_pages).toBe(0);
    expect(await countAway(s)).toBe(0);
    await pages.verify(s);
  },
);
