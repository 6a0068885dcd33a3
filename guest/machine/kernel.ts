// A Debian kernel for the guest: the one of the cloud, which has ext4, tmpfs, swap and the serial line built in.
//
// It is taken from where it was unpacked before, from an installed package, or from a package that is downloaded and
// unpacked without being installed, into build/guest/<version>/: vmlinuz and modules/*.ko.

import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { pathOf } from './needs.ts';

const CACHE = join(import.meta.dirname, '../../build/guest');
const META_PACKAGE = 'linux-image-cloud-amd64';
const FLAVOUR = 'cloud-amd64';

/** Drivers of a guest's devices, each after those it needs. */
export const MODULES = {
  disk: [
    ...[
      'virtio_ring',
      'virtio',
      'virtio_pci_modern_dev',
      'virtio_pci_legacy_dev',
      'virtio_pci',
      'virtio_mmio',
    ],
    'virtio_blk',
  ],
  zram: ['zsmalloc', 'lzo-rle', 'lz4_compress', 'lz4', 'zstd_compress', 'zstd', 'zram'],
  network: ['failover', 'net_failover', 'virtio_net', 'nbd'],
} as const;

const ALL_MODULES: readonly string[] = Object.values(MODULES).flat();

export interface Kernel {
  readonly image: string;
  /** Path of a module's file. */
  module(name: string): string;
}

/** @throws Error that says how to get one */
export function findKernel(): Kernel {
  const folder = cached() ?? keep(installed() ?? download());
  return { image: join(folder, 'vmlinuz'), module: (name) => join(folder, 'modules', `${name}.ko`) };
}

function newest(paths: readonly string[]): string | undefined {
  const collator = new Intl.Collator('en', { numeric: true });
  return [...paths].sort(collator.compare).at(-1);
}

function cached(): string | undefined {
  return newest(globSync(`${CACHE}/*-${FLAVOUR}`));
}

/** A root with boot/ and lib/modules/, and what is to be removed when it was copied from. */
interface Unpacked {
  readonly root: string;
  readonly temporary: string | undefined;
}

function installed(): Unpacked | undefined {
  const image = newest(globSync(`/boot/vmlinuz-*-${FLAVOUR}`));
  if (image === undefined || !existsSync(`/lib/modules/${versionOf(image)}`)) return undefined;
  return { root: '/', temporary: undefined };
}

function download(): Unpacked {
  mkdirSync(CACHE, { recursive: true });
  const temporary = mkdtempSync(join(CACHE, 'download-'));
  try {
    try {
      fetchPackage(temporary);
    } catch (error) {
      // apt's lists may be missing, or of another time; only root may fetch them.
      if (process.getuid?.() !== 0) throw error;
      execFileSync(pathOf('apt-get'), ['update', '-q'], { stdio: 'pipe' });
      fetchPackage(temporary);
    }
    const [archive] = globSync(join(temporary, '*.deb'));
    const root = join(temporary, 'root');
    execFileSync(pathOf('dpkg-deb'), ['-x', archive!, root]);
    return { root, temporary };
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw new Error(`no kernel for the guest: ${(error as Error).message}; apt-get update may help`);
  }
}

/** Downloads the package that the metapackage stands for now. */
function fetchPackage(folder: string): void {
  const text = execFileSync('apt-cache', ['depends', META_PACKAGE], { encoding: 'utf8', stdio: 'pipe' });
  const name = /Depends: (linux-image-\S+)/.exec(text)?.[1];
  if (name === undefined) throw new Error(`apt knows no ${META_PACKAGE}`);
  execFileSync(pathOf('apt-get'), ['download', '-q', name], { cwd: folder, stdio: 'pipe' });
}

const versionOf = (image: string): string => basename(image).slice('vmlinuz-'.length);

/** Copies what a guest needs to the cache, at once: others may be doing the same. */
function keep({ root, temporary }: Unpacked): string {
  mkdirSync(CACHE, { recursive: true });
  const partial = mkdtempSync(join(CACHE, 'partial-'));
  try {
    const image = newest(globSync(join(root, `boot/vmlinuz-*-${FLAVOUR}`)))!;
    const version = versionOf(image);
    copyFileSync(image, join(partial, 'vmlinuz'));
    mkdirSync(join(partial, 'modules'));
    const found = globSync(join(root, 'lib/modules', version, 'kernel/**/*.ko'));
    for (const name of ALL_MODULES) {
      const path = found.find((candidate) => basename(candidate) === `${name}.ko`);
      if (path === undefined) throw new Error(`kernel ${version} has no module ${name}`);
      cpSync(path, join(partial, 'modules', `${name}.ko`));
    }
    const folder = join(CACHE, version);
    try {
      renameSync(partial, folder);
    } catch (error) {
      if (!existsSync(folder)) throw error;
    }
    return folder;
  } finally {
    for (const path of [partial, temporary]) if (path) rmSync(path, { recursive: true, force: true });
  }
}
