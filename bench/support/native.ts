// Compiling and driving the native controls: small C programs around public libraries.
// What the machine lacks for that is named in the error, so that a benchmark or a test can say it and stop.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { LineProgram } from './line-program.ts';

/** What a control includes, is linked with, and where both come from. */
export interface Library {
  header: string;
  link: string;
  debianPackage: string;
}

const CODEC_LIBRARIES: readonly Library[] = [
  { header: 'lz4.h', link: '-llz4', debianPackage: 'liblz4-dev' },
  { header: 'lzo/lzo1x.h', link: '-llzo2', debianPackage: 'liblzo2-dev' },
];

/** Debian packages that are missing for compiling a control; empty when all is there. */
function missingPackages(libraries: readonly Library[]): string[] {
  if (spawnSync('gcc', ['--version']).status !== 0) return ['gcc'];
  return libraries
    .filter(({ header, link }) => {
      const source = `#include <${header}>\nint main(void) { return 0; }\n`;
      return spawnSync('gcc', ['-xc', '-', link, '-o', '/dev/null'], { input: source }).status !== 0;
    })
    .map((library) => library.debianPackage);
}

/**
 * Compiles a C file against liblz4 and liblzo2, or other libraries, with gcc -O2.
 * @throws Error that names the missing packages, or carries the compiler's message.
 */
export function compileNative(source: URL, executable: string, libraries = CODEC_LIBRARIES): void {
  const missing = missingPackages(libraries);
  if (missing.length > 0) {
    throw new Error(`missing: ${missing.join(', ')} (apt-get install -y ${missing.join(' ')})`);
  }
  const links = libraries.map((library) => library.link);
  const built = spawnSync('gcc', ['-O2', '-Wall', fileURLToPath(source), '-o', executable, ...links]);
  if (built.status !== 0) throw new Error(`gcc failed on ${source.pathname}:\n${built.stderr}`);
}

export type Codec = 'lz4' | 'lzo';
export type Operation = 'compress' | 'decompress';

export interface ControlOptions {
  codec: Codec;
  operation: Operation;
  pagesFile: string;
  /** The pages are repeated until this many MiB are laid out; 0 takes them once. */
  contentMiB?: number;
  /** Shuffles the order of visits as bench/support/order.ts does; 0 keeps it. */
  orderSeed?: number;
  /** Most rounds that will be asked for. */
  rounds: number;
}

export interface ControlRound {
  nsPerPage: number;
  pages: number;
  compressedBytes: number;
}

/** bench/native/control.c running: one call of `round` is one pass of the library over all pages. */
export class NativeControl {
  readonly #program: LineProgram;

  constructor(executable: string, options: ControlOptions) {
    const { codec, operation, pagesFile, contentMiB = 0, orderSeed = 0, rounds } = options;
    const args = [codec, operation, pagesFile, contentMiB, orderSeed, rounds].map(String);
    this.#program = new LineProgram([executable, ...args]);
  }

  round(): Promise<ControlRound> {
    return this.#program.ask('');
  }

  close(): void {
    this.#program.close();
  }
}

export const CONTROL_SOURCE = new URL('../native/control.c', import.meta.url);
