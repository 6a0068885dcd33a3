/**
 * The few calls of the C library that Node.js does not offer, through the optional package koffi: mapping files,
 * reserving and giving back memory, file locks, waiting across processes, holes in files. Linux only; every other file
 * goes through this one.
 *
 * Calls return an errno, 0 = done, where the caller has to tell failures apart. Memory is named by its address: koffi
 * takes and gives them as bigint.
 */

import { createRequire } from 'node:module';
import { TmemError } from '../errors.ts';

/** Errno values of Linux that callers look at. */
export const ERRNO = { EINTR: 4, ENXIO: 6, EAGAIN: 11, EACCES: 13, EEXIST: 17, ETIMEDOUT: 110 } as const;

const PROT_READ_WRITE = 1 | 2;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
const MAP_FIXED = 16;
const MAP_ANONYMOUS = 32;
const MADV_DONTNEED = 4;
const MADV_REMOVE = 9;
const MADV_DONTDUMP = 16;
const MADV_POPULATE_WRITE = 23; // since Linux 5.14

const FALLOC_FL_KEEP_SIZE = 1;
const FALLOC_FL_PUNCH_HOLE = 2;

const SEEK_DATA = 3;
const SEEK_HOLE = 4;

const F_DUPFD_CLOEXEC = 1030;
const F_OFD_GETLK = 36;
const F_OFD_SETLK = 37;
const F_WRLCK = 1;
const F_UNLCK = 2;
/** struct flock of 64-bit Linux: i16 type, i16 whence, 4 bytes, i64 start, i64 length, i32 pid, 4 bytes. */
const FLOCK = { bytes: 32, type: 0, start: 8, length: 16 } as const;

const AT_FDCWD = -100;
const AT_SYMLINK_FOLLOW = 0x400;

/** Number of the futex call; the processors that named stores were made for. */
const SYS_FUTEX: Readonly<Record<string, number>> = { x64: 202, arm64: 98 };
const FUTEX_WAIT = 0;
const FUTEX_WAKE = 1;
const ONE_MS_NS = 1_000_000n;

/** A signal may cut an allocation short; it is then repeated, this often at most. */
const INTERRUPTS_MAX = 100;

type Done = (error: unknown, result: number) => void;
type Call = ((...args: unknown[]) => number) & { async(...args: [...unknown[], Done]): void };

interface Koffi {
  load(path: null): { func(prototype: string): Call };
  address(value: unknown): bigint;
  errno(): number;
}

function loadKoffi(): Koffi {
  if (process.platform !== 'linux' || SYS_FUTEX[process.arch] === undefined) {
    throw new TmemError(
      'TMEM_ERR_PLATFORM',
      `named stores need Linux on x64 or arm64, this is ${process.platform} on ${process.arch}; ` +
        'stores without a name work here',
    );
  }
  if ((process.config.variables as { v8_enable_sandbox?: number | boolean }).v8_enable_sandbox) {
    throw new TmemError(
      'TMEM_ERR_PLATFORM',
      'named stores cannot be mapped in a Node.js built with the V8 sandbox; use an ordinary build',
    );
  }
  try {
    return createRequire(import.meta.url)('koffi') as Koffi;
  } catch (cause) {
    throw new TmemError(
      'TMEM_ERR_NO_KOFFI',
      `koffi cannot be loaded (${(cause as NodeJS.ErrnoException).code ?? String(cause)}); install it, ` +
        'and under --permission add --allow-addons',
      { cause },
    );
  }
}

/** The C library as one thread calls it. */
export class Libc {
  readonly #koffi: Koffi;
  readonly #mmap: Call;
  readonly #madvise: Call;
  readonly #fallocate: Call;
  readonly #punch: Call;
  readonly #seek: Call;
  readonly #fcntl: Call;
  readonly #linkat: Call;
  readonly #syscall: Call;
  readonly #flock = Buffer.alloc(FLOCK.bytes);
  readonly #timespec = Buffer.alloc(16);
  readonly #sysFutex: number;

  constructor() {
    this.#koffi = loadKoffi();
    // The program itself and all it is linked with: so it does not matter which C library that is.
    const library = this.#koffi.load(null);
    this.#mmap = library.func('intptr_t mmap(intptr_t, size_t, int, int, int, int64_t)');
    this.#madvise = library.func('int madvise(intptr_t, size_t, int)');
    this.#fallocate = library.func('int posix_fallocate(int, int64_t, int64_t)');
    this.#punch = library.func('int fallocate(int, int, int64_t, int64_t)');
    this.#seek = library.func('int64_t lseek(int, int64_t, int)');
    this.#fcntl = library.func('int fcntl(int, int, ...)');
    this.#linkat = library.func('int linkat(int, const char *, int, const char *, int)');
    this.#syscall = library.func('long syscall(long, ...)');
    this.#sysFutex = SYS_FUTEX[process.arch] ?? 0;
  }

  addressOf(buffer: SharedArrayBuffer): bigint {
    return this.#koffi.address(new Uint8Array(buffer));
  }

  /** Maps part of a file over memory that is there; true when it lies exactly there. `copy`: writes stay private. */
  map(address: bigint, bytes: number, descriptor: number, offset: number, copy: boolean): boolean {
    const flags = (copy ? MAP_PRIVATE : MAP_SHARED) | MAP_FIXED;
    return BigInt(this.#mmap(address, bytes, PROT_READ_WRITE, flags, descriptor, offset)) === address;
  }

  /** Takes a file from under memory, which reads as zeroes then. */
  unmap(buffer: SharedArrayBuffer): void {
    const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    this.#mmap(this.addressOf(buffer), buffer.byteLength, PROT_READ_WRITE, flags, -1, 0);
  }

  /** Keeps memory out of core dumps. */
  dontDump(address: bigint, bytes: number): void {
    this.#madvise(address, bytes, MADV_DONTDUMP);
  }

  /** Gives part of a file its memory, or fails with ENOSPC and changes nothing. Parts must not have any yet. */
  allocate(descriptor: number, offset: number, bytes: number): number {
    let errno = this.#fallocate(descriptor, offset, bytes);
    for (let i = 0; errno === ERRNO.EINTR && i < INTERRUPTS_MAX; i++) {
      errno = this.#fallocate(descriptor, offset, bytes);
    }
    return errno;
  }

  /** Maps memory for writing ahead of its first use, if the kernel can. */
  populate(address: bigint, bytes: number): void {
    this.#madvise(address, bytes, MADV_POPULATE_WRITE);
  }

  /** Gives memory of a shared file mapping back, in the file, too. It reads as zeroes then. */
  removePages(address: bigint, bytes: number): number {
    return this.#madvise(address, bytes, MADV_REMOVE) === 0 ? 0 : this.#koffi.errno();
  }

  /** Gives memory of this process back. It reads as zeroes then. */
  dropPages(address: bigint, bytes: number): number {
    return this.#madvise(address, bytes, MADV_DONTNEED) === 0 ? 0 : this.#koffi.errno();
  }

  /** Gives the disk space of part of a file back, off this thread; false when the file system cannot. */
  punchHole(descriptor: number, offset: number, bytes: number): Promise<boolean> {
    const mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    return new Promise((resolve) => {
      this.#punch.async(descriptor, mode, offset, bytes, (error, result) =>
        resolve(error === null && result === 0),
      );
    });
  }

  /**
   * Where the next data (or hole) of a file begins; undefined when there is none, -1 when the system cannot tell. Moves
   * the descriptor's own position.
   */
  seek(descriptor: number, offset: number, what: 'data' | 'hole'): number | undefined {
    const found = Number(this.#seek(descriptor, offset, what === 'data' ? SEEK_DATA : SEEK_HOLE));
    return found < 0 && this.#koffi.errno() === ERRNO.ENXIO ? undefined : found;
  }

  /** Another descriptor of the same open file or socket; -1 when none is free. */
  duplicate(descriptor: number): number {
    return this.#fcntl(descriptor, F_DUPFD_CLOEXEC, 'int', 0);
  }

  /** Locks bytes of a file for this descriptor; false when another descriptor has one of them. Never waits. */
  lockBytes(descriptor: number, start: number, count: number): boolean {
    this.#describe(F_WRLCK, start, count);
    if (this.#fcntl(descriptor, F_OFD_SETLK, 'void *', this.#flock) === 0) return true;
    const errno = this.#koffi.errno();
    if (errno === ERRNO.EAGAIN || errno === ERRNO.EACCES) return false;
    throw new TmemError('TMEM_ERR_PLATFORM', `this system gives no file locks (errno ${errno})`);
  }

  unlockBytes(descriptor: number, start: number, count: number): void {
    this.#describe(F_UNLCK, start, count);
    this.#fcntl(descriptor, F_OFD_SETLK, 'void *', this.#flock);
  }

  /** Whether another descriptor, of whichever thread or process, holds one of these bytes. */
  bytesAreLocked(descriptor: number, start: number, count: number): boolean {
    this.#describe(F_WRLCK, start, count);
    if (this.#fcntl(descriptor, F_OFD_GETLK, 'void *', this.#flock) !== 0) return true;
    return this.#flock.readInt16LE(FLOCK.type) !== F_UNLCK;
  }

  #describe(type: number, start: number, count: number): void {
    this.#flock.fill(0);
    this.#flock.writeInt16LE(type, FLOCK.type);
    this.#flock.writeBigInt64LE(BigInt(start), FLOCK.start);
    this.#flock.writeBigInt64LE(BigInt(count), FLOCK.length);
  }

  /** Gives a file that has no name yet (O_TMPFILE) one; ERRNO.EEXIST when it is taken. */
  link(descriptor: number, path: string): number {
    const from = `/proc/self/fd/${descriptor}`;
    return this.#linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW) === 0 ? 0 : this.#koffi.errno();
  }

  /** Sleeps while the word at an address is `expected`, below a second; whether the time passed without a wake. */
  wait(address: bigint, expected: number, timeoutMs: number): boolean {
    this.#timespec.writeBigInt64LE(0n, 0);
    this.#timespec.writeBigInt64LE(BigInt(Math.min(timeoutMs, 999)) * ONE_MS_NS, 8);
    const word = ['intptr_t', address, 'int', FUTEX_WAIT, 'uint32_t', expected >>> 0] as const;
    return (
      this.#syscall(this.#sysFutex, ...word, 'void *', this.#timespec) !== 0 &&
      this.#koffi.errno() === ERRNO.ETIMEDOUT
    );
  }

  wake(address: bigint, threads: number): void {
    this.#syscall(this.#sysFutex, 'intptr_t', address, 'int', FUTEX_WAKE, 'int', threads);
  }
}

let loaded: Libc | undefined;

/**
 * The C library, loaded at the first call in each thread.
 *
 * @throws TmemError TMEM_ERR_PLATFORM, TMEM_ERR_NO_KOFFI
 */
export function libc(): Libc {
  loaded ??= new Libc();
  return loaded;
}
