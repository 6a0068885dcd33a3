// bench/native/nbd-load.c running: the image and the load, the same for every server.

import { LineProgram } from '../support/line-program.ts';
import type { Library } from '../support/native.ts';
import { bound } from './servers.ts';

export const LOAD_SOURCE = new URL('../native/nbd-load.c', import.meta.url);
export const LOAD_LIBRARIES: readonly Library[] = [
  { header: 'libnbd.h', link: '-lnbd', debianPackage: 'libnbd-dev' },
];

export const MIB = 2 ** 20;
/** What every part but one uses. */
export const IMAGE_MIB = 1024;

export interface Loaded {
  /** Operations a second. */
  readonly iops: number;
  readonly operations: number;
}

export interface LoadTask {
  readonly clients: number;
  readonly depth: number;
  readonly ms: number;
  /** Compare what is read. */
  readonly verify: boolean;
}

export class Load implements Disposable {
  readonly #program: LineProgram;

  constructor(executable: string, pagesFile: string, socket: string, imageMib: number, core?: number) {
    this.#program = new LineProgram(bound([executable, socket, pagesFile, String(imageMib)], core));
  }

  /** Writes the image to a file, for the copy tools. */
  async image(path: string): Promise<void> {
    await this.#program.ask(`image ${path}`);
  }

  /** Writes the image to the server. */
  async fill(): Promise<void> {
    await this.#program.ask('fill');
  }

  /** Random reads and writes of single pages, half and half. */
  load({ clients, depth, ms, verify }: LoadTask): Promise<Loaded> {
    return this.#program.ask(`load ${clients} ${depth} ${ms} ${verify ? 1 : 0}`);
  }

  /** Reads the whole image. @throws Error when it is not what was written */
  async check(): Promise<void> {
    await this.#program.ask('check');
  }

  [Symbol.dispose](): void {
    this.#program.close();
  }
}
