// A folder for sockets, disks and images, which is gone when it is disposed of, and at the end of the process.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export class TemporaryFolder {
  readonly path: string;
  readonly #remove = () => rmSync(this.path, { recursive: true, force: true });

  constructor() {
    this.path = mkdtempSync(join(tmpdir(), 'guest-'));
    process.on('exit', this.#remove);
  }

  file(name: string): string {
    return join(this.path, name);
  }

  [Symbol.dispose](): void {
    this.#remove();
    process.off('exit', this.#remove);
  }
}
