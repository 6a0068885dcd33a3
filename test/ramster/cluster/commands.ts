// Commands between a test and its processes: a call here, a function there. The process tells when it is ready, and
// ends with its parent.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/** Longest call on a machine that does many other things, too. */
const CALL_MS = 60_000;
const SAID_CHARACTERS_MAX = 16_384;
/** Processes start in a quarter of the time when the sources they load are compiled already. */
const COMPILED = decodeURIComponent(new URL('../../../build/compiled', import.meta.url).pathname);

// biome-ignore lint/suspicious/noExplicitAny: what a command takes and gives is its own affair
export type Commands = Record<string, (...args: any[]) => unknown>;

interface Call {
  readonly id: number;
  readonly name: string;
  readonly args: readonly unknown[];
}

interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

/** In the process: runs what is asked for. */
export function serveCommands(commands: Commands): void {
  process.on('message', async ({ id, name, args }: Call) => {
    try {
      process.send?.({ id, value: await commands[name]!(...args) });
    } catch (error) {
      process.send?.({ id, error: (error as Error).stack ?? String(error) });
    }
  });
  process.on('disconnect', () => process.exit());
  process.send?.({ id: 0 });
}

/** In the test: a process that runs commands. */
export class CommandProcess<Has extends Commands> {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #calls = 0;
  #ended: string | undefined;
  #said = '';

  private constructor([program, ...args]: readonly [string, ...string[]]) {
    const env = { ...process.env, NODE_COMPILE_CACHE: COMPILED };
    this.#child = spawn(program, args, { env, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#said = (this.#said + text).slice(-SAID_CHARACTERS_MAX);
    });
    this.#child.on('message', (answer: Answer) => this.#waiting.get(answer.id)?.(answer));
    // What cannot be sent any more has ended.
    this.#child.on('error', () => {});
    this.#exited = once(this.#child, 'close').then(([code, signal]) => {
      this.#ended = `the process ended with ${signal ?? code}: ${this.#said}`;
      for (const [id, settle] of this.#waiting) settle({ id, error: this.#ended });
    });
  }

  /** Starts it; its commands can be called when this returns. */
  static async start<Has extends Commands>(
    command: readonly [string, ...string[]],
  ): Promise<CommandProcess<Has>> {
    const started = new CommandProcess<Has>(command);
    await started.#answer(0);
    return started;
  }

  async call<Name extends string & keyof Has>(
    name: Name,
    ...args: Parameters<Has[Name]>
  ): Promise<Awaited<ReturnType<Has[Name]>>> {
    if (this.#ended !== undefined) throw new Error(`${name}: ${this.#ended}`);
    const id = ++this.#calls;
    const answered = this.#answer(id);
    this.#child.send({ id, name, args }, () => {});
    const { value, error } = await answered;
    if (error !== undefined) throw new Error(`${name}: ${error}`);
    return value as Awaited<ReturnType<Has[Name]>>;
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal);
  }

  /** SIGKILL; it is gone when this returns. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  async #answer(id: number): Promise<Answer> {
    const answer = Promise.withResolvers<Answer>();
    this.#waiting.set(id, answer.resolve);
    const timer = setTimeout(() => answer.resolve({ id, error: `no answer: ${this.#said}` }), CALL_MS);
    try {
      return await answer.promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(id);
    }
  }
}
