/** A directory for one test file, and files in it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Random } from '../../src/cli/read/sequence.ts';

export class Scratch implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'tmem-cli-'));

  /** Writes `bytes` bytes, half of them random, and returns the path. */
  file(name: string, bytes: number, seed = bytes): string {
    const random = new Random(seed, 0);
    const content = Uint8Array.from({ length: bytes }, (_, i) => (i % 64 < 32 ? random.below(256) : 0x61));
    const path = join(this.path, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    return path;
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
