// What the guest has instead of a disk: busybox, the scripts of root/, the programs of native/, modules, and programs
// of this machine with the libraries they load.

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { cpioArchive, type Member } from './cpio.ts';
import type { Kernel } from './kernel.ts';
import { pathOf } from './needs.ts';
import { TemporaryFolder } from './temporary-folder.ts';

const SCRIPTS = join(import.meta.dirname, '../root');
const NATIVE = join(import.meta.dirname, '../native');

/** Prints the files of all modules that root/heaps.py loads, those of the start included, and their compiled ones. */
const LIST_PYTHON = `
import hashlib, importlib.util, os, sqlite3, sys, time
for module in list(sys.modules.values()):
    path = getattr(module, '__file__', None)
    if path is not None:
        print(path)
        if path.endswith('.py'):
            print(importlib.util.cache_from_source(path))
`;

/** Programs of this machine in a guest, beside busybox. */
export type Extra = 'e2fsck' | 'mkfs.ext4' | 'nbd-client' | 'python3';

/** @throws Error that names what is missing on this machine */
export function initramfs(kernel: Kernel, modules: readonly string[], extras: readonly Extra[]): Buffer {
  const members: Member[] = [
    { path: 'bin/busybox', content: readFileSync(pathOf('busybox')) },
    ...readdirSync(SCRIPTS).map((name) => ({ path: name, content: readFileSync(join(SCRIPTS, name)) })),
    ...modules.map((name) => ({ path: `modules/${name}.ko`, content: readFileSync(kernel.module(name)) })),
    ...nativePrograms(),
  ];
  const files = new Set(extras.flatMap(filesOf));
  for (const path of files) {
    members.push({
      path,
      content: readFileSync(path),
      modifiedAtS: Math.floor(statSync(path).mtimeMs / 1000),
    });
  }
  for (const program of extras) {
    const path = realpathSync(pathOf(program));
    members.push({ path: `usr/bin/${program}`, target: path });
  }
  return cpioArchive(members);
}

/** Each file of native/, compiled so that it needs nothing in the guest. */
function nativePrograms(): Member[] {
  using folder = new TemporaryFolder();
  return readdirSync(NATIVE).map((source) => {
    const name = basename(source, '.c');
    const program = folder.file(name);
    execFileSync(pathOf('gcc'), ['-O2', '-Wall', '-static', '-o', program, join(NATIVE, source)]);
    return { path: `usr/bin/${name}`, content: readFileSync(program) };
  });
}

/** The program's file and everything it loads, by their paths here. */
function filesOf(extra: Extra): string[] {
  const program = realpathSync(pathOf(extra));
  if (extra !== 'python3') return [program, ...librariesOf(program)];
  const listed = run(program, ['-I', '-S', '-X', 'frozen_modules=off', '-c', LIST_PYTHON]).split('\n');
  const modules = listed.filter(isFile);
  const binaries = [program, ...modules.filter((path) => path.endsWith('.so'))];
  return [...binaries.flatMap((path) => [path, ...librariesOf(path)]), ...modules];
}

/** Shared libraries of a program, as the loader of this machine finds them. */
function librariesOf(program: string): string[] {
  return [...run('ldd', [program]).matchAll(/(\/\S+) \(0x/g)].map(([, path]) => path!);
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

function run(program: string, args: readonly string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}
