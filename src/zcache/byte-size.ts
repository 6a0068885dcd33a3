/**
 * Sizes in bytes as people write them: 268435456, '256 MiB', '1.5G', '64kB'.
 *
 * Units: KiB, MiB, GiB, TiB and their short forms K, M, G, T are powers of 1024, as in every Unix tool that
 * takes a size of memory; kB, MB, GB, TB are powers of 1000, as the SI says. Upper and lower case are alike.
 */

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 2 ** 10,
  kib: 2 ** 10,
  m: 2 ** 20,
  mib: 2 ** 20,
  g: 2 ** 30,
  gib: 2 ** 30,
  t: 2 ** 40,
  tib: 2 ** 40,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
};

/** Digits are limited so that no input makes the pattern slow. */
const SIZE = /^\s*(\d{1,16}(?:\.\d{1,6})?)\s*([a-z]{0,3})\s*$/i;

/** Bytes, rounded down to a whole number; undefined if `text` is no size or beyond 2^53 bytes. */
export function parseByteSize(text: string): number | undefined {
  const match = SIZE.exec(text);
  if (match === null) return undefined;
  const unit = UNITS[(match[2] as string).toLowerCase()];
  if (unit === undefined) return undefined;
  const bytes = Math.floor(Number(match[1]) * unit);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

const BINARY_UNITS = ['KiB', 'MiB', 'GiB', 'TiB'] as const;

/** For people: '812 B', '63.9 KiB', '256 MiB'. At most four digits and a unit. */
export function formatByteSize(bytes: number): string {
  let value = bytes;
  let unit = 'B';
  for (const next of BINARY_UNITS) {
    if (Math.abs(value) < 1024) break;
    value /= 1024;
    unit = next;
  }
  const digits = unit === 'B' || Number.isInteger(value) || Math.abs(value) >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${unit}`;
}
