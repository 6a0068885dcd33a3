// A native program that answers each line on its standard input with one line of JSON, and ends when there are no more.

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export class LineProgram {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #name: string;

  /** The executable and its arguments. */
  constructor([command, ...args]: readonly [string, ...string[]]) {
    this.#process = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    // That it ended early, and what it said itself, tell more than a broken pipe.
    this.#process.stdin!.on('error', () => {});
    this.#process.on('error', ({ message }) => console.error(message));
    this.#lines = createInterface({ input: this.#process.stdout! })[Symbol.asyncIterator]();
    this.#name = command.split('/').at(-1)!;
  }

  async ask<Result>(line: string): Promise<Result> {
    this.#process.stdin!.write(`${line}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`the native program ${this.#name} ended early (its message is above)`);
    return JSON.parse(value) as Result;
  }

  close(): void {
    this.#process.stdin!.end();
  }
}
