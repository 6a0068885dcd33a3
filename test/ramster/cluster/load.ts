// Work on a node's pages: puts, gets, flushes, and gets that overlap with puts, drawn from a seed. Whatever a get finds
// is held against the model at once.

import { setTimeout as sleep } from 'node:timers/promises';
import { type Streams, streamsOf, weighted } from '../../../sim/random.ts';
import type { Random } from '../../../src/ramster/clock.ts';
import type { Node } from './cluster.ts';
import { Model } from './model.ts';

/** Handles of each kind. */
const PERSISTENT_PAGES = 1600;
const EPHEMERAL_PAGES = 400;
/** Handles of one command. */
const BATCH = 16;
/** Commands under way, each on handles of its own. */
const LANES = 3;
const ACTIONS = { write: 4, read: 5, race: 2, flush: 0.5 };
/** Between two commands of a lane: the others need the machine, too. */
const PAUSE_MS = 1;
/** In a load that nobody ends. */
const COMMANDS_MAX = 20_000;

export class Pages {
  readonly persistent = new Model('persistent');
  readonly ephemeral = new Model('ephemeral');
  readonly #streams: Streams;
  #loads = 0;

  constructor(seed: number) {
    this.#streams = streamsOf(seed);
  }

  /** Writes all of them. */
  async fill(node: Node): Promise<void> {
    for (const [model, count] of [
      [this.ephemeral, EPHEMERAL_PAGES],
      [this.persistent, PERSISTENT_PAGES],
    ] as const) {
      const all = Array.from({ length: count }, (_, index) => index);
      for (let at = 0; at < count; at += BATCH) {
        await write(node, model, all.slice(at, at + BATCH));
        await sleep(PAUSE_MS);
      }
    }
  }

  /** Begins to work on them. */
  load(node: Node): Load {
    return new Load(node, this, this.#streams(`load ${++this.#loads}`));
  }

  /** Gets all of them, and finds every byte right. @throws Error of the first that is not */
  async verify(node: Node): Promise<void> {
    for (const model of [this.persistent, this.ephemeral]) {
      const all = model.indexes;
      for (let at = 0; at < all.length; at += BATCH) await read(node, model, all.slice(at, at + BATCH));
    }
  }
}

export class Load {
  readonly #node: Node;
  readonly #pages: Pages;
  readonly #random: Random;
  readonly #done: Promise<unknown>;
  #commands = 0;
  #isEnding = false;
  #failed: { readonly error: unknown } | undefined;

  constructor(node: Node, pages: Pages, random: Random) {
    this.#node = node;
    this.#pages = pages;
    this.#random = random;
    this.#done = Promise.all(Array.from({ length: LANES }, (_, lane) => this.#run(lane))).catch((error) => {
      this.#isEnding = true;
      this.#failed = { error };
    });
  }

  /** Waits until so many more commands were done. @throws Error of a command that failed */
  async goOn(commands: number): Promise<void> {
    const until = this.#commands + commands;
    while (this.#commands < until && this.#failed === undefined) await sleep(PAUSE_MS * 5);
    if (this.#failed !== undefined) throw this.#failed.error;
  }

  /** Ends it. @throws Error of a command that failed */
  async end(): Promise<void> {
    this.#isEnding = true;
    await this.#done;
    if (this.#failed !== undefined) throw this.#failed.error;
  }

  /** Waits for its end, which its node's death is. */
  async died(): Promise<void> {
    await this.#done;
    const { error } = this.#failed ?? {};
    if (!/the process ended with SIGKILL/.test(String(error))) throw error ?? new Error('the load ended');
  }

  async #run(lane: number): Promise<void> {
    while (!this.#isEnding && this.#commands++ < COMMANDS_MAX) {
      const isPersistent = this.#random() < 0.8;
      const model = isPersistent ? this.#pages.persistent : this.#pages.ephemeral;
      const indexes = this.#draw(lane, isPersistent ? PERSISTENT_PAGES : EPHEMERAL_PAGES);
      await COMMANDS[weighted(this.#random, ACTIONS)](this.#node, model, indexes);
      await sleep(PAUSE_MS);
    }
  }

  #draw(lane: number, count: number): number[] {
    const places = Math.floor(count / LANES);
    const drawn = Array.from({ length: BATCH }, () => LANES * Math.floor(this.#random() * places) + lane);
    return [...new Set(drawn)];
  }
}

const COMMANDS = { write, read, race, flush };

async function write(node: Node, model: Model, indexes: readonly number[]): Promise<void> {
  const pages = indexes.map((index) => [index, model.begin(index)] as const);
  const outcomes = await node.call('write', model.kind, pages);
  for (const [i, [index, version]] of pages.entries()) model.written(index, version, outcomes[i]!);
}

async function read(node: Node, model: Model, indexes: readonly number[]): Promise<void> {
  const found = await node.call('read', model.kind, indexes);
  for (const [i, index] of indexes.entries()) model.found(index, found[i]!);
}

async function race(node: Node, model: Model, indexes: readonly number[]): Promise<void> {
  const before = indexes.map((index) => model.versionsOf(index));
  const pages = indexes.map((index) => [index, model.begin(index)] as const);
  const { outcomes, found } = await node.call('race', model.kind, pages);
  for (const [i, [index, version]] of pages.entries()) {
    model.written(index, version, outcomes[i]!);
    model.foundDuring(index, found[i]!, before[i]!);
  }
}

async function flush(node: Node, model: Model, indexes: readonly number[]): Promise<void> {
  for (const index of indexes) model.flushing(index);
  await node.call('flush', model.kind, indexes);
  for (const index of indexes) model.flushed(index);
}
