/**
 * `tmem rm` on the command line.
 */

import type { Command } from 'commander';
import { directoryOption } from './arguments.ts';
import { run } from './command-line.ts';
import { write } from './output.ts';
import type { Stores } from './stores.ts';

interface Options {
  readonly directory: string;
  readonly force: boolean;
}

export function registerRm(program: Command, stores: Stores): void {
  program
    .command('rm')
    .description('remove a store and all its pages')
    .argument('<name>', 'name of the store')
    .addOption(directoryOption())
    .option('--force', 'also while threads are attached: they keep a store that nobody else can find', false)
    .action((name: string, { directory, force }: Options, command: Command) =>
      run(command, async (signal) => {
        stores.remove(name, directory, force);
        await write(process.stdout, `removed ${name}\n`, signal);
        return 0;
      }),
    );
}
