// Nodes of a benchmark: the owner in this process, holders in processes of their own, pages that are away.

import { type NodeCertificates, Ramster, type RamsterSettings } from '../../src/ramster/index.ts';
import { Oid, open, type Pool, type Store } from '../../src/zcache/index.ts';
import { makeAuthority } from '../../test/ramster/certificates.ts';
import { Helper } from '../support/helper.ts';
import { loadPages, type Pages, withoutSameFilled } from '../support/pages.ts';
import type { NodeTask } from './node-process.ts';

const PROCESS = new URL('./node-process.ts', import.meta.url);
const CONNECT_MAX_MS = 20_000;
const LOOK_MS = 20;

export const oid = Oid.fromNumbers(1n, 2n, 3n);

export interface SceneOptions {
  /** With TLS and sealed pages; else plain TCP and pages as they are stored. */
  readonly secured: boolean;
  readonly holders: number;
  readonly replicas: number;
  /** Between owner and holder, for each direction; undefined: no proxy. */
  readonly proxyDelayMs?: number;
  readonly settings?: RamsterSettings;
  readonly pagesFile?: string | undefined;
}

export class Scene {
  readonly store: Store;
  readonly pool: Pool;
  readonly ramster: Ramster;
  readonly holders: readonly Helper[];
  readonly proxy: Helper | undefined;
  readonly pages: Pages;

  private constructor(parts: Pick<Scene, 'store' | 'pool' | 'ramster' | 'holders' | 'proxy' | 'pages'>) {
    this.store = parts.store;
    this.pool = parts.pool;
    this.ramster = parts.ramster;
    this.holders = parts.holders;
    this.proxy = parts.proxy;
    this.pages = parts.pages;
  }

  static async start(options: SceneOptions): Promise<Scene> {
    const names = Array.from({ length: options.holders }, (_, i) => `holder-${i}`);
    const authority = options.secured ? await makeAuthority() : undefined;
    const tlsOf = async (name: string): Promise<{ tls?: NodeCertificates }> =>
      authority === undefined ? {} : { tls: await authority.node(name) };
    const shared = { replicas: options.replicas, seal: options.secured };
    const holders: Helper[] = [];
    const peers: { name: string; address: string }[] = [];
    let proxy: Helper | undefined;
    for (const name of names) {
      const holder = await Helper.start(PROCESS);
      holders.push(holder);
      const node = { ...shared, ...(await tlsOf(name)), name, listen: ['127.0.0.1:0'], capBytes: '512 MiB' };
      let address = await holder.ask<string>({
        kind: 'node',
        memory: '1 GiB',
        options: node,
      } satisfies NodeTask);
      if (options.proxyDelayMs !== undefined) {
        proxy = await Helper.start(PROCESS);
        const to = Number(address.split(':')[1]);
        const port = await proxy.ask<number>({
          kind: 'proxy',
          to,
          delayMs: options.proxyDelayMs,
        } satisfies NodeTask);
        address = `127.0.0.1:${port}`;
      }
      peers.push({ name, address });
    }
    const store = open({ memory: '256 MiB', incompressible: 'store' });
    const pool = store.client('app').pool('pages', { kind: 'persistent' });
    const ramster = await Ramster.open(store, {
      ...{ name: 'owner', peers, clients: ['app'], ...shared, ...(await tlsOf('owner')) },
      // Only what the benchmark sends is away, and it stays until it is got.
      ...{ sendBelowPercent: 0, sendUntilPercent: 1, homeAbovePercent: 100, ...options.settings },
    });
    const scene = new Scene({
      ...{ store, pool, ramster, holders, proxy },
      pages: withoutSameFilled(loadPages(options.pagesFile)),
    });
    await until(() => ramster.peers().filter(({ state }) => state === 'up').length === names.length);
    return scene;
  }

  page(index: number): Uint8Array {
    const at = (index % this.pages.count) * 4096;
    return this.pages.bytes.subarray(at, at + 4096);
  }

  /** Puts pages. */
  fill(count: number): void {
    for (let index = 0; index < count; index++) {
      if (this.pool.replace(oid, index, this.page(index)) !== 'stored') throw new Error('the store is full');
    }
  }

  /** Sends pages that were put, so many at a time. */
  async send(count: number, underWay: number): Promise<void> {
    let next = 0;
    const one = async (): Promise<void> => {
      for (let index = next++; index < count; index = next++) {
        if ((await this.ramster.send(this.pool, oid, index)) !== 'sent')
          throw new Error('no peer took the page');
      }
    };
    await Promise.all(Array.from({ length: underWay }, one));
  }

  /** Waits until no copy is on its way to be freed. */
  async quiet(): Promise<void> {
    await until(() => this.ramster.statistics().curr_flush_queue === 0);
  }

  async end(): Promise<void> {
    await this.ramster.close();
    this.store.close();
    for (const helper of [...this.holders, ...(this.proxy === undefined ? [] : [this.proxy])])
      await helper.kill();
  }
}

export async function until(isTrue: () => boolean, mostMs = CONNECT_MAX_MS): Promise<void> {
  const endMs = performance.now() + mostMs;
  while (!isTrue()) {
    if (performance.now() > endMs) throw new Error(`not within ${mostMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
