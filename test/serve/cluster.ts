// Nodes of a cluster as processes of `tmem serve`, for as long as a test runs.

import { randomBytes, randomInt } from 'node:crypto';
import fs from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import type { PeersPage } from '../../src/serve/index.ts';
import type { Client } from '../nbd/client.ts';
import { type Authority, makeAuthority } from '../ramster/certificates.ts';
import { newFolder, type Running, serving } from './running.ts';

/** Often beside anything that is waited for. */
const LOOK_MS = 50;
const MiB = 2 ** 20;
const REQUEST_BYTES = 64 * 1024;
/** Longer than anything takes on a machine that is busy with other things. */
const WAIT_MAX_MS = 60_000;

export interface Node {
  readonly name: string;
  readonly address: string;
  /** Socket of its metrics. */
  readonly http: string;
  /** Socket for NBD clients. */
  readonly nbd: string;
  /** Where its settings are. */
  readonly folder: string;
  readonly running: Running;
}

/** Settings of a node beside those that every node has. */
export interface NodeChanges {
  readonly store: object;
  readonly exports?: readonly object[];
  readonly ramster?: object;
  readonly threads?: number;
}

export class Cluster {
  readonly folder = newFolder();
  readonly authority: Authority;
  /** Of this test alone: any address of 127.0.0.0/8 is this machine. */
  readonly #network = `127.${randomInt(1, 255)}.${randomInt(255)}`;
  readonly #names: readonly string[];

  private constructor(authority: Authority, names: readonly string[]) {
    this.authority = authority;
    this.#names = names;
  }

  static async make(names: readonly string[]): Promise<Cluster> {
    return new Cluster(await makeAuthority(), names);
  }

  addressOf(name: string): string {
    return `${this.#network}.${this.#names.indexOf(name) + 1}:7300`;
  }

  /** Key and certificate of a node as files; made anew each time. */
  async certify(name: string): Promise<{ certificate: string; key: string; authority: string }> {
    const { cert, key, ca } = await this.authority.node(name);
    const write = (what: string, text: string | Buffer): string => {
      const path = join(this.folder, `${name}-${what}.pem`);
      fs.writeFileSync(path, text);
      return path;
    };
    return { certificate: write('cert', cert), key: write('key', key), authority: write('ca', ca) };
  }

  async settings(
    name: string,
    { store, exports = [], ramster = {}, threads = 0 }: NodeChanges,
  ): Promise<object> {
    const others = this.#names.filter((each) => each !== name);
    return {
      ...{ store, exports, threads },
      listen: exports.length === 0 ? [] : [`unix:${this.#socket(name, 'nbd')}`],
      http: `unix:${this.#socket(name, 'http')}`,
      ramster: {
        name,
        listen: [this.addressOf(name)],
        tls: await this.certify(name),
        peers: others.map((each) => ({ name: each, address: this.addressOf(each) })),
        drainTimeoutMs: 0,
        ...ramster,
      },
    };
  }

  async start(name: string, changes: NodeChanges): Promise<Node> {
    const folder = join(this.folder, name);
    fs.mkdirSync(folder, { recursive: true });
    const sign = /node \S+ of cluster .*\n/;
    const running = await serving(await this.settings(name, changes), folder, sign);
    const address = this.addressOf(name);
    const [http, nbd] = [this.#socket(name, 'http'), this.#socket(name, 'nbd')];
    return { name, address, http, nbd, folder, running };
  }

  #socket(name: string, what: string): string {
    return join(this.folder, `${name}.${what}`);
  }
}

/** A page of the daemon. */
export function ask(socketPath: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => resolve(body));
    });
    asked.on('error', reject).end();
  });
}

export async function peersOf(node: Node): Promise<PeersPage> {
  return JSON.parse(await ask(node.http, '/peers')) as PeersPage;
}

/** States of a node's peers, by name. */
export async function statesOf(node: Node): Promise<Record<string, string>> {
  return Object.fromEntries((await peersOf(node)).peers.map(({ name, state }) => [name, state]));
}

/** A sample of a daemon's metrics. */
export async function metric(node: Node, name: string): Promise<number> {
  const text = await ask(node.http, '/metrics');
  const line = text.split('\n').find((each) => each.startsWith(`${name} `));
  if (line === undefined) throw new Error(`no ${name} in\n${text}`);
  return Number(line.slice(name.length + 1));
}

/** Looks again and again until it is so; the value that was. */
export async function until<Value>(
  what: string,
  look: () => Promise<Value>,
  isSo: (value: Value) => boolean,
): Promise<Value> {
  const endMs = performance.now() + WAIT_MAX_MS;
  for (;;) {
    const value = await look();
    if (isSo(value)) return value;
    if (performance.now() > endMs) throw new Error(`${what}: still ${JSON.stringify(value)}`);
    await delay(LOOK_MS);
  }
}

/** It takes pages of others, and has no exports. */
export const lender: NodeChanges = {
  store: { memory: '48 MiB' },
  ramster: { lendBytes: '40 MiB', capBytes: '40 MiB' },
};

/** Its store is half as large as what is written to it. */
export const borrower = (kind: 'ram' | 'swap', more: Partial<NodeChanges> = {}): NodeChanges => ({
  store: { memory: '12 MiB' },
  exports: [{ name: 'small', kind, size: 20 * MiB }],
  ...more,
});

/** Writes all of an export with bytes that do not compress; a store that is full for the moment is tried again. */
export async function fill(client: Client): Promise<Buffer> {
  const data = randomBytes(client.size);
  for (let at = 0; at < data.length; at += REQUEST_BYTES) {
    const part = data.subarray(at, at + REQUEST_BYTES);
    await until(
      'a write',
      () => client.write(at, part),
      (error) => error === 0,
    );
  }
  return data;
}

export async function expectAll(client: Client, data: Buffer): Promise<void> {
  for (let at = 0; at < data.length; at += REQUEST_BYTES) {
    const read = await client.read(at, REQUEST_BYTES);
    if (!read.equals(data.subarray(at, at + REQUEST_BYTES))) expect.fail(`other bytes at ${at}`);
  }
}

export async function everybodyUp(...nodes: Node[]): Promise<void> {
  for (const node of nodes) {
    await until(
      `${node.name}: peers`,
      () => peersOf(node),
      ({ peers }) => peers.length > 0 && peers.every(({ state }) => state === 'up'),
    );
  }
}
