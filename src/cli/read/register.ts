/**
 * `tmem read` on the command line.
 */

import { type Command, Option } from 'commander';
import { byteSize, number } from '../arguments.ts';
import { CommandError, EXIT_FAILED, EXIT_INTERRUPTED, run } from '../command-line.ts';
import { read } from './command.ts';
import { defaultPaths, MEMORY_MIN_BYTES, type ReadOptions } from './options.ts';
import { PlanError } from './plan.ts';
import { Progress } from './progress.ts';
import { complaints, summaryJson, summaryText } from './summary.ts';

export function registerRead(program: Command): void {
  program
    .command('read')
    .description(
      'read real files through the store, verify every byte, and compare with a plain LRU of Buffers',
    )
    .argument('[paths...]', 'files and directories (default: the nearest node_modules and the node program)')
    .option(
      '--memory <size>',
      'memory for either contender (default: a sixth of the data)',
      byteSize(MEMORY_MIN_BYTES, '16 MiB'),
    )
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
    .action((paths: string[], options: ReadOptions, command: Command) =>
      run(command, (signal) => job(paths, options, signal)),
    );
}

/** Runs the job and returns the exit status. */
async function job(paths: string[], options: ReadOptions, signal: AbortSignal): Promise<number> {
  const progress = new Progress(process.stderr, process.env, () => performance.now());
  try {
    const chosen = paths.length > 0 ? paths : defaultPaths(process.cwd(), process.execPath);
    const result = await read(chosen, options, progress, signal);
    process.stdout.write(options.json ? `${JSON.stringify(summaryJson(result))}\n` : summaryText(result));
    return complaints(result).length === 0 ? 0 : EXIT_FAILED;
  } catch (error) {
    progress.clear();
    if (signal.aborted) return EXIT_INTERRUPTED;
    throw error instanceof PlanError ? new CommandError(error.message) : error;
  }
}
