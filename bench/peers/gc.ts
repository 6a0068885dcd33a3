// What 2 GB of pages in a process do to its event loop: p99 delay while 1 % of them a second is replaced, beside a
// process that holds nothing. Each holder runs in a process of its own (holder.ts), one after the other, in rounds.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { BenchOptions, Figures } from '../run.ts';
import { median, rounded } from '../support/measure.ts';
import type { Delays, HolderName } from './holder.ts';

const ROUNDS = 3;
const HOLDERS: readonly HolderName[] = ['empty', 'tmem', 'map', 'lru'];
const HOLDER_FILE = fileURLToPath(new URL('holder.ts', import.meta.url));

export async function measureGc({ pages, say }: BenchOptions): Promise<Figures> {
  const delays = new Map<HolderName, Delays[]>(HOLDERS.map((name) => [name, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of HOLDERS) delays.get(name)!.push(await holderDelays(name, pages));
  }
  const of = (name: HolderName, field: keyof Delays) =>
    median(delays.get(name)!.map((delay) => delay[field]));
  for (const name of HOLDERS) {
    say(
      `event loop, ${name}: p50 ${of(name, 'p50Ms').toFixed(2)} ms, p99 ${of(name, 'p99Ms').toFixed(2)}, longest ` +
        `${of(name, 'maxMs').toFixed(1)}; while filling: longest ${of(name, 'fillMaxMs').toFixed(0)}; ` +
        `resident ${of(name, 'residentMiB').toFixed(0)} MiB`,
    );
  }
  const ratio = (name: HolderName) => rounded(of(name, 'p99Ms') / of('empty', 'p99Ms'), 2);
  return { gc_p99_vs_empty: ratio('tmem'), gc_p99_map: ratio('map'), gc_p99_lru: ratio('lru') };
}

async function holderDelays(name: HolderName, pages?: string): Promise<Delays> {
  const args = ['--no-warnings', HOLDER_FILE, name, ...(pages === undefined ? [] : [pages])];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  let output = '';
  for await (const chunk of child.stdout) output += chunk;
  const [code] = await closed;
  if (code !== 0) throw new Error(`the process that holds pages in '${name}' ended with ${code}`);
  return JSON.parse(output) as Delays;
}
