/**
 * A page fetcher for threads that have none: they ask the thread that has it, through a port.
 *
 *   PortFetcher (worker)            FetchServer (where the fetcher is)
 *     question: number, handle -->    fetcher.fetch
 *     <-- answer: number, 'local', the page, or an error
 *
 * Whoever waits is told in bounded time, also when no answer comes or the other thread has ended. As many wait as have
 * asked: each front end bounds how many requests it works on. An answer that comes too late is dropped.
 */

import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { type Oid, TmemError } from '../tmem/index.ts';
import { type FarHandle, FetchService } from './fetch-service.ts';
import type { PageFetcher } from './page-fetcher.ts';
import type { ClientPool } from './pool.ts';
import { receivedError, type SentError, sentError } from './sent-error.ts';
import type { Store } from './store.ts';

/** Longer than a fetcher takes whose own deadlines work: for one whose thread is blocked. */
const ANSWER_DEFAULT_MS = 30_000;

interface Question extends FarHandle {
  readonly id: number;
}

interface Answer {
  readonly id: number;
  readonly page?: 'local' | Uint8Array;
  readonly error?: SentError;
}

/** Answers the threads that have the other ends of its ports. */
export class FetchServer {
  readonly #service: FetchService;
  readonly #ports = new Set<MessagePort>();

  constructor(store: Store, fetcher: PageFetcher) {
    this.#service = new FetchService(store, fetcher);
  }

  /** A port for the PortFetcher of another thread of this process, to be transferred there. */
  newPort(): MessagePort {
    const { port1: port, port2: other } = new MessageChannel();
    this.#ports.add(port);
    port.on('close', () => this.#ports.delete(port));
    port.on('message', (question: Question) => void this.#answer(port, question));
    // Those who wait keep the process alive.
    port.unref();
    return other;
  }

  /** Closes all ports: who waits there is told. */
  close(): void {
    for (const port of this.#ports) port.close();
  }

  async #answer(port: MessagePort, question: Question): Promise<void> {
    const { id } = question;
    try {
      const found = await this.#service.fetch(question);
      // A copy of its own: a view would take all that it is a view of with it.
      const page = found === 'local' ? found : new Uint8Array(found);
      const answer: Answer = { id, page };
      port.postMessage(answer, page === 'local' ? [] : [page.buffer]);
    } catch (error) {
      const answer: Answer = { id, error: sentError(error) };
      port.postMessage(answer);
    }
  }
}

interface Waiting extends PromiseWithResolvers<'local' | Uint8Array> {
  readonly timer: NodeJS.Timeout;
}

/** The fetcher of a thread that has none of its own. */
export class PortFetcher implements PageFetcher {
  readonly #port: MessagePort;
  readonly #answerMs: number;
  readonly #waiting = new Map<number, Waiting>();
  #last = 0;
  #closed = false;

  /** `port`: from `newPort` of a FetchServer, the caller's no more. `answerMs`: longest wait for an answer. */
  constructor(port: MessagePort, answerMs = ANSWER_DEFAULT_MS) {
    this.#port = port;
    this.#answerMs = answerMs;
    port.on('message', (answer: Answer) => this.#take(answer));
    port.on('close', () => this.close());
    port.unref();
  }

  fetch(pool: ClientPool, oid: Oid, index: number): Promise<'local' | Uint8Array> {
    if (this.#closed) return Promise.reject(portClosed());
    const id = ++this.#last;
    const timer = setTimeout(() => this.#end(id)?.reject(noAnswer(this.#answerMs)), this.#answerMs);
    const waiting = { ...Promise.withResolvers<'local' | Uint8Array>(), timer };
    this.#waiting.set(id, waiting);
    const question: Question = { id, pool: pool.id, oid: oid.toBytes(), index };
    this.#port.postMessage(question);
    return waiting.promise;
  }

  /** Whoever waits is told that nobody answers. Idempotent. */
  close(): void {
    this.#closed = true;
    for (const id of [...this.#waiting.keys()]) this.#end(id)?.reject(portClosed());
    this.#port.close();
  }

  #take({ id, page, error }: Answer): void {
    const waiting = this.#end(id);
    if (error !== undefined) waiting?.reject(receivedError(error));
    else waiting?.resolve(page ?? 'local');
  }

  #end(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    clearTimeout(waiting?.timer);
    return waiting;
  }
}

function portClosed(): TmemError {
  return new TmemError(
    'TMEM_ERR_PEERS_AWAY',
    'the page is with a peer, and the thread that asks peers has ended',
  );
}

function noAnswer(answerMs: number): TmemError {
  return new TmemError(
    'TMEM_ERR_PEERS_AWAY',
    `the page is with a peer, and the thread that asks peers has not answered within ${answerMs} ms`,
  );
}
