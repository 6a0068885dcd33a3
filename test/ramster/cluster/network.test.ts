// The networks of these tests leave nothing behind.

import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { NAMESPACES, Network, needNetwork, PREFIX } from './network.ts';

function add(name: string): string {
  execFileSync('ip', ['netns', 'add', name]);
  onTestFinished(() => void spawnSync('ip', ['netns', 'delete', name]));
  return name;
}

test('whoever makes a network removes those of processes that were killed, and no others', (context) => {
  needNetwork(context);
  const { pid } = spawnSync('true');
  const id = randomBytes(4).toString('hex');
  const left = add(`${PREFIX}-${pid}-${id}-a`);
  const living = add(`${PREFIX}-${process.ppid}-${id}-a`);
  const strange = add(`tmem-${pid}-${id}`);
  const network = new Network(['a']);
  const there = readdirSync(NAMESPACES);
  expect(there).not.toContain(left);
  expect(there).toEqual(expect.arrayContaining([living, strange]));
  expect(there.filter((name) => name.startsWith(`${PREFIX}-${process.pid}-`)).length).toBe(2);
  network.remove();
  expect(readdirSync(NAMESPACES).filter((name) => name.startsWith(`${PREFIX}-${process.pid}-`))).toEqual([]);
});
