// Names for stores of a benchmark or test, and their removal whatever happens.

import { randomBytes } from 'node:crypto';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const DIRECTORY = '/dev/shm';

/** A name that nobody else uses. Its file is removed when this is disposed of, and at the end of the process. */
export class StoreName {
  readonly name: string;
  readonly #remove = () => {
    for (const path of this.#files()) rmSync(path, { force: true });
  };
  readonly #interrupted = () => process.exit(130);

  constructor(what: string) {
    this.name = `${what}-${process.pid}-${randomBytes(4).toString('hex')}`;
    process.on('exit', this.#remove);
    process.on('SIGINT', this.#interrupted);
    process.on('SIGTERM', this.#interrupted);
  }

  #files(): string[] {
    const start = `tmem.${this.name}.v`;
    return readdirSync(DIRECTORY)
      .filter((file) => file.startsWith(start))
      .map((file) => join(DIRECTORY, file));
  }

  /** The store's file. @throws Error when there is none */
  get path(): string {
    const [path] = this.#files();
    if (path === undefined) throw new Error(`there is no store ${this.name}`);
    return path;
  }

  [Symbol.dispose](): void {
    this.#remove();
    process.off('exit', this.#remove);
    process.off('SIGINT', this.#interrupted);
    process.off('SIGTERM', this.#interrupted);
  }
}
