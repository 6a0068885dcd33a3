/**
 * `tmem ls` on the command line.
 */

import type { Command } from 'commander';
import { directoryOption } from '../arguments.ts';
import { run } from '../command-line.ts';
import { linesText, write } from '../output.ts';
import type { Stores } from '../stores.ts';
import { listView } from './view.ts';

interface Options {
  readonly directory: string;
  readonly json: boolean;
}

export function registerLs(program: Command, stores: Stores): void {
  program
    .command('ls')
    .description('list the named stores of a directory')
    .addOption(directoryOption())
    .option('--json', 'print one JSON object', false)
    .action(({ directory, json }: Options, command: Command) =>
      run(command, async (signal) => {
        const files = stores.list(directory);
        const text = json
          ? `${JSON.stringify({ directory, stores: files })}\n`
          : linesText(process.stdout, process.env, (columns) =>
              listView(files, directory, Date.now(), columns),
            );
        await write(process.stdout, text, signal);
        return 0;
      }),
    );
}
