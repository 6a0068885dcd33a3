/**
 * `tmem restore` on the command line.
 */

import { type Command, Option } from 'commander';
import { formatByteSize } from '../../zcache/byte-size.ts';
import { type RestoreResult, restoreStore } from '../../zcache/index.ts';
import { ARENA_BYTES_MIN } from '../../zcache/settings.ts';
import { byteSize, directoryOption, number } from '../arguments.ts';
import { EXIT_INTERRUPTED, run } from '../command-line.ts';
import { write } from '../output.ts';
import { count } from '../text/figures.ts';

interface Options {
  readonly directory: string;
  readonly memory?: number;
  readonly threads?: number;
  readonly json: boolean;
}

export function registerRestore(program: Command): void {
  program
    .command('restore')
    .description('make a store of a file that tmem save wrote; it appears when it is complete')
    .argument('<file>', 'the file')
    .argument('[name]', 'name of the new store (default: the name it was saved under)')
    .addOption(
      new Option('--memory <size>', 'memory of the store (default: as it had)').argParser(
        byteSize(ARENA_BYTES_MIN, '8 MiB'),
      ),
    )
    .addOption(
      new Option('--threads <n>', 'most threads at one time (default: as it had)').argParser(
        number(1, 128, true),
      ),
    )
    .addOption(directoryOption())
    .option('--json', 'print one JSON object', false)
    .action((path: string, name: string | undefined, options: Options, command: Command) =>
      run(command, (signal) => restore(path, name, options, signal)),
    );
}

async function restore(
  path: string,
  name: string | undefined,
  { json, ...options }: Options,
  signal: AbortSignal,
): Promise<number> {
  try {
    const result = await restoreStore(path, { name, ...options, signal });
    await write(process.stdout, json ? `${JSON.stringify({ path, ...result })}\n` : text(result));
    return 0;
  } catch (error) {
    if (signal.aborted) return EXIT_INTERRUPTED;
    throw error;
  }
}

function text({ name, memoryBytes, pages, pools, clients, dropped }: RestoreResult): string {
  const lost = dropped === 0 ? '' : `; ${count(dropped)} ephemeral pages found no room`;
  return (
    `restored ${name} (${formatByteSize(memoryBytes)}): ${count(pages)} pages in ${count(pools)} pools of ` +
    `${count(clients)} clients${lost}\n`
  );
}
