#!/usr/bin/env node
/**
 * The `tmem` command.
 */

import { readFileSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import { TmemError } from '../errors.ts';
import { parseByteSize } from '../zcache/byte-size.ts';
import { read } from './read/command.ts';
import { defaultPaths, MEMORY_MIN_BYTES, type ReadOptions } from './read/options.ts';
import { PlanError } from './read/plan.ts';
import { Progress } from './read/progress.ts';
import { complaints, summaryJson, summaryText } from './read/summary.ts';

/** What a shell reports for a command ended by Ctrl-C: 128 and the number of SIGINT. */
const EXIT_INTERRUPTED = 130;
const EXIT_FAILED = 1;

function number(min: number, max: number, whole: boolean) {
  return (text: string): number => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (value >= min && value <= max && (!whole || Number.isInteger(value))) return value;
    throw new InvalidArgumentError(`It must be a ${whole ? 'whole ' : ''}number from ${min} to ${max}.`);
  };
}

function memory(text: string): number {
  const bytes = parseByteSize(text);
  if (bytes !== undefined && bytes >= MEMORY_MIN_BYTES) return bytes;
  throw new InvalidArgumentError("It must be a size of at least 16 MiB, such as '256 MiB' or 1G.");
}

function version(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return JSON.parse(manifest).version;
}

/** Runs the job and returns the exit status. */
async function readCommand(paths: string[], options: ReadOptions): Promise<number> {
  const progress = new Progress(process.stderr, process.env, () => performance.now());
  const interrupt = new AbortController();
  const onInterrupt = () => interrupt.abort();
  process.once('SIGINT', onInterrupt);
  try {
    const chosen = paths.length > 0 ? paths : defaultPaths(process.cwd(), process.execPath);
    const result = await read(chosen, options, progress, interrupt.signal);
    process.stdout.write(options.json ? `${JSON.stringify(summaryJson(result))}\n` : summaryText(result));
    return complaints(result).length === 0 ? 0 : EXIT_FAILED;
  } catch (error) {
    progress.clear();
    if (interrupt.signal.aborted) return EXIT_INTERRUPTED;
    if (!(error instanceof PlanError || TmemError.is(error))) throw error;
    process.stderr.write(`tmem read: ${error.message}\n`);
    return EXIT_FAILED;
  } finally {
    process.off('SIGINT', onInterrupt);
  }
}

const program = new Command('tmem')
  .description('A compressed page store shared by threads, outside the JavaScript heap')
  .version(version());

program
  .command('read')
  .description(
    'read real files through the store, verify every byte, and compare with a plain LRU of Buffers',
  )
  .argument('[paths...]', 'files and directories (default: the nearest node_modules and the node program)')
  .option('--memory <size>', 'memory for either contender (default: a sixth of the data)', memory)
  .option('--hot <share>', 'share of the memory for uncompressed pages', number(0, 0.9, false), 0.25)
  .option('--threads <n>', 'worker threads', number(1, 64, true), 2)
  .option('--seconds <n>', 'how long to read through the store', number(0.1, 86_400, false), 15)
  .option('--operations <n>', 'reads of each thread, instead of --seconds', number(1, 1e9, true))
  .option(
    '--skew <n>',
    'exponent of the Zipf distribution; 0 reads everything alike',
    number(0, 3, false),
    0.9,
  )
  .option('--seed <n>', 'seed of the random order', number(0, 2 ** 32 - 1, true), 1)
  .addOption(new Option('--codec <name>', 'codec').choices(['lz4', 'lzo']).default('lz4'))
  .option('--json', 'print one JSON object instead of the summary', false)
  .action(async (paths: string[], options: ReadOptions) => {
    process.exitCode = await readCommand(paths, options);
  });

await program.parseAsync();
