/**
 * `tmem stat` on the command line.
 */

import { type Command, Option } from 'commander';
import { directoryOption, number } from '../arguments.ts';
import { run } from '../command-line.ts';
import { write } from '../output.ts';
import type { Stores } from '../stores.ts';
import { type StatOptions, stat } from './command.ts';

/** As other tools of this kind do; the eye needs a moment for a table. */
const WATCH_DEFAULT_S = 2;
const WATCH_MIN_S = 0.1;
const WATCH_MAX_S = 3600;

interface Options extends Omit<StatOptions, 'watch'> {
  /** True: given without a number. */
  readonly watch: number | true | undefined;
}

export function registerStat(program: Command, stores: Stores): void {
  const seconds = number(WATCH_MIN_S, WATCH_MAX_S, false, ' seconds; the name of the store comes first');
  program
    .command('stat')
    .description('show what a store holds and what happens in it')
    .argument('[name]', 'name of the store (default: the only one there is)')
    .addOption(directoryOption())
    .addOption(
      new Option('--watch [seconds]', `look again every so many seconds (${WATCH_DEFAULT_S}), show rates`)
        .argParser(seconds)
        .conflicts('prometheus'),
    )
    .addOption(new Option('--json', 'print an object, with --watch one a line').default(false))
    .addOption(new Option('--prometheus', 'print Prometheus text').default(false).conflicts('json'))
    .action((name: string | undefined, { watch, ...options }: Options, command: Command) =>
      run(command, (signal) =>
        stat(
          name,
          { ...options, watch: watch === true ? WATCH_DEFAULT_S : watch },
          {
            stores,
            out: process.stdout,
            env: process.env,
            write: (text) => write(process.stdout, text, signal),
            clock: { wallMs: () => Date.now(), steadyMs: () => performance.now() },
          },
          signal,
        ),
      ),
    );
}
