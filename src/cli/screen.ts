/**
 * Pictures drawn one over the other on a terminal, without flicker: the cursor goes home, each line is written over the
 * old one and its rest erased, then what is below. Nothing is ever blank in between.
 */

import { type Output, usableRows } from './terminal.ts';

const HOME = '\u001b[H';
const ERASE_REST = '\u001b[K';
const ERASE_BELOW = '\u001b[J';

export class Screen {
  readonly #out: Output;
  #isDrawn = false;

  constructor(out: Output) {
    this.#out = out;
  }

  /**
   * The text that draws the picture. The cursor ends below it, where the shell goes on.
   *
   * @param lines - at most usableRows() of the terminal
   */
  draw(lines: readonly string[]): string {
    // What was on the screen before scrolls up instead of being drawn over.
    const start = this.#isDrawn ? '' : '\n'.repeat(usableRows(this.#out));
    this.#isDrawn = true;
    return `${start}${HOME}${lines.map((line) => `${line}${ERASE_REST}\n`).join('')}${ERASE_BELOW}`;
  }
}
