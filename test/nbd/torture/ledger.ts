// What each block of an export may hold: the log of the torture run, kept outside of the server.
//
// Every request has two moments on one clock: when it was sent, and when its reply came. A write is gone for sure once
// another one, sent after its reply, is known to be in effect; nothing is assumed of two that overlapped in time. In
// effect is, for a read: what was acknowledged before it was sent; for what a killed server left behind: what was
// acknowledged, or only what was made lasting (FUA, or acknowledged before a FLUSH was sent that was acknowledged).

import { ZERO } from '../rounds.ts';

/** A change of some blocks to one content. */
export interface Change {
  readonly id: number;
  readonly sent: number;
  /** Infinity: not yet, and never if the server was killed. */
  acknowledged: number;
  lasting: boolean;
}

/** What has survived for sure. */
export type Survives = 'acknowledged' | 'lasting';

/** Changes of a block above which those that are gone for sure are forgotten. */
const CHANGES_KEPT = 8;

export class Ledger {
  readonly #blocks: Change[][];
  /** Acknowledged and not lasting. */
  readonly #loose = new Set<Change>();
  /** Moments at which reads were sent that are not answered yet, the oldest first. */
  readonly #reads = new Set<number>();
  #clock = 0;

  /** All zeroes, and that lasts. */
  constructor(blocks: number) {
    const zeroes = { id: ZERO, sent: 0, acknowledged: 0, lasting: true };
    this.#blocks = Array.from({ length: blocks }, () => [zeroes]);
  }

  get blocks(): number {
    return this.#blocks.length;
  }

  /** A moment. */
  now(): number {
    return ++this.#clock;
  }

  sent(first: number, end: number, id: number): Change {
    const change = { id, sent: this.now(), acknowledged: Number.POSITIVE_INFINITY, lasting: false };
    const [oldest = change.sent] = this.#reads;
    const isOld = ({ lasting, acknowledged }: Change): boolean => lasting && acknowledged < oldest;
    for (let block = first; block < end; block++) {
      const changes = this.#blocks[block]!;
      if (changes.length >= CHANGES_KEPT) {
        this.#blocks[block] = changes.filter((one) => !overtaken(one, changes, isOld));
      }
      this.#blocks[block]!.push(change);
    }
    return change;
  }

  acknowledged(change: Change, lasting: boolean): void {
    change.acknowledged = this.now();
    change.lasting = lasting;
    if (!lasting) this.#loose.add(change);
  }

  /** A FLUSH that was sent at a moment was acknowledged. */
  flushed(sent: number): void {
    for (const change of this.#loose) {
      if (change.acknowledged > sent) continue;
      change.lasting = true;
      this.#loose.delete(change);
    }
  }

  /** A read is sent; the moment, for `mayRead`. */
  readSent(): number {
    const sent = this.now();
    this.#reads.add(sent);
    return sent;
  }

  /** A read that was sent at a moment was answered and checked. */
  readEnded(sent: number): void {
    this.#reads.delete(sent);
  }

  /** Whether a read that was sent at a moment, and answered now, may find a block so. */
  mayRead(block: number, id: number, sent: number): boolean {
    return this.#may(block, id, ({ acknowledged }) => acknowledged < sent);
  }

  /** Whether a killed server may leave a block so. */
  mayBeLeft(block: number, id: number, survives: Survives): boolean {
    return this.#may(block, id, ({ acknowledged, lasting }) =>
      survives === 'lasting' ? lasting : acknowledged < Number.POSITIVE_INFINITY,
    );
  }

  /** For messages. */
  tell(block: number): string {
    const changeOf = ({ id, sent, acknowledged, lasting }: Change): string =>
      `${id} (${sent} to ${acknowledged}${lasting ? ', lasting' : ''})`;
    return this.#blocks[block]!.map(changeOf).join(', ');
  }

  /** A new server that nobody has asked for anything yet: a block is served so from now on, and lies so on the file. */
  settle(block: number, served: number, onFile: number): void {
    const before = this.now();
    const lasting = { id: onFile, sent: before, acknowledged: before, lasting: true };
    this.#blocks[block] = [lasting];
    if (served === onFile) return;
    const loose = { id: served, sent: this.now(), acknowledged: this.now(), lasting: false };
    this.#blocks[block].push(loose);
    this.#loose.add(loose);
  }

  #may(block: number, id: number, inEffect: (change: Change) => boolean): boolean {
    const changes = this.#blocks[block]!;
    return changes.some((change) => change.id === id && !overtaken(change, changes, inEffect));
  }
}

function overtaken(
  change: Change,
  changes: readonly Change[],
  inEffect: (change: Change) => boolean,
): boolean {
  return changes.some((other) => change.acknowledged < other.sent && inEffect(other));
}
