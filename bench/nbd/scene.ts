// What the measurements of the NBD servers share: the pages, the compiled load, a directory for sockets, and rounds.
//
// Each round starts each server afresh, one after the other, in the other order every time. The first round warms up
// and verifies; a figure is the median of the other rounds' ratios.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BenchOptions } from '../run.ts';
import { median, rounded } from '../support/measure.ts';
import { compileNative } from '../support/native.ts';
import { loadPages } from '../support/pages.ts';
import { requireTools } from '../support/tools.ts';
import { IMAGE_MIB, LOAD_LIBRARIES, LOAD_SOURCE, Load, MIB } from './load.ts';
import { RunningServer, type ServerName } from './servers.ts';

const BUILD = new URL('../../scripts/build.ts', import.meta.url);

export interface Setup {
  /** To run on; all cores without it. */
  readonly core?: number;
  readonly imageMib?: number;
}

export interface Scene extends Disposable {
  readonly say: (line: string) => void;
  /** Where sockets and files may be made. */
  readonly directory: string;
  start(name: ServerName, setup?: Setup): Promise<RunningServer>;
  /** A load for a server that was started with the same setup. */
  load(server: { socket: string }, setup?: Setup): Load;
}

export function openScene({ pages: file, say }: BenchOptions): Scene {
  requireTools('nbdkit', 'setpriv', 'taskset');
  build();
  const pages = loadPages(file);
  const directory = mkdtempSync(join(tmpdir(), 'tmem-bench-nbd-'));
  const dispose = () => rmSync(directory, { recursive: true });
  try {
    const executable = join(directory, 'nbd-load');
    const pagesFile = join(directory, 'pages.bin');
    compileNative(LOAD_SOURCE, executable, LOAD_LIBRARIES);
    writeFileSync(pagesFile, pages.bytes);
    say(`images of ${pages.count} pages of ${pages.source}`);
    return {
      ...{ say, directory },
      start: (name, { core, imageMib = IMAGE_MIB } = {}) =>
        RunningServer.start(name, directory, imageMib * MIB, core),
      load: ({ socket }, { core, imageMib = IMAGE_MIB } = {}) =>
        new Load(executable, pagesFile, socket, imageMib, core),
      [Symbol.dispose]: dispose,
    };
  } catch (error) {
    dispose();
    throw error;
  }
}

/** Brings dist/ up to date. @throws Error with the messages of the build */
function build(): void {
  const built = spawnSync(process.execPath, [fileURLToPath(BUILD)], { encoding: 'utf8' });
  if (built.status !== 0) throw new Error(`the build failed:\n${built.stdout}${built.stderr}`);
}

/** What a round measured of each server. */
export type Round<Name extends string, Measured> = Record<Name, Measured>;

/** Rounds of `measure`, by turns; it is told whether this is the one to verify in, which does not count. */
export async function rounds<Name extends string, Measured>(
  names: readonly Name[],
  count: number,
  measure: (name: Name, verify: boolean) => Promise<Measured>,
): Promise<Round<Name, Measured>[]> {
  const all: Round<Name, Measured>[] = [];
  for (let round = 0; round <= count; round++) {
    const measured = {} as Round<Name, Measured>;
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      measured[name] = await measure(name, round === 0);
    }
    if (round > 0) all.push(measured);
  }
  return all;
}

/** The median of what the rounds make. */
export function medianOf<Measured>(
  measured: readonly Measured[],
  value: (round: Measured) => number,
  digits = 3,
): number {
  return rounded(median(measured.map(value)), digits);
}
