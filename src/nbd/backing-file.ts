/**
 * The file behind an export: looked at, locked and opened. Nobody else may have a lock on one that is written to.
 */

import { constants, fstatSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { FileDevice } from '../frontswap/index.ts';
import { descriptors, TmemError } from '../zcache/index.ts';

const PAGE_BYTES = 4096;

export interface BackingFile {
  readonly path: string;
  readonly device: FileDevice;
  /** Which file the path led to, whatever it is called later. */
  readonly identity: string;
  /** Closes the device, and gives the lock back. */
  close(): Promise<void>;
}

/** What another thread of this process needs to open it. Plain data. */
export interface SharedFile {
  readonly path: string;
  readonly bytes: number;
  readonly identity: string;
  readonly written: SharedArrayBuffer;
}

/**
 * Opens a file as a device of `bytes` bytes, or of its own size.
 *
 * @throws TmemError TMEM_ERR_BACKING_FILE
 */
export async function openBackingFile(
  path: string,
  bytes: number | undefined,
  readOnly: boolean,
): Promise<BackingFile> {
  const file = await openFile(path, readOnly);
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw wrong(path, 'is no regular file');
    const size = bytes ?? stats.size;
    if (stats.size < size) throw wrong(path, `has ${stats.size} bytes, the export needs ${size}`);
    if (size === 0) throw wrong(path, 'is empty; make it as large as the export, such as with truncate');
    // Without koffi there are no locks: then two servers on one file are not noticed.
    if (!readOnly && descriptors()?.lock(file.fd) === false)
      throw wrong(path, 'is locked by another process');
    const device = await FileDevice.open(path, size, { create: false, readOnly });
    return {
      path,
      device,
      identity: identityOf(file.fd),
      close: async () => {
        try {
          await device.close();
        } finally {
          await file.close();
        }
      },
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/**
 * Opens, in another thread, the file that a thread of this process has open as a backing file.
 *
 * @throws TmemError TMEM_ERR_BACKING_FILE if the path leads to another file by now; as FileDevice.open
 */
export async function attachBackingFile(shared: SharedFile, readOnly: boolean): Promise<BackingFile> {
  const { path, bytes, identity, written } = shared;
  const device = await FileDevice.open(path, bytes, { create: false, readOnly, written });
  if (identityOf(device.descriptor) !== identity) {
    await device.close();
    throw wrong(path, 'was replaced by another file while it is served');
  }
  return { path, device, identity, close: () => device.close() };
}

/** Slots of 4096 bytes that a device of so many bytes has. */
export function slotsOf(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES);
}

/** Inodes are used again: the time of birth tells a new file from one that was removed (0 where nobody knows it). */
function identityOf(descriptor: number): string {
  const { dev, ino, birthtimeNs } = fstatSync(descriptor, { bigint: true });
  return `${dev}:${ino}:${birthtimeNs}`;
}

async function openFile(path: string, readOnly: boolean): Promise<FileHandle> {
  try {
    // Not to wait for the other end of a pipe that somebody put there.
    return await open(path, (readOnly ? constants.O_RDONLY : constants.O_RDWR) | constants.O_NONBLOCK);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const reasons: Record<string, string> = {
      ENOENT: 'is missing; make it first, such as with truncate',
      EISDIR: 'is a directory',
      EACCES: readOnly ? 'may not be read' : 'may not be written',
      EPERM: 'may not be written',
      EROFS: 'is on a file system that is read-only',
    };
    throw wrong(path, reasons[code ?? ''] ?? `cannot be opened: ${(cause as Error).message}`, cause);
  }
}

function wrong(path: string, what: string, cause?: unknown): TmemError {
  return new TmemError('TMEM_ERR_BACKING_FILE', `backing file ${path}: ${what}`, { cause });
}
