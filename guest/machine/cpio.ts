// The archive a kernel unpacks as its first file system: cpio's "newc" format, as the kernel's documentation has it in
// driver-api/early-userspace/buffer-format.rst. Each member is a header of 110 characters, its name and its content,
// each padded to 4 bytes.

import { posix } from 'node:path';

export type Member =
  | { readonly path: string; readonly content: Buffer; readonly mode?: number; readonly modifiedAtS?: number }
  | { readonly path: string; readonly target: string };

const DIRECTORY = 0o040755;
const REGULAR = 0o100000;
const SYMLINK = 0o120777;
const FILE_MODE = 0o755;
const TRAILER = 'TRAILER!!!';

/** Members in their order, each after the directories it lies in. */
export function cpioArchive(members: readonly Member[]): Buffer {
  const parts: Buffer[] = [];
  const made = new Set(['.', '/']);
  let inode = 0;
  const add = (name: string, mode: number, content: Buffer, modifiedAtS = 0): void => {
    const fields = [
      ...[++inode, mode, 0, 0, 1, modifiedAtS, content.length],
      ...[0, 0, 0, 0, Buffer.byteLength(name) + 1, 0],
    ];
    const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${name}\0`;
    parts.push(padded(Buffer.from(header)), padded(content));
  };
  const addFolder = (path: string): void => {
    if (made.has(path)) return;
    addFolder(posix.dirname(path));
    made.add(path);
    add(path, DIRECTORY, Buffer.alloc(0));
  };
  for (const member of members) {
    const name = member.path.replace(/^\/+/, '');
    addFolder(posix.dirname(name));
    if ('target' in member) add(name, SYMLINK, Buffer.from(member.target));
    else add(name, REGULAR | (member.mode ?? FILE_MODE), member.content, member.modifiedAtS);
  }
  add(TRAILER, 0, Buffer.alloc(0));
  return Buffer.concat(parts);
}

function padded(bytes: Buffer): Buffer {
  const rest = bytes.length % 4;
  return rest === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(4 - rest)]);
}
