import { stripVTControlCharacters } from 'node:util';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bar, barEighths } from '../../src/cli/text/bar.ts';
import { count, duration, percent, perSecond } from '../../src/cli/text/figures.ts';
import { barHeights, HISTOGRAM_COLUMNS, histogram, merged } from '../../src/cli/text/histogram.ts';
import { beside, clipLine, lineWidth, render, type Style, span } from '../../src/cli/text/line.ts';
import { table } from '../../src/cli/text/table.ts';
import { clip, displayWidth, printable } from '../../src/cli/text/width.ts';

const anyText = fc.string({ unit: 'binary', maxLength: 40 });
const plainText = (line: Parameters<typeof lineWidth>[0]) => line.map(({ text }) => text).join('');

describe('text', () => {
  test('takes two columns for East Asian characters and emoji, none for accents of their own', () => {
    expect(['web', 'données', 'e\u0301', '東京', '한글', '🚀', '█▌░', ''].map(displayWidth)).toEqual([
      ...[3, 7, 1, 4, 4, 2, 3, 0],
    ]);
  });

  test('from elsewhere cannot steer the terminal, whatever it is', () => {
    expect(printable('a\u001b[2J\r\nb\u202ec\u2028')).toBe('a?[2J??b?c?');
    fc.assert(
      fc.property(anyText, (text) => {
        expect(printable(text)).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}]/u);
        expect(printable(printable(text))).toBe(printable(text));
      }),
    );
  });

  test('is cut to any width, is kept where it fits, and begins as before', () => {
    expect([clip('sessions', 8), clip('sessions', 5), clip('東京都', 5), clip('abc', 0)]).toEqual([
      ...['sessions', 'sess…', '東京…', ''],
    ]);
    fc.assert(
      fc.property(anyText.map(printable), fc.nat(50), (text, columns) => {
        const shown = clip(text, columns);
        expect(displayWidth(shown)).toBeLessThanOrEqual(columns);
        if (displayWidth(text) <= columns) expect(shown).toBe(text);
        else expect(text.startsWith(shown.slice(0, -1))).toBe(true);
      }),
    );
  });
});

describe('a line', () => {
  const spans = fc.array(
    fc.record({
      text: anyText.map(printable),
      style: fc.constantFrom<Style>('plain', 'strong', 'faint', 'bar', 'notice', 'alarm'),
    }),
    { maxLength: 6 },
  );

  test('is never wider than allowed, and colours change nothing but colours', () => {
    fc.assert(
      fc.property(spans, fc.nat(100), (line, columns) => {
        const shown = render(line, columns, false);
        expect(displayWidth(shown)).toBeLessThanOrEqual(columns);
        expect(shown).not.toContain('\u001b');
        expect(stripVTControlCharacters(render(line, columns, true))).toBe(shown);
      }),
    );
  });

  test('is written without spaces at its end', () => {
    expect(render([span('a '), span(' b '), span('   ', 'faint'), span('')], 80, false)).toBe('a  b');
    expect(render([span('a', 'alarm'), span('  ', 'bar')], 80, true)).toBe('\u001b[31ma\u001b[39m');
  });

  test('that is cut keeps the styles of what is left', () => {
    expect(clipLine([span('abc', 'strong'), span('defgh', 'faint'), span('ij')], 6)).toEqual([
      span('abc', 'strong'),
      span('de…', 'faint'),
    ]);
  });

  test('of a block stands beside the line of another, all in one column', () => {
    const left = [[span('a')], [span('long')], [span('b')]];
    const lines = beside(left, [[span('1')], [span('2')]], 2).map((line) => render(line, 80, false));
    expect(lines).toEqual(['a     1', 'long  2', 'b']);
    expect(beside([], left, 2)).toEqual(left);
  });
});

describe('a bar', () => {
  test('fills exactly its cells, in proportion to the share', () => {
    expect([0, 0.55, 1].map((share) => plainText(bar(share, 10)))).toEqual([
      '░░░░░░░░░░',
      '█████▌░░░░',
      '██████████',
    ]);
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.integer({ min: 1, max: 60 }),
        (share, cells) => {
          expect(plainText(bar(share, cells))).toHaveLength(cells);
          expect(Math.abs(barEighths(share, cells) - share * cells * 8)).toBeLessThanOrEqual(1);
        },
      ),
    );
  });

  test('is longer for more, and never full or empty unless the share is', () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(share, share, (a, b) => {
        const [less, more] = [Math.min(a, b), Math.max(a, b)];
        expect(barEighths(less, 10)).toBeLessThanOrEqual(barEighths(more, 10));
        expect(barEighths(a, 10) === 0).toBe(a === 0);
        expect(barEighths(a, 10) === 80).toBe(a === 1);
      }),
    );
  });

  test('of an impossible share is empty or full, not broken', () => {
    expect([Number.NaN, -1, 7, Number.POSITIVE_INFINITY].map((share) => barEighths(share, 4))).toEqual([
      ...[0, 0, 32, 32],
    ]);
  });
});

describe('a histogram', () => {
  const counts = fc.array(fc.nat(1e9), { minLength: 64, maxLength: 64 });

  test('is as wide as it should be and as high, with bars in proportion', () => {
    fc.assert(
      fc.property(counts, fc.constantFrom(...HISTOGRAM_COLUMNS), (each, columns) => {
        const lines = histogram(each, columns, 4);
        expect(lines.map(lineWidth)).toEqual([columns, columns, columns, columns, columns]);
        const bars = merged(each, columns);
        const highest = Math.max(...bars);
        for (const [i, height] of barHeights(bars, 4).entries()) {
          expect(height === 0).toBe(bars[i] === 0);
          expect(Math.abs(height - (highest === 0 ? 0 : (bars[i] / highest) * 32))).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  test('of fewer columns counts every page', () => {
    fc.assert(
      fc.property(counts, fc.constantFrom(...HISTOGRAM_COLUMNS), (each, columns) => {
        const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
        expect(sum(merged(each, columns))).toBe(sum(each));
      }),
    );
  });

  test('looks like this', () => {
    const each = Array.from({ length: 64 }, (_, i) => (i < 32 ? Math.floor(i / 4) : 0));
    expect(histogram(each, 16, 2).map((line) => render(line, 80, false))).toEqual([
      '    ▁▃▆█',
      ' ▂▅▇████',
      '0   1K  2K 4 KiB',
    ]);
  });
});

describe('a figure', () => {
  test('of things counted has at most five characters', () => {
    expect([0, 17, 9999, 10_000, 12_345, 99_950, 999_499, 999_500, 4.2e9, 7e18].map(count)).toEqual([
      ...['0', '17', '9999', '10.0k', '12.3k', '100k', '999k', '1.0M', '4.2G', '7000P'],
    ]);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), (value) => {
        expect(count(value)).toMatch(/^\d{1,4}$|^\d{1,3}(\.\d)?[kMGTP]$/);
        expect(count(value).length).toBeLessThanOrEqual(5);
      }),
    );
  });

  test('of rates keeps a digit where there are few, and says when it is unknown', () => {
    expect([undefined, Number.NaN, 0, 0.04, 0.3, 9.9, 9.97, 17.4, 23_456].map(perSecond)).toEqual([
      ...['-', '-', '0', '0.0', '0.3', '9.9', '10', '17', '23.5k'],
    ]);
  });

  test('of shares and times is never NaN', () => {
    expect([percent(0, 0), percent(1, 0), percent(813, 1000)]).toEqual(['-', '-', '81.3 %']);
    expect([0, 12_345, 303_000, 11_520_000, 3.46e9, -1, Number.NaN].map(duration)).toEqual([
      ...['0 s', '12 s', '5 min 3 s', '3 h 12 min', '40 d 1 h', '-', '-'],
    ]);
  });
});

describe('a table', () => {
  const columns = [
    { title: 'name', align: 'left', rank: 0 },
    { title: 'pages', align: 'right', rank: 1 },
    { title: 'note', align: 'left', rank: 2 },
  ] as const;
  const shown = (rows: readonly (readonly string[])[], width: number) =>
    table(
      columns,
      rows.map((row) => row.map((text) => span(text))),
      width,
    ).map((line) => render(line, 200, false));
  const rows = [
    ['a name of a certain length', '17', 'yes'],
    ['short', '123456', 'no'],
  ];

  test('is aligned under its titles', () => {
    expect(shown(rows, 80)).toEqual([
      'name                         pages  note',
      'a name of a certain length      17  yes',
      'short                       123456  no',
    ]);
  });

  test('that is too wide first shortens names, then drops the least important column', () => {
    expect(shown(rows, 35)).toEqual([
      'name                    pages  note',
      'a name of a certain …      17  yes',
      'short                  123456  no',
    ]);
    expect(shown(rows, 29)[1]).toBe('a name of a certain …      17');
    expect(shown(rows, 20)[1]).toBe('a name of a certain…');
  });

  test('is never wider than it may be, whatever is in it', () => {
    const cell = anyText.map(printable);
    fc.assert(
      fc.property(fc.array(fc.tuple(cell, cell, cell), { maxLength: 5 }), fc.nat(90), (texts, width) => {
        const lines = table(
          columns,
          texts.map((row) => row.map((text) => span(text))),
          width,
        );
        expect(lines).toHaveLength(texts.length + 1);
        for (const line of lines) expect(lineWidth(line)).toBeLessThanOrEqual(width);
      }),
    );
  });
});
