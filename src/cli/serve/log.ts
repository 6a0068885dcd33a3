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
  #burstEndsMs = 0;
  #burstLines = 0;

  constructor(world: LogWorld) {
    this.#world = world;
  }

  line(level: Level, text: string): void {
    const { write, wallMs, isJournal } = this.#world;
    const head = isJournal ? `<${PRIORITIES[level]}>` : `${new Date(wallMs()).toISOString()} ${level} `;
    write(`${head}${printable(text.trim()).slice(0, LINE_MAX)}\n`);
  }

  /** A line about a client. */
  client(level: Level, text: string): void {
    const nowMs = this.#world.wallMs();
    if (nowMs >= this.#burstEndsMs || nowMs < this.#burstEndsMs - BURST_MS) {
      const left = this.#burstLines - BURST_LINES_MAX;
      if (left > 0) this.line('warning', `${left} more lines about clients were left out`);
      this.#burstEndsMs = nowMs + BURST_MS;
      this.#burstLines = 0;
    }
    this.#burstLines++;
    if (this.#burstLines <= BURST_LINES_MAX) this.line(level, text);
  }
}
