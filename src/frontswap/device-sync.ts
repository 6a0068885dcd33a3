/**
 * Syncs of the device of an area: what was written before lasts after.
 *
 *   memory:  0 all went well | 1 one has failed
 *
 * Rule it keeps: after a sync that failed none succeeds any more, in no thread. The system tells of what it lost only
 * once, and to one of those who have the file open; whoever asks again would be told that all is well.
 */

import { TmemError } from '../zcache/index.ts';
import type { BackingDevice } from './backing-device.ts';

export class DeviceSync {
  /** For the DeviceSync of another thread on the same device. */
  readonly memory: SharedArrayBuffer;
  readonly #device: BackingDevice;
  readonly #failed: Int32Array<SharedArrayBuffer>;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #cause: unknown;

  constructor(device: BackingDevice, memory?: SharedArrayBuffer) {
    this.#device = device;
    this.memory = memory ?? new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
    this.#failed = new Int32Array(this.memory);
  }

  /** @throws TmemError TMEM_ERR_BACKING_FILE if a sync has failed: then what the device has may be lost */
  check(): void {
    if (Atomics.load(this.#failed, 0) === 0) return;
    const why = this.#cause === undefined ? '' : ` (${this.#cause})`;
    throw new TmemError(
      'TMEM_ERR_BACKING_FILE',
      `an earlier sync of the device failed${why}: what it lost cannot be told, so the pages stay in the store; look ` +
        'after the device, then start again',
      { cause: this.#cause },
    );
  }

  /**
   * What was written to the device before lasts when this ends. Calls that come while one runs share the next one.
   *
   * @throws what the device throws; from then on always as `check`
   */
  sync(): Promise<void> {
    if (this.#running === undefined) return this.#start();
    this.#next ??= this.#running.then(nothing, nothing).then(() => {
      this.#next = undefined;
      return this.#start();
    });
    return this.#next;
  }

  #start(): Promise<void> {
    const run = this.#run().finally(() => {
      if (this.#running === run) this.#running = undefined;
    });
    this.#running = run;
    return run;
  }

  async #run(): Promise<void> {
    this.check();
    try {
      await this.#device.flush();
    } catch (error) {
      this.#cause = error;
      Atomics.store(this.#failed, 0, 1);
      throw error;
    }
    // Another thread's may have failed meanwhile, and taken what ours would have told.
    this.check();
  }
}

function nothing(): void {}
