/**
 * Lines of text with styles. A view makes lines; what becomes of them (colours, clipping) is decided when they are
 * rendered, so that widths are counted on plain text only.
 */

import { clip, displayWidth } from './width.ts';

export type Style = 'plain' | 'strong' | 'faint' | 'bar' | 'notice' | 'alarm';

export interface Span {
  readonly text: string;
  readonly style: Style;
}

export type Line = readonly Span[];

/** Select Graphic Rendition: on and off. Colours are those of the terminal's own palette, readable on any ground. */
const SGR: Readonly<Record<Exclude<Style, 'plain'>, readonly [number, number]>> = {
  strong: [1, 22],
  faint: [2, 22],
  bar: [36, 39],
  notice: [33, 39],
  alarm: [31, 39],
};

export function span(text: string, style: Style = 'plain'): Span {
  return { text, style };
}

export function lineWidth(line: Line): number {
  return line.reduce((width, { text }) => width + displayWidth(text), 0);
}

/** The line with spaces up to `columns`. */
export function padLine(line: Line, columns: number): Line {
  return [...line, span(' '.repeat(Math.max(0, columns - lineWidth(line))))];
}

/** The line cut to `columns`. */
export function clipLine(line: Line, columns: number): Line {
  const kept: Span[] = [];
  let room = columns;
  for (const { text, style } of line) {
    if (room <= 0) break;
    const shown = clip(text, room);
    kept.push({ text: shown, style });
    if (shown !== text) break;
    room -= displayWidth(shown);
  }
  return kept;
}

/** One block of lines to the right of another. */
export function beside(left: readonly Line[], right: readonly Line[], gapColumns: number): Line[] {
  if (left.length === 0 || right.length === 0) return [...left, ...right];
  const column = Math.max(...left.map(lineWidth)) + gapColumns;
  return Array.from({ length: Math.max(left.length, right.length) }, (_, i) => {
    const beginning = left[i] ?? [];
    return right[i] === undefined ? beginning : [...padLine(beginning, column), ...right[i]];
  });
}

/** The line as it is written, without a line feed and without spaces at its end. */
export function render(line: Line, columns: number, color: boolean): string {
  const kept = clipLine(line, columns);
  const end = kept.findLastIndex(({ text }) => text.trimEnd() !== '');
  return kept
    .slice(0, end + 1)
    .map(({ text, style }, i) => {
      const shown = i === end ? text.trimEnd() : text;
      if (!color || style === 'plain' || shown === '') return shown;
      const [on, off] = SGR[style];
      return `\u001b[${on}m${shown}\u001b[${off}m`;
    })
    .join('');
}
