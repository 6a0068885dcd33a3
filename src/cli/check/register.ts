/**
 * `tmem check` on the command line. A store that is not sound is no failure of the command: it has an exit status of
 * its own.
 */

import type { Command } from 'commander';
import { directoryOption } from '../arguments.ts';
import { run } from '../command-line.ts';
import { linesText, write } from '../output.ts';
import type { Stores } from '../stores.ts';
import { checkView } from './view.ts';

/** 1 says that nothing was checked. */
const EXIT_UNSOUND = 2;

export function registerCheck(program: Command, stores: Stores): void {
  program
    .command('check')
    .description(
      'verify everything a store relies on, without changing it; exit status 2 if something is wrong',
    )
    .argument('<name>', 'name of the store')
    .addOption(directoryOption())
    .action((name: string, { directory }: { directory: string }, command: Command) =>
      run(command, async (signal) => {
        const report = stores.check(name, directory);
        await write(
          process.stdout,
          linesText(process.stdout, process.env, () => checkView(name, report)),
          signal,
        );
        return report.sound ? 0 : EXIT_UNSOUND;
      }),
    );
}
