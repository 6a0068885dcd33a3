// The benchmarks: `node bench/run.ts <name> [--pages FILE] [--only PARTS] [--json]` runs bench/<name>.ts.
// With --json the last line of output is one JSON object of figures.

import { readdirSync } from 'node:fs';
import { parseArgs } from 'node:util';

export interface BenchOptions {
  /** A file of 4096-byte pages instead of the default ones. */
  pages?: string;
  /** Names of the measurements to do, with commas between them; all without it. */
  only?: string;
  /** Prints a line of the report. */
  say: (line: string) => void;
}

export type Figures = Record<string, number>;

/** Every other file of this folder is a benchmark. */
const NAMES = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts') && file !== 'run.ts')
  .map((file) => file.slice(0, -'.ts'.length));

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      pages: { type: 'string' },
      only: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  const name = positionals[0];
  if (name === undefined || positionals.length > 1 || !NAMES.includes(name)) {
    throw new Error(`name one benchmark of: ${NAMES.join(', ')}`);
  }
  const benchmark = (await import(`./${name}.ts`)) as { run(options: BenchOptions): Promise<Figures> };
  const figures = await benchmark.run({ pages: values.pages, only: values.only, say: console.log });
  if (values.json) console.log(JSON.stringify(figures));
}

try {
  await main();
} catch (error) {
  console.error(`bench: ${(error as Error).message}`);
  process.exitCode = 1;
}
