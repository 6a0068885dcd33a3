/**
 * The result of the job: for people a table, for machines one JSON object; and whether it may be called a success.
 */

import { formatByteSize } from '../../zcache/byte-size.ts';
import type { Skipped } from './plan.ts';
import { hitRatio, type Tally } from './tally.ts';
import type { FileFailure } from './worker.ts';

/** One contender's figures. */
export interface ContenderResult {
  readonly elapsedMs: number;
  readonly tally: Tally;
  readonly failures: readonly FileFailure[];
}

export interface StoreResult extends ContenderResult {
  /** What the store used at the end, everything included. */
  readonly usedBytes: number;
  /** Bytes of pages / bytes they were compressed to. */
  readonly compressionRatio: number;
}

export interface ReadResult {
  readonly files: number;
  readonly dataBytes: number;
  readonly skipped: Skipped;
  readonly memoryBytes: number;
  readonly hotBytes: number;
  readonly threads: number;
  readonly seed: number;
  readonly skew: number;
  readonly codec: string;
  readonly tmem: StoreResult;
  readonly lru: ContenderResult;
}

/** What was wrong, for people; empty if every byte was verified and nothing failed. */
export function complaints(result: ReadResult): string[] {
  return (['tmem', 'lru'] as const).flatMap((contender) => {
    const { tally, failures } = result[contender];
    const found: string[] = [];
    if (tally.wrong > 0)
      found.push(`${contender}: ${tally.wrong} reads returned bytes the file does not hold`);
    if (tally.failed > 0) found.push(`${contender}: ${tally.failed} reads failed`);
    if (tally.verifiedBytes !== tally.bytes) {
      found.push(
        `${contender}: ${tally.bytes - tally.verifiedBytes} of ${tally.bytes} bytes were not verified`,
      );
    }
    if (tally.operations === 0) found.push(`${contender}: nothing was read`);
    return [...found, ...failures.map(({ path, reason }) => `${contender}: ${path}: ${reason}`)];
  });
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

function rows({ tmem, lru, memoryBytes }: ReadResult): [string, string, string][] {
  const pages = ({ tally }: ContenderResult) =>
    tally.hotPages + tally.compressedPages + tally.sourcePages || 1;
  const speed = ({ tally, elapsedMs }: ContenderResult) =>
    formatByteSize(tally.bytes / (elapsedMs / 1000 || 1));
  const both = (name: string, show: (result: ContenderResult) => string): [string, string, string] => [
    name,
    show(tmem),
    show(lru),
  ];
  return [
    ['', 'tmem', 'LRU of Buffers'],
    both('pages from memory', ({ tally }) => percent(hitRatio(tally))),
    both('  uncompressed', (each) => percent(each.tally.hotPages / pages(each))),
    ['  compressed', percent(tmem.tally.compressedPages / pages(tmem)), '-'],
    both('read from the files', ({ tally }) => formatByteSize(tally.sourceBytes)),
    both('given to the readers', ({ tally }) => formatByteSize(tally.bytes)),
    both('verified', ({ tally }) => formatByteSize(tally.verifiedBytes)),
    both('time', ({ elapsedMs }) => `${(elapsedMs / 1000).toFixed(1)} s`),
    both('throughput', (each) => `${speed(each)}/s`),
    ['memory allowed', formatByteSize(memoryBytes), formatByteSize(memoryBytes)],
    ['memory used', formatByteSize(tmem.usedBytes), '-'],
    ['compression ratio', tmem.compressionRatio.toFixed(2), '-'],
  ];
}

function aligned(table: readonly (readonly [string, string, string])[]): string[] {
  const width = (column: number) => Math.max(...table.map((row) => row[column].length));
  const [first, second, third] = [width(0), width(1), width(2)];
  return table.map(([name, a, b]) =>
    `${name.padEnd(first)}  ${a.padStart(second)}  ${b.padStart(third)}`.trimEnd(),
  );
}

/** How the comparison was made, in full sentences: figures without it could mislead. */
function fairness({ threads, memoryBytes, dataBytes }: ReadResult): string[] {
  const share = formatByteSize(Math.floor(memoryBytes / threads));
  const lines =
    threads === 1
      ? ['The LRU has all of the memory to itself.']
      : [
          `Buffers cannot be shared: each of the ${threads} threads has its own LRU of ${share}, while tmem is one`,
          'for all (--threads 1 compares without that).',
        ];
  lines.push(
    "Of the LRU only the bytes of its Buffers are counted; tmem's memory includes everything it uses.",
    'Both read the same requests in the same order. A page that was not in memory was read from its file, which',
    'the operating system may have cached itself: a disk or network would have to serve those bytes.',
  );
  if (dataBytes <= memoryBytes)
    lines.push('The data fits into the memory: there was nothing to choose between them.');
  return lines;
}

/** The whole summary, ending with the verdict. */
export function summaryText(result: ReadResult): string {
  const { files, dataBytes, skipped, memoryBytes, hotBytes, threads, seed, skew, codec, tmem, lru } = result;
  const wrong = complaints(result);
  const changed = tmem.tally.changed + lru.tally.changed;
  const lines = [
    `${formatByteSize(dataBytes)} in ${files} files, read through ${formatByteSize(memoryBytes)} ` +
      `(${formatByteSize(hotBytes)} of it for uncompressed pages), ` +
      `${threads} ${threads === 1 ? 'thread' : 'threads'}, codec ${codec}, seed ${seed}, skew ${skew}`,
    '',
    ...aligned(rows(result)),
    '',
    ...fairness(result),
  ];
  if (skipped.count > 0) {
    lines.push('', `${skipped.count} files or directories were skipped because they cannot be read:`);
    lines.push(...skipped.listed.map(({ path, reason }) => `  ${path}: ${reason}`));
    if (skipped.count > skipped.listed.length)
      lines.push(`  … and ${skipped.count - skipped.listed.length} more`);
  }
  if (changed > 0)
    lines.push(
      '',
      `${changed} reads met files that changed meanwhile, and agreed with them as they are now.`,
    );
  lines.push(
    '',
    ...(wrong.length === 0 ? ['Every byte was verified.'] : ['FAILED:', ...wrong.map((line) => `  ${line}`)]),
  );
  return `${lines.join('\n')}\n`;
}

/** The same for machines: plain data, sizes in bytes, times in milliseconds. */
export function summaryJson(result: ReadResult): object {
  const contender = ({ tally, elapsedMs, failures }: ContenderResult) => ({
    ...tally,
    hitRatio: hitRatio(tally),
    elapsedMs: Math.round(elapsedMs),
    bytesPerSecond: Math.round(tally.bytes / (elapsedMs / 1000 || 1)),
    failures,
  });
  const { tmem, lru, ...about } = result;
  return {
    ...about,
    tmem: { ...contender(tmem), usedBytes: tmem.usedBytes, compressionRatio: tmem.compressionRatio },
    lru: contender(lru),
    complaints: complaints(result),
    ok: complaints(result).length === 0,
  };
}
