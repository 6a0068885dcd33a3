// A file system on a disk export, and power cuts: the server is killed while the guest writes, and so is the guest.
//
// What the guest reported as flushed is noted here, outside of everything that is killed. After each cut the journal is
// replayed, nothing may be left to repair, and every noted file has its content.

import { truncateSync, writeFileSync } from 'node:fs';
import { StoreName } from '../../bench/support/named.ts';
import { nbdDisk, VIRTIO_NAME } from '../devices/device.ts';
import { TmemServer } from '../devices/tmem.ts';
import { Guest, type Report } from '../machine/guest.ts';
import { GUEST_PROGRAMS, type Program } from '../machine/needs.ts';
import { TemporaryFolder } from '../machine/temporary-folder.ts';

const DISK_BYTES = 192 * 2 ** 20;

export interface PowerCuts {
  /** How many files are flushed before each cut. */
  readonly flushedBefore: readonly number[];
  /** Keeps the store over the cuts; without it only what was flushed is left, as after a cut of the whole machine. */
  readonly keepStore: boolean;
  /** The bound on each boot of the guest. */
  readonly bootSeconds: number;
}

export interface PowerCutResult {
  /** Files that were flushed before some cut, and found intact after all of them. */
  readonly files: number;
  /** Times that the file system was checked, and was clean. */
  readonly checks: number;
}

export const POWER_CUT_PROGRAMS: readonly Program[] = [...GUEST_PROGRAMS, 'mkfs.ext4', 'e2fsck'];

/** @throws Error that names the first file that is not what it was, or with the guest's console */
export async function cutPower({
  flushedBefore,
  keepStore,
  bootSeconds,
}: PowerCuts): Promise<PowerCutResult> {
  using name = new StoreName('guest');
  using folder = new TemporaryFolder();
  const path = folder.file('socket');
  const file = folder.file('disk');
  writeFileSync(file, '');
  truncateSync(file, DISK_BYTES);
  /** Checksum of each flushed file, by its name. */
  const flushed = new Map<string, string>();
  let checks = 0;
  for (const [boot, files] of [...flushedBefore, 0].entries()) {
    // So little memory that much of the disk lives in its file only.
    const server = await TmemServer.start(`unix:${path}`, [
      ...['--memory', '32 MiB', '--export', `disk=disk:${file},memoryMax=8MiB`],
      ...(keepStore ? ['--name', name.name] : []),
    ]);
    let guest: Guest | undefined;
    try {
      guest = startGuest(path, { boot, writes: files > 0, bootSeconds });
      const found = await watch(guest.reports(), flushed, files);
      if (found.clean) checks++;
      if (boot > 0) compare(flushed, found.files, found.flushedNow);
    } finally {
      // At once; the server first, so that nothing of the guest's end reaches it.
      await Promise.all([server.kill(), guest?.kill()]);
    }
  }
  return { files: flushed.size, checks };
}

interface Boot {
  readonly boot: number;
  readonly writes: boolean;
  readonly bootSeconds: number;
}

function startGuest(socket: string, { boot, writes, bootSeconds }: Boot): Guest {
  return Guest.start({
    workload: 'filesystem',
    settings: { device: VIRTIO_NAME, format: boot === 0 ? 1 : 0, ...(writes ? { write: boot } : {}) },
    memoryMib: 192,
    modules: ['disk'],
    extras: ['mkfs.ext4', 'e2fsck'],
    devices: nbdDisk(socket, 'disk'),
    seconds: bootSeconds,
  });
}

interface Seen {
  clean: boolean;
  /** Checksums the guest found after its boot. */
  readonly files: Map<string, string>;
  /** Names of what it flushed since. */
  readonly flushedNow: Set<string>;
}

/** Listens until so many more files are flushed; with none to wait for, until the guest's end. */
async function watch(
  reports: AsyncIterable<Report>,
  flushed: Map<string, string>,
  files: number,
): Promise<Seen> {
  const seen: Seen = { clean: false, files: new Map(), flushedNow: new Set() };
  for await (const { key, value } of reports) {
    const [name = '', checksum = ''] = value.split(' ');
    if (key === 'fsck') seen.clean = value === 'clean';
    if (key === 'found') seen.files.set(name, checksum);
    if (key !== 'flushed') continue;
    flushed.set(name, checksum);
    seen.flushedNow.add(name);
    if (seen.flushedNow.size === files) break;
  }
  return seen;
}

function compare(
  flushed: ReadonlyMap<string, string>,
  found: ReadonlyMap<string, string>,
  flushedSince: ReadonlySet<string>,
): void {
  for (const [name, checksum] of flushed) {
    if (flushedSince.has(name)) continue;
    const now = found.get(name);
    if (now !== checksum) throw new Error(`${name} was flushed as ${checksum}, and is ${now ?? 'gone'}`);
  }
}
