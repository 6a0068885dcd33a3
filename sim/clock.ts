/**
 * Virtual time: a heap of what is to happen, run one after the other. Time passes only between two events. Events of
 * one time run in the order in which they were set.
 *
 * After each event all promises settle, so what a node awaits goes on at the same virtual time. Events are run from
 * immediates, which are asked for many at once: the promises settle between two of them, and a turn of the event loop
 * is paid once for many (measured: 1.8 million empty events a second, 0.35 million with a turn for each).
 */

import type { Clock, Timer } from '../src/ramster/clock.ts';

interface Event extends Timer {
  readonly atMs: number;
  readonly order: number;
  task: (() => void) | undefined;
}

/** Immediates asked for at once. */
const EVENTS_A_TURN = 64;
/** Cancelled events are thrown out when there are this many, and more than of the others. */
const CANCELLED_LEAST = 1024;

export class VirtualClock implements Clock {
  #heap: Event[] = [];
  #nowMs = 0;
  #order = 0;
  #cancelled = 0;
  #events = 0;

  now(): number {
    return this.#nowMs;
  }

  /** Events run so far. */
  get events(): number {
    return this.#events;
  }

  after(delayMs: number, task: () => void): Timer {
    const event: Event = {
      atMs: this.#nowMs + Math.max(0, delayMs),
      order: this.#order++,
      task,
      cancel: () => this.#cancel(event),
    };
    this.#heap.push(event);
    this.#rise(this.#heap.length - 1);
    return event;
  }

  /** Runs everything up to `untilMs`, or until `isDone`, which is asked after each event. */
  run(untilMs: number, isDone: () => boolean = () => false): Promise<void> {
    return new Promise((resolve, reject) => {
      let asked = 0;
      let ended = false;
      const one = (): void => {
        asked--;
        try {
          ended ||= isDone() || !this.#runNext(untilMs);
        } catch (error) {
          ended = true;
          reject(error);
        }
        if (asked > 0) return;
        if (ended) resolve();
        else ask();
      };
      const ask = (): void => {
        for (; asked < EVENTS_A_TURN; asked++) setImmediate(one);
      };
      ask();
    });
  }

  /** Runs the next event if its time is not after `untilMs`; else it is `untilMs` now. */
  #runNext(untilMs: number): boolean {
    for (;;) {
      const event = this.#heap[0];
      if (event === undefined || event.atMs > untilMs) {
        this.#nowMs = Math.max(this.#nowMs, untilMs);
        return false;
      }
      this.#removeFirst();
      const { task } = event;
      if (task === undefined) {
        this.#cancelled--;
        continue;
      }
      event.task = undefined;
      this.#nowMs = event.atMs;
      this.#events++;
      task();
      return true;
    }
  }

  #cancel(event: Event): void {
    if (event.task === undefined) return;
    event.task = undefined;
    this.#cancelled++;
    if (this.#cancelled < CANCELLED_LEAST || this.#cancelled * 2 < this.#heap.length) return;
    this.#heap = this.#heap.filter(({ task }) => task !== undefined);
    this.#cancelled = 0;
    for (let at = (this.#heap.length >> 1) - 1; at >= 0; at--) this.#sink(at);
  }

  #removeFirst(): void {
    const last = this.#heap.pop() as Event;
    if (this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#sink(0);
  }

  #rise(from: number): void {
    const heap = this.#heap;
    const event = heap[from] as Event;
    let at = from;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (isBefore(heap[above] as Event, event)) break;
      heap[at] = heap[above] as Event;
      at = above;
    }
    heap[at] = event;
  }

  #sink(from: number): void {
    const heap = this.#heap;
    const event = heap[from] as Event;
    let at = from;
    for (;;) {
      let below = at * 2 + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && isBefore(heap[below + 1] as Event, heap[below] as Event)) below++;
      if (isBefore(event, heap[below] as Event)) break;
      heap[at] = heap[below] as Event;
      at = below;
    }
    heap[at] = event;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
