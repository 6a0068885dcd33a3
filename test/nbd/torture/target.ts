// One export of the torture run: its clients write, zero, trim, read and flush until the server is killed, and check
// what they read; then what is left is checked.

import fs from 'node:fs';
import { CMD, CMD_FLAG } from '../../../src/nbd/protocol.ts';
import { Client } from '../client.ts';
import { BLOCK, contentOf, idIn, ZERO } from '../rounds.ts';
import type { ServedExport } from '../server-process.ts';
import { Ledger, type Survives } from './ledger.ts';

type Random = (below: number) => number;

/** Requests of one connection under way. */
const DEPTH = 4;

/** Longest write, in blocks: some regions of the swap device. */
const LENGTHS = [1, 8, 8, 40, 40, 40, 200, 1100] as const;

/** Blocks read at a time by checks. */
const CHECKED_BLOCKS = 512;

const MODES = ['simple', 'structured', 'extended'] as const;

/** What the run counts. */
export interface Tally {
  kills: number;
  /** Kills by the server itself, within a call of the file that was drawn before. */
  aimed: number;
  operations: number;
  flushes: number;
  fuas: number;
  /** Blocks that a killed server left without what had to survive. */
  lost: number;
  /** Blocks that a read found older than what was acknowledged before it. */
  stale: number;
  /** Blocks that are no write's. */
  torn: number;
}

/** Told of each request that was answered, and of each FLUSH that is sent. */
export type Progress = (event: 'answered' | 'flushing') => void;

export class Target {
  readonly options: ServedExport;
  readonly ledger: Ledger;
  /** What a killed server has to serve again. */
  readonly #survives: Survives;
  readonly #say: (line: string) => void;
  readonly #tally: Tally;
  #id = 0;

  constructor(
    options: ServedExport,
    blocks: number,
    survives: Survives,
    tally: Tally,
    say: (line: string) => void,
  ) {
    this.options = options;
    this.ledger = new Ledger(blocks);
    this.#survives = survives;
    this.#tally = tally;
    this.#say = say;
  }

  /** Checks the file of a server that was killed: what was flushed has to be there. What each block holds. */
  checkFile(): number[] | undefined {
    const { file, kind } = this.options;
    if (file === undefined || kind !== 'disk') return undefined;
    return this.checkImage(fs.readFileSync(file));
  }

  /** As `checkFile`, of an image. */
  checkImage(image: Buffer): number[] {
    return this.#check(image, 0, 'lasting');
  }

  /** Checks what the next server serves; from now on that is it. `onFile`: what `checkFile` found. */
  async checkServed(path: string, onFile: readonly number[] | undefined): Promise<void> {
    const client = await Client.open(path, this.options.name);
    for (let first = 0; first < this.ledger.blocks; first += CHECKED_BLOCKS) {
      const bytes = await client.read(first * BLOCK, CHECKED_BLOCKS * BLOCK);
      const found = this.#check(bytes, first, this.#survives);
      for (const [i, id] of found.entries()) this.ledger.settle(first + i, id, onFile?.[first + i] ?? id);
    }
    await client.close();
  }

  async connect(path: string): Promise<Client[]> {
    return await Promise.all(MODES.map((mode) => Client.open(path, this.options.name, mode)));
  }

  /** Works on several connections until the server is gone. */
  async work(clients: readonly Client[], random: Random, progress: Progress): Promise<void> {
    const lanes = clients.flatMap((client) => Array.from({ length: DEPTH }, () => client));
    await Promise.all(lanes.map((client) => this.#lane(client, random, progress)));
  }

  async #lane(client: Client, random: Random, progress: Progress): Promise<void> {
    while (!client.ended) {
      const answered = await this.#request(client, random, progress);
      if (!answered) continue;
      this.#tally.operations++;
      progress('answered');
    }
  }

  /** False: the server went away before it answered. */
  async #request(client: Client, random: Random, progress: Progress): Promise<boolean> {
    const what = random(16);
    if (what === 0) return await this.#flush(client, progress);
    const first = random(this.ledger.blocks);
    const count = Math.min(1 + random(LENGTHS[random(LENGTHS.length)]!), this.ledger.blocks - first);
    if (what <= 4) return await this.#read(client, first, first + count);
    return await this.#change(client, first, first + count, what, random(4) === 0);
  }

  async #flush(client: Client, progress: Progress): Promise<boolean> {
    const sent = this.ledger.now();
    const reply = client.command(CMD.FLUSH);
    progress('flushing');
    if (!this.#succeeded(await reply, 'FLUSH')) return false;
    this.#tally.flushes++;
    this.ledger.flushed(sent);
    return true;
  }

  async #read(client: Client, first: number, end: number): Promise<boolean> {
    const sent = this.ledger.readSent();
    const [position, length] = [first * BLOCK, (end - first) * BLOCK];
    const { error, data } = await client.send({ type: CMD.READ, position, length });
    if (!this.#succeeded(error, 'READ')) {
      this.ledger.readEnded(sent);
      return false;
    }
    for (let block = first; block < end; block++) {
      const id = this.#idOf(data.subarray((block - first) * BLOCK, (block - first + 1) * BLOCK), block);
      if (id === undefined || this.ledger.mayRead(block, id, sent)) continue;
      this.#tally.stale++;
      this.#tell(`read: block ${block} holds ${id}, sent at ${sent}`, block);
    }
    this.ledger.readEnded(sent);
    return true;
  }

  async #change(client: Client, first: number, end: number, what: number, fua: boolean): Promise<boolean> {
    const flags = fua ? CMD_FLAG.FUA : 0;
    const [position, length] = [first * BLOCK, (end - first) * BLOCK];
    let reply: Promise<number>;
    let change: ReturnType<Ledger['sent']>;
    if (what <= 6) {
      // Trims are of whole pages: parts of pages they may leave alone.
      const type = what === 5 ? CMD.WRITE_ZEROES : CMD.TRIM;
      const [from, to] =
        type === CMD.TRIM ? [Math.ceil(first / 8) * 8, Math.floor(end / 8) * 8] : [first, end];
      change = this.ledger.sent(from, to, ZERO);
      reply = client.command(type, position, length, flags);
    } else {
      const id = ++this.#id;
      const blocks = Array.from({ length: end - first }, (_, i) => contentOf(id, first + i));
      change = this.ledger.sent(first, end, id);
      reply = client.write(position, Buffer.concat(blocks), flags);
    }
    if (!this.#succeeded(await reply, 'a change')) return false;
    this.ledger.acknowledged(change, fua && this.options.kind === 'disk');
    if (fua) this.#tally.fuas++;
    return true;
  }

  /** Error -1: the connection ended before the reply. */
  #succeeded(error: number, what: string): boolean {
    if (error > 0) throw new Error(`${this.options.name}: ${what} failed with error ${error}`);
    return error === 0;
  }

  /** What blocks from `first` on hold, checked. */
  #check(bytes: Buffer, first: number, survives: Survives): number[] {
    return Array.from({ length: bytes.length / BLOCK }, (_, i) => {
      const block = first + i;
      const id = this.#idOf(bytes.subarray(i * BLOCK, (i + 1) * BLOCK), block);
      if (id === undefined) return ZERO;
      if (!this.ledger.mayBeLeft(block, id, survives)) {
        this.#tally.lost++;
        this.#tell(`left behind (${survives}): block ${block} holds ${id}`, block);
      }
      return id;
    });
  }

  #idOf(bytes: Buffer, block: number): number | undefined {
    const id = idIn(bytes, block);
    if (id === undefined) {
      this.#tally.torn++;
      this.#tell(`block ${block} is torn`, block);
    }
    return id;
  }

  #tell(what: string, block: number): void {
    this.#say(`${this.options.name}: ${what}; known: ${this.ledger.tell(block)}`);
  }
}
