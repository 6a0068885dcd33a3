/**
 * The log of the daemon: lines on the standard error output, one for each thing that happened.
 *
 *   2026-01-31T12:00:00.000Z notice vm1: 10.0.0.5 is served          <5>vm1: 10.0.0.5 is served
 *   on a terminal or in a file                                       where the journal of systemd reads
 *
 * What came from outside cannot steer a terminal or look like another line. What anyone on the network can cause at
 * will is bounded: so many lines in a stretch of time, and then one that says how many were left out.
 */

import { printable } from '../text/width.ts';

/** As syslog numbers them, and the journal reads them. */
const PRIORITIES = { error: 3, warning: 4, notice: 5 } as const;

export type Level = keyof typeof PRIORITIES;

const BURST_LINES_MAX = 200;
const BURST_MS = 10_000;

/** What lines may come about in any number. */
export type Many = 'clients' | 'nodes' | 'lost pages';

interface Burst {
  endsMs: number;
  lines: number;
}

/** Longest line, in characters. */
const LINE_MAX = 1000;

export interface LogWorld {
  readonly write: (text: string) => void;
  readonly wallMs: () => number;
  /** The journal reads: it has its own clock, and takes priorities. */
  readonly isJournal: boolean;
}

export class Log {
  readonly #world: LogWorld;
  readonly #bursts = new Map<Many, Burst>();

  constructor(world: LogWorld) {
    this.#world = world;
  }

  line(level: Level, text: string): void {
    const { write, wallMs, isJournal } = this.#world;
    const head = isJournal ? `<${PRIORITIES[level]}>` : `${new Date(wallMs()).toISOString()} ${level} `;
    write(`${head}${printable(text.trim()).slice(0, LINE_MAX)}\n`);
  }

  /** A line about one of many, as far as there is room for it. */
  bounded(about: Many, level: Level, text: string): void {
    const nowMs = this.#world.wallMs();
    let burst = this.#bursts.get(about);
    if (burst === undefined || nowMs >= burst.endsMs || nowMs < burst.endsMs - BURST_MS) {
      const left = (burst?.lines ?? 0) - BURST_LINES_MAX;
      if (left > 0) this.line('warning', `${left} more lines about ${about} were left out`);
      burst = { endsMs: nowMs + BURST_MS, lines: 0 };
      this.#bursts.set(about, burst);
    }
    burst.lines++;
    if (burst.lines <= BURST_LINES_MAX) this.line(level, text);
  }
}
