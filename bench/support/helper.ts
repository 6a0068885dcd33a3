// Helpers of a benchmark or test: processes, or threads, of one file that answer messages, one at a time.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parentPort, Worker } from 'node:worker_threads';

type Answer = { result: unknown } | { error: string };

/** The sign of a helper that it listens. */
const READY = 'ready';

/** None outlives this process. */
const processes = new Set<ChildProcess>();
process.on('exit', () => {
  for (const running of processes) running.kill('SIGKILL');
});

export class Helper {
  readonly #running: ChildProcess | Worker;
  readonly #ended: Promise<unknown>;
  readonly #name: string;

  private constructor(running: ChildProcess | Worker, name: string) {
    this.#running = running;
    this.#name = name;
    this.#ended = once(running, 'exit');
    // Whoever waits for an answer is told.
    this.#ended.catch(() => {});
    if (running instanceof Worker) return;
    processes.add(running);
    running.once('exit', () => processes.delete(running));
  }

  /** Starts a file that calls `answer` in a process, or in a thread of this one, and waits until it listens. */
  static async start(file: URL, as: 'process' | 'thread' = 'process'): Promise<Helper> {
    const running =
      as === 'thread'
        ? new Worker(file)
        : fork(fileURLToPath(file), { serialization: 'advanced', execArgv: ['--no-warnings'] });
    const helper = new Helper(running, `${as} of ${file.pathname.split('/').at(-1)}`);
    await helper.#next();
    return helper;
  }

  /** Process id; that of this process for a thread. */
  get pid(): number {
    return this.#running instanceof Worker ? process.pid : this.#running.pid!;
  }

  /** Sends a message and waits for what the helper makes of it. @throws Error of the helper, or when it ends first */
  async ask<Result>(message: unknown): Promise<Result> {
    this.tell(message);
    const answer = (await this.#next()) as Answer;
    if ('error' in answer) throw new Error(`${this.#name}: ${answer.error}`);
    return answer.result as Result;
  }

  /** Sends a message whose answer, if there is one, nobody waits for. */
  tell(message: unknown): void {
    if (this.#running instanceof Worker) this.#running.postMessage(message);
    else this.#running.send(message as object);
  }

  async #next(): Promise<unknown> {
    const over = new AbortController();
    const message = once(this.#running, 'message', { signal: over.signal });
    message.catch(() => {});
    const first = await Promise.race([message, this.#ended.then(() => undefined)]);
    if (first !== undefined) return first[0];
    over.abort();
    throw new Error(`${this.#name}: ended in the middle of its work`);
  }

  /** Waits until it has ended: by itself, or by somebody's signal. */
  async ended(): Promise<void> {
    await this.#ended;
  }

  /** Ends it by force, wherever it is, and waits until it is gone. */
  async kill(): Promise<void> {
    if (this.#running instanceof Worker) await this.#running.terminate();
    else this.#running.kill('SIGKILL');
    await this.#ended;
  }
}

/** In a helper: answers each message with what `work` makes of it. */
export function answer<Message, Result>(work: (message: Message) => Result | Promise<Result>): void {
  const send = (message: unknown) =>
    parentPort === null ? process.send?.(message) : parentPort.postMessage(message);
  (parentPort ?? process).on('message', async (message: Message) => {
    try {
      send({ result: await work(message) } satisfies Answer);
    } catch (error) {
      send({ error: (error as Error).message } satisfies Answer);
    }
  });
  // A parent that is gone takes its helpers with it.
  process.on('disconnect', () => process.exit());
  send(READY);
}
