// The torture run of the server: killed, started again on the same files, killed again. Two servers take turns, one on
// a named store, one without; each has disks of all kinds.
//
// A kill comes after a number of replies, or shortly after a FLUSH was sent, or from the server itself, at a chosen
// call of a file. All are counted in requests, not in time: a slow machine meets the same moments.

import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { removeStore, type StoreOptions } from '../../../src/zcache/index.ts';
import { BLOCK, randomFrom } from '../rounds.ts';
import type { DeathAt, ServedExport, ServerArguments } from '../server-process.ts';
import { type Tally, Target } from './target.ts';

export interface NbdTortureOptions {
  /** Whichever bound is reached first ends the run, after the round that is running. */
  readonly kills: number;
  readonly seconds: number;
  readonly seed: number;
  /** Gets a line for each thing that must not happen. */
  readonly say: (line: string) => void;
  /** Ends the run, and the server. */
  readonly signal?: AbortSignal;
}

export interface NbdTortureResult extends Tally {
  readonly seed: number;
  readonly seconds: number;
}

const BYTES = 2 ** 20;
const SCRIPT = join(import.meta.dirname, '../server-process.ts');

/** Replies in a round before a kill, at most; one that the server aims at itself and does not reach comes then. */
const REPLIES_MAX = 600;
/** FLUSHes are one request in sixteen. */
const FLUSHES_MAX = 25;
/** A FLUSH of these exports takes some milliseconds. */
const FLUSH_MS = 6;
/** Calls of a file in a round. */
const CALLS_MAX = { write: 40, zero: 5, flush: 8 } as const;
/** Where an aimed kill comes. Half of the calls are writes. */
const CALLS = ['write', 'write', 'flush', 'zero'] as const;
const MOMENTS = ['before', 'within', 'after'] as const;

/** One mistake may show in thousands of blocks. */
const LINES_MAX = 40;

/** Disks with room, with pages that move out all the time, too little memory, written through, with a cache. */
const DISKS: Readonly<Record<string, Partial<ServedExport>>> = {
  room: {},
  moving: { shrinkTo: 20 },
  pressed: { memoryMax: 2 ** 18 },
  through: { writethrough: true, memoryMax: 2 ** 18 },
  cached: { memoryMax: 2 ** 18, cache: true, shrinkTo: 50 },
};

export class NbdTorture {
  readonly #options: NbdTortureOptions;
  readonly #folder = fs.mkdtempSync(join(tmpdir(), 'tmem-nbd-torture-'));
  readonly #name = `nbd-torture-${randomBytes(6).toString('hex')}`;
  readonly #tally: Tally = {
    ...{ kills: 0, aimed: 0, operations: 0, flushes: 0, fuas: 0 },
    ...{ lost: 0, stale: 0, torn: 0 },
  };
  #child: ChildProcess | undefined;
  #storeMayBe = false;
  #lines = 0;

  constructor(options: NbdTortureOptions) {
    this.#options = options;
  }

  async run(): Promise<NbdTortureResult> {
    const started = performance.now();
    const spent = (): number => (performance.now() - started) / 1000;
    const { kills, seconds, seed, signal } = this.#options;
    const random = randomFrom(seed);
    const sites = [this.#unnamed(), this.#named()];
    signal?.addEventListener('abort', () => this.#child?.kill('SIGKILL'));
    try {
      for (let round = 0; this.#tally.kills < kills && spent() < seconds; round++) {
        if (signal?.aborted) break;
        await this.#round(sites[round % sites.length]!, random);
      }
      if (!signal?.aborted) for (const site of sites) await this.#end(site);
    } finally {
      this.#child?.kill('SIGKILL');
      if (this.#storeMayBe) removeStore(this.#name, { force: true });
      fs.rmSync(this.#folder, { recursive: true, force: true });
    }
    return { seed, seconds: Math.round(spent()), ...this.#tally };
  }

  #unnamed(): Site {
    return { store: { memory: '16 MiB' }, targets: this.#disks('unnamed', 'lasting') };
  }

  /** In a named store the pages outlive the server, those of exports that promise less as well. */
  #named(): Site {
    const targets = this.#disks('named', 'acknowledged');
    const swap: ServedExport = {
      name: 'swap',
      kind: 'swap',
      file: this.#newFile('swap'),
      memoryMax: 2 ** 18,
    };
    const ram: ServedExport = { name: 'ram', kind: 'ram', size: BYTES };
    for (const options of [swap, ram]) targets.push(this.#newTarget('named', options, 'acknowledged'));
    return { store: { memory: '16 MiB', name: this.#name, incompressible: 'store' }, targets };
  }

  #disks(site: string, survives: 'lasting' | 'acknowledged'): Target[] {
    return Object.entries(DISKS).map(([name, options]) => {
      const file = this.#newFile(`${site}-${name}`);
      return this.#newTarget(site, { name, kind: 'disk', file, ...options }, survives);
    });
  }

  #newTarget(site: string, options: ServedExport, survives: 'lasting' | 'acknowledged'): Target {
    const { seed } = this.#options;
    const say = (line: string): void => {
      if (++this.#lines <= LINES_MAX)
        this.#options.say(`seed ${seed}, kill ${this.#tally.kills}, ${site}/${line}`);
    };
    return new Target(options, BYTES / BLOCK, survives, this.#tally, say);
  }

  #newFile(name: string): string {
    const path = join(this.#folder, name);
    fs.writeFileSync(path, '');
    fs.truncateSync(path, BYTES);
    return path;
  }

  /** Starts a server on what the one before left, checks that, works, kills, and checks the files. */
  async #round(site: Site, random: (below: number) => number): Promise<void> {
    const repliesMax = 1 + random(REPLIES_MAX);
    const kind = random(3);
    const flushesMax = kind === 0 ? 1 + random(FLUSHES_MAX) : Number.POSITIVE_INFINITY;
    const waitMs = random(FLUSH_MS);
    const victim = random(site.targets.length);
    const call = CALLS[random(CALLS.length)]!;
    const death: DeathAt = {
      call,
      nth: 1 + random(CALLS_MAX[call]),
      moment: MOMENTS[random(MOMENTS.length)]!,
    };
    const onFile = site.targets.map((target) => target.checkFile());
    // Aimed kills are for the round's work: what is served is checked before, which only reads.
    const { child, exit, path } = await this.#start(site, kind === 1 ? { victim, death } : undefined);
    for (const [i, target] of site.targets.entries()) await target.checkServed(path, onFile[i]);
    const clients = await Promise.all(site.targets.map((target) => target.connect(path)));
    let [replies, flushes, ours] = [0, 0, false];
    const kill = (): void => {
      ours ||= child.kill('SIGKILL');
    };
    child.send('arm');
    await Promise.all(
      site.targets.map((target, i) =>
        target.work(clients[i]!, random, (event) => {
          if (event === 'answered' && ++replies === (kind === 2 ? repliesMax : REPLIES_MAX)) kill();
          if (event === 'flushing' && ++flushes === flushesMax) void delay(waitMs).then(kill);
        }),
      ),
    );
    const { signal } = await exit;
    if (signal !== 'SIGKILL') throw new Error(`the server ended by itself: ${signal}`);
    this.#tally.kills++;
    if (!ours) this.#tally.aimed++;
  }

  /** One more server, which is ended in order: the files have all that was served. */
  async #end(site: Site): Promise<void> {
    const onFile = site.targets.map((target) => target.checkFile());
    const { child, exit, path } = await this.#start(site);
    for (const [i, target] of site.targets.entries()) await target.checkServed(path, onFile[i]);
    child.kill('SIGTERM');
    const { code } = await exit;
    if (code !== 0) throw new Error(`a server that was ended in order ended with ${code}`);
    for (const target of site.targets) {
      if (target.options.kind === 'disk') target.ledger.flushed(target.ledger.now());
      target.checkFile();
    }
  }

  async #start(site: Site, aim?: { readonly victim: number; readonly death: DeathAt }): Promise<Started> {
    const path = join(this.#folder, 'socket');
    const exports = site.targets.map(({ options }, i) =>
      aim?.victim === i ? { ...options, deathAt: aim.death } : options,
    );
    const given: ServerArguments = { path, store: site.store, exports };
    const child = fork(SCRIPT, [JSON.stringify(given)]);
    this.#child = child;
    this.#storeMayBe ||= site.store.name !== undefined;
    const exit = new Promise<End>((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }));
    });
    const first = await Promise.race([once(child, 'message'), exit]);
    if ('code' in first) throw new Error(`the server did not start: ${first.code ?? first.signal}`);
    return { child, exit, path };
  }
}

interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

interface Started {
  readonly child: ChildProcess;
  readonly exit: Promise<End>;
  readonly path: string;
}

interface Site {
  readonly store: StoreOptions;
  readonly targets: Target[];
}
