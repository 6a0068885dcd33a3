/**
 * `tmem save` on the command line.
 */

import type { Command } from 'commander';
import { formatByteSize } from '../../zcache/byte-size.ts';
import { open, type SaveResult, saveStore } from '../../zcache/index.ts';
import { directoryOption } from '../arguments.ts';
import { EXIT_INTERRUPTED, run } from '../command-line.ts';
import { write } from '../output.ts';
import { count } from '../text/figures.ts';

interface Options {
  readonly directory: string;
  readonly ephemeral: boolean;
  readonly json: boolean;
}

export function registerSave(program: Command): void {
  program
    .command('save')
    .description('save a store to a file, for tmem restore; other threads and processes go on meanwhile')
    .argument('<name>', 'name of the store')
    .argument('<file>', 'where to; it appears, or replaces an older one, when it is complete')
    .option('--ephemeral', 'save the pages of ephemeral pools, too', false)
    .addOption(directoryOption())
    .option('--json', 'print one JSON object', false)
    .action((name: string, path: string, options: Options, command: Command) =>
      run(command, (signal) => save(name, path, options, signal)),
    );
}

async function save(
  name: string,
  path: string,
  { directory, ephemeral, json }: Options,
  signal: AbortSignal,
): Promise<number> {
  using store = open({ name, directory });
  try {
    const result = await saveStore(store, path, { ephemeral, signal });
    await write(
      process.stdout,
      json ? `${JSON.stringify({ name, path, ...result })}\n` : text(name, path, result),
    );
    return 0;
  } catch (error) {
    if (signal.aborted) return EXIT_INTERRUPTED;
    throw error;
  }
}

function text(
  name: string,
  path: string,
  { pages, pageBytes, clients, pools, fileBytes }: SaveResult,
): string {
  return (
    `saved ${name}: ${count(pages)} pages (${formatByteSize(pageBytes)}) in ${count(pools)} pools of ` +
    `${count(clients)} clients, ${path} has ${formatByteSize(fileBytes)}\n`
  );
}
