/**
 * What the job shows while it runs.
 *
 * On a terminal one line is redrawn, at most ten times a second; elsewhere (a log, a pipe) a plain line appears every
 * few seconds. Time and output are handed in.
 */

import { formatByteSize } from '../../zcache/byte-size.ts';
import { type Environment, isLive, type Output, usableColumns, usesColor } from '../terminal.ts';
import { hitRatio, type Tally } from './tally.ts';

/** What a line of progress is made of. */
export interface ProgressState {
  /** What is going on: 'tmem', 'LRU', 'first pass'. */
  readonly title: string;
  /** From 0 to 1. */
  readonly share: number;
  readonly parts: readonly string[];
}

/** The eye follows no more than ten pictures a second, and drawing costs time the job could use. */
const REDRAW_INTERVAL_MS = 100;

/** A log is read later: one line now and then says that the job is alive. */
const LINE_INTERVAL_MS = 5000;

/** Short enough for the figures to fit beside it in 80 columns. */
const BAR_CELLS = 10;

const ERASE_LINE = '\r\u001b[K';

export class Progress {
  readonly #out: Output;
  readonly #nowMs: () => number;
  readonly #live: boolean;
  readonly #color: boolean;
  #drawnAtMs = Number.NEGATIVE_INFINITY;
  #title = '';
  #onScreen = false;

  constructor(out: Output, env: Environment, nowMs: () => number) {
    this.#out = out;
    this.#nowMs = nowMs;
    this.#live = isLive(out, env);
    this.#color = usesColor(out, env);
  }

  /** Shows the state, unless the last picture is too young. The first of a new title is always shown. */
  update(state: ProgressState): void {
    const now = this.#nowMs();
    const interval = this.#live ? REDRAW_INTERVAL_MS : LINE_INTERVAL_MS;
    if (state.title === this.#title && now - this.#drawnAtMs < interval) return;
    this.#drawnAtMs = now;
    this.#title = state.title;
    this.#out.write(this.#live ? ERASE_LINE + this.#line(state) : `${plainLine(state)}\n`);
    this.#onScreen = this.#live;
  }

  /** Removes the live line, so that what follows begins at the left. */
  clear(): void {
    if (this.#onScreen) this.#out.write(ERASE_LINE);
    this.#onScreen = false;
    this.#title = '';
  }

  #line(state: ProgressState): string {
    const filled = Math.round(clamp(state.share) * BAR_CELLS);
    const bar = '█'.repeat(filled) + '░'.repeat(BAR_CELLS - filled);
    const text = `${state.title} ${bar} ${state.parts.join(' · ')}`.slice(0, usableColumns(this.#out));
    return this.#color ? text.replace(bar, `\u001b[36m${bar}\u001b[39m`) : text;
  }
}

function plainLine(state: ProgressState): string {
  return `${state.title}: ${percent(state.share)} ${state.parts.join(', ')}`.trimEnd();
}

function clamp(share: number): number {
  return Math.min(Math.max(share, 0), 1);
}

function percent(share: number): string {
  return `${Math.floor(clamp(share) * 100)} %`;
}

/** The figures of a running contender. `memoryBytes`: what it holds now, if that is known. */
export function runParts(
  tally: Readonly<Tally>,
  elapsedMs: number,
  memoryBytes: number | undefined,
): string[] {
  const pages = tally.hotPages + tally.compressedPages + tally.sourcePages;
  const share = (part: number) => (pages === 0 ? 0 : Math.round((part / pages) * 100));
  const levels = `${share(tally.hotPages)} hot, ${share(tally.compressedPages)} compressed`;
  const speed = elapsedMs === 0 ? 0 : (tally.bytes / elapsedMs) * 1000;
  const parts = [`${formatByteSize(speed)}/s`, `hits ${Math.round(hitRatio(tally) * 100)} % (${levels})`];
  return memoryBytes === undefined ? parts : [...parts, `memory ${formatByteSize(memoryBytes)}`];
}
