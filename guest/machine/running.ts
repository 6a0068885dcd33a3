// A program that runs beside this process and does not outlive it, however that ends: the emulator, a server.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathOf } from './needs.ts';

/** Of what a program says on its error output, the end is kept. */
const SAID_CHARACTERS_MAX = 65_536;

/** A start on a machine that does many other things, too. */
const START_MS = 60_000;
const LOOK_MS = 20;

export class Running {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #name: string;
  #ended = false;
  #said = '';

  constructor(path: string, args: readonly string[]) {
    this.#name = [path, args[0]].join(' ');
    this.#child = spawn(pathOf('setpriv'), ['--pdeathsig', 'KILL', path, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#exited = once(this.#child, 'exit').finally(() => {
      this.#ended = true;
    });
    // Told to whoever waits for it.
    this.#exited.catch(() => {});
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#said = (this.#said + text).slice(-SAID_CHARACTERS_MAX);
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get output(): Readable {
    return this.#child.stdout!;
  }

  /** What it said on its error output. */
  get said(): string {
    return this.#said;
  }

  /** Waits until `look` finds something. @throws Error with what it said, when it ends before, or never gets there */
  async until<Found>(look: () => Found | undefined | null | false): Promise<Found> {
    for (let ms = 0; ms < START_MS && !this.#ended; ms += LOOK_MS) {
      const found = look();
      if (found) return found;
      await sleep(LOOK_MS);
    }
    await this.kill();
    throw new Error(`${this.#name} did not start:\n${this.#said}`);
  }

  /** Waits for its end, whatever that is. */
  async ended(): Promise<void> {
    await this.#exited;
  }

  /** SIGKILL, and waits until it is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }
}
