/**
 * Errors of the package: one class, one table of codes.
 *
 * Only misuse and exhaustion of the store itself throw. A miss or a refused put is a value, never an error.
 * Programs compare `code`; messages may change between versions, codes may not.
 *
 * Two copies of the package can meet in one process (a dependency may bring its own), so a class identity is
 * not enough to recognise our errors: every copy marks its errors with the same registered symbol, and
 * `instanceof` asks for that mark.
 */

/** What an error code means and what to do about it; docs/errors.md lists exactly this table. */
export interface ErrorCodeText {
  readonly meaning: string;
  readonly advice: string;
}

export const ERROR_CODES = {
  TMEM_ERR_TYPE: {
    meaning: 'An argument has the wrong type.',
    advice: 'Pass what the message names; pages and buffers are Uint8Array.',
  },
  TMEM_ERR_PAGE_LENGTH: {
    meaning: 'A page is not 1 to 4096 bytes long, or a range is not a whole number of pages.',
    advice: 'Split the data into pages of 4096 bytes; only the last one of a file may be shorter.',
  },
  TMEM_ERR_INDEX: {
    meaning: 'A page index is not a whole number from 0 to 4294967295.',
    advice: 'Put the part of the position above 32 bits into the oid.',
  },
  TMEM_ERR_OID: {
    meaning: 'An object id is not 24 bytes, or is the reserved one of all ones.',
    advice: 'Make oids with Oid.fromBytes, Oid.fromString or Oid.fromNumbers.',
  },
  TMEM_ERR_SETTING: {
    meaning: 'A setting or option is unknown, or its value is impossible.',
    advice: 'The message lists every wrong setting with the value given and what is allowed.',
  },
  TMEM_ERR_NAME: {
    meaning: 'A client or pool name is not 1 to 64 bytes of UTF-8 without control characters.',
    advice: 'Choose a shorter or plainer name.',
  },
  TMEM_ERR_NAME_MISMATCH: {
    meaning: 'A store, client or pool of this name exists with other settings.',
    advice: 'Open it with the same settings, remove it first, or choose another name.',
  },
  TMEM_ERR_POOL_FLAGS: {
    meaning: 'The options of a new pool are unknown, impossible or contradict each other.',
    advice:
      'The message lists every wrong option; precompressed pages and other page sizes are not supported.',
  },
  TMEM_ERR_POOL_GONE: {
    meaning: 'The pool was destroyed.',
    advice: 'Open it again by name; its pages are gone.',
  },
  TMEM_ERR_CLIENT_GONE: {
    meaning: 'The client was removed.',
    advice: 'Open it again by name; its pools are gone.',
  },
  TMEM_ERR_NOT_GRANTED: {
    meaning: 'The client may not join this shared pool.',
    advice: 'Grant it first: joining a shared pool is denied by default.',
  },
  TMEM_ERR_SHARED_TOKEN: {
    meaning: 'What was passed to attach is not what share() of an open store returned.',
    advice:
      'Send store.share() to the worker unchanged, through workerData or postMessage, in the same process.',
  },
  TMEM_ERR_CLOSED: {
    meaning: 'The store was closed in this thread.',
    advice: 'Close the store last; open or attach again to go on.',
  },
  TMEM_ERR_HANDLE_CLOSED: {
    meaning: 'A file handle was used after it was closed.',
    advice: 'Open the file again.',
  },
  TMEM_ERR_TOO_MANY_POOLS: {
    meaning: 'The store has no room for another pool.',
    advice: 'Destroy pools, or open the store with a larger setting pools.',
  },
  TMEM_ERR_TOO_MANY_CLIENTS: {
    meaning: 'The store has no room for another client.',
    advice: 'Remove clients, or open the store with a larger setting clients.',
  },
  TMEM_ERR_TOO_MANY_THREADS: {
    meaning: 'Every thread slot of the store is taken.',
    advice: 'Close the store in threads that end, or open it with a larger setting threads.',
  },
  TMEM_ERR_NO_MEMORY: {
    meaning:
      'The machine or the store has no memory for something that is not a page (a page is refused, not an error).',
    advice: 'Lower memory, threads or pools, or raise the limit of the process.',
  },
  TMEM_ERR_BUSY: {
    meaning: 'A lock was not free within lockTimeoutMs; the operation did nothing or may have taken effect.',
    advice: 'Find the thread that is stopped in the middle; try again.',
  },
  TMEM_ERR_STORE_NAME: {
    meaning: 'The name of a store is not 1 to 64 letters, digits, and the characters . _ - (not first).',
    advice: 'Choose such a name: it becomes part of a file name.',
  },
  TMEM_ERR_NO_STORE: {
    meaning: 'There is no store of this name in the directory.',
    advice: 'Give memory to create it, or see with tmem ls what is there.',
  },
  TMEM_ERR_STORE_EXISTS: {
    meaning: 'A store of this name exists already.',
    advice: 'Choose another name, or remove the store first.',
  },
  TMEM_ERR_STORE_IN_USE: {
    meaning: 'Threads are attached to the store that was to be removed.',
    advice: 'End them first, or force the removal: they keep what they have, and nobody else finds it.',
  },
  TMEM_ERR_STORE_GONE: {
    meaning: "The store's file was removed or replaced while it was open.",
    advice: 'Close the store and open it again by name; pages put since then are in the removed file only.',
  },
  TMEM_ERR_STORE_FILE: {
    meaning: "The store's file is not one that may be trusted: another owner, mode, kind or number of links.",
    advice: 'The message says what is wrong; remove the file, or use another name or directory.',
  },
  TMEM_ERR_STORE_DIRECTORY: {
    meaning: 'The directory for named stores is missing, not writable, or not in memory (tmpfs).',
    advice: 'Use /dev/shm or mount a tmpfs; on a disk every page would be written to it.',
  },
  TMEM_ERR_NO_SPACE: {
    meaning: 'The file system of the named stores has no room.',
    advice:
      'Lower memory, remove other stores, or enlarge it (Docker: --shm-size; else mount -o remount,size=…).',
  },
  TMEM_ERR_NO_KOFFI: {
    meaning:
      'Named stores, and servers with several threads, need the optional package koffi; it cannot be loaded here.',
    advice:
      'Install koffi; under --permission allow addons. Stores without a name, and one thread, work without it.',
  },
  TMEM_ERR_SAVED_FILE: {
    meaning: 'A file is no saved store this version reads: something else, truncated, damaged, or altered.',
    advice: 'Restore from another copy; nothing was created from this one.',
  },
  TMEM_ERR_RESTORE: {
    meaning: 'A persistent page of a saved store was refused by the new store.',
    advice: 'Restore it with as much memory as the message says; nothing was created.',
  },
  TMEM_ERR_BACKING_FILE: {
    meaning:
      'The file behind an export is missing, too small, no regular file, not writable, or locked by another.',
    advice: 'The message names the file and what is wrong; make it with truncate, or end who uses it.',
  },
  TMEM_ERR_EXPORT_IN_USE: {
    meaning: 'The export of this store is being served already, by this process or another one.',
    advice: 'Serve it from one process (with several threads, if need be), or end the other one.',
  },
  TMEM_ERR_THREAD_DIED: {
    meaning:
      'A thread that served connections ended by accident; parts of its exports may stay locked for ever.',
    advice:
      'End the process and start it again: a named store and the backing files have what was acknowledged.',
  },
  TMEM_ERR_REMOTE: {
    meaning: 'A call that cannot wait met a page that is with a peer; nothing was changed.',
    advice: 'Read it through the node that sent it there.',
  },
  TMEM_ERR_PEERS_AWAY: {
    meaning: 'A page is with peers, and none that has it answers now.',
    advice: 'Try again when they are back; tmem peers says which are away.',
  },
  TMEM_ERR_PAGE_LOST: {
    meaning: 'A persistent page was with peers, and every one that had it has lost its memory.',
    advice: 'Write the page anew or flush it; keep more replicas, or one on the local disk.',
  },
  TMEM_ERR_PEER: {
    meaning: 'A peer, or the engine that stands for peers, is not what it should be.',
    advice: 'The message says what is wrong: name, certificate, version, or settings.',
  },
  TMEM_ERR_PLATFORM: {
    meaning: 'This machine or this Node.js cannot run the store.',
    advice: 'The message names what is missing; see "What works where" in the README.',
  },
  TMEM_ERR_LAYOUT: {
    meaning: 'The shared memory was laid out by another version of the package.',
    advice: 'Use one version of the package in all threads and processes of a store.',
  },
  TMEM_ERR_DAMAGED: {
    meaning: 'The store found its own memory in a state that cannot be: a wrong checksum, tag or length.',
    advice: 'Stop, keep what you can for a report, and open a new store.',
  },
} as const satisfies Record<string, ErrorCodeText>;

export type TmemErrorCode = keyof typeof ERROR_CODES;

const BRAND = Symbol.for('tmem.error');

/** Every error this package throws on purpose. `cause` holds the error underneath, if there is one. */
export class TmemError extends Error {
  readonly code: TmemErrorCode;

  static {
    // On the prototype, so that the stack, which is written before the constructor's body, begins with it.
    Object.defineProperty(TmemError.prototype, 'name', {
      value: 'TmemError',
      configurable: true,
      writable: true,
    });
    Object.defineProperty(TmemError.prototype, BRAND, { value: true });
    // A class derived from this one is asked the ordinary question.
    Object.defineProperty(TmemError, Symbol.hasInstance, {
      value(this: unknown, value: unknown): boolean {
        if (this === TmemError) return TmemError.is(value);
        return Function.prototype[Symbol.hasInstance].call(this as never, value);
      },
    });
  }

  constructor(code: TmemErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  /** Whether `value` is an error of this package, of whichever copy of it. */
  static is(value: unknown): value is TmemError {
    return typeof value === 'object' && value !== null && BRAND in value;
  }
}
