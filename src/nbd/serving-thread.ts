/**
 * One of the threads that serve connections, as the thread that started it sees it.
 *
 * Rule it keeps: whoever waits for it is told when it ends, and its owner is told when it ends by accident.
 */

import { Worker } from 'node:worker_threads';
import { publish, receivedError, TmemError } from '../zcache/index.ts';
import type { FromThread, Task, ThreadData, ToThread } from './thread-messages.ts';
import type { TlsOptions } from './tls.ts';

/** The thread's file, beside this one, as source or as built. */
const THREAD_URL = new URL(
  import.meta.url.endsWith('.ts') ? './server-thread.ts' : './server-thread.js',
  import.meta.url,
);

/** What serving allocates is garbage when an event has ended; by default each thread would keep 16 MiB for that. */
const YOUNG_GENERATION_MIB = 2;

export class ServingThread {
  readonly #worker: Worker;
  readonly #tasks = new Map<number, PromiseWithResolvers<void>>();
  readonly #started = Promise.withResolvers<void>();
  readonly #exited = Promise.withResolvers<void>();
  readonly #onDeath: (error: TmemError) => void;
  #lastTask = 0;
  #stopTask: number | undefined;
  #connections = 0;
  #mayEnd = false;
  #hasEnded = false;
  #death: TmemError | undefined;

  /** `onDeath`: the thread ended although nobody told it to. */
  constructor(data: ThreadData, onDeath: (error: TmemError) => void) {
    this.#onDeath = onDeath;
    this.#worker = new Worker(THREAD_URL, {
      ...{ workerData: data, name: 'tmem-nbd' },
      transferList: data.fetches === undefined ? [] : [data.fetches],
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB },
    });
    this.#worker.on('message', (message: FromThread) => this.#take(message));
    this.#worker.on('error', (error) => this.#died(`threw '${error.message}'`, error));
    this.#worker.on('exit', (code) => {
      if (!this.#mayEnd) this.#died(`ended with exit code ${code}`);
      this.#hasEnded = true;
      for (const { resolve } of this.#tasks.values()) resolve(); // it has left everything
      this.#exited.resolve();
    });
  }

  /** Ends when the thread serves; throws why it cannot. */
  get started(): Promise<void> {
    return this.#started.promise;
  }

  /** Connections it was given and has not reported the end of. */
  get connections(): number {
    return this.#connections;
  }

  /** Gives it the descriptor of a socket. */
  serve(descriptor: number): void {
    this.#connections++;
    this.#send({ kind: 'serve', descriptor });
  }

  replaceTls(tls: TlsOptions): void {
    this.#send({ kind: 'tls', tls });
  }

  /** Throws what the thread could not do, or why it died. One that was stopped has nothing left to do. */
  perform(task: Task): Promise<void> {
    if (this.#death !== undefined) return Promise.reject(this.#death);
    if (this.#hasEnded) return Promise.resolve();
    const waiting = Promise.withResolvers<void>();
    this.#tasks.set(++this.#lastTask, waiting);
    this.#send({ kind: 'task', id: this.#lastTask, task });
    return waiting.promise;
  }

  /** Ends when the thread has ended, in whichever way; throws what it could not do before. */
  async stop(graceMs: number): Promise<void> {
    try {
      const stopped = this.perform({ kind: 'stop', graceMs });
      this.#stopTask = this.#lastTask;
      await stopped;
    } finally {
      await this.#exited.promise;
    }
  }

  #send(message: ToThread): void {
    this.#worker.postMessage(message);
  }

  #died(how: string, cause?: unknown): void {
    if (this.#death !== undefined) return;
    const death = new TmemError(
      'TMEM_ERR_THREAD_DIED',
      `nbd: a thread that serves connections ${how}; end this process: what the thread held stays held`,
      { cause },
    );
    this.#death = death;
    this.#started.reject(death);
    for (const { reject } of this.#tasks.values()) reject(death);
    this.#tasks.clear();
    this.#onDeath(death);
  }

  #take(message: FromThread): void {
    switch (message.kind) {
      case 'ready':
        this.#started.resolve();
        break;
      case 'failed':
        this.#mayEnd = true;
        this.#started.reject(receivedError(message.error));
        break;
      case 'ended':
        this.#connections--;
        break;
      case 'done': {
        // Its end may be told in this very turn, before anyone who waits is.
        if (message.id === this.#stopTask) this.#mayEnd = true;
        const waiting = this.#tasks.get(message.id);
        this.#tasks.delete(message.id);
        if (message.error === undefined) waiting?.resolve();
        else waiting?.reject(receivedError(message.error));
        break;
      }
      case 'event':
        publish(message.event.name, () => message.event.payload);
        break;
    }
  }
}
