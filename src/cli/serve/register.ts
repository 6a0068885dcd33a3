/**
 * `tmem serve` on the command line.
 */

import { fstatSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { isList, TEXT_SETTINGS, type TextSetting, variableOf } from '../../serve/index.ts';
import { run } from '../command-line.ts';
import { serve } from './command.ts';
import { Log } from './log.ts';

interface Options {
  readonly config?: string;
  readonly check: boolean;
  /** The texts of TEXT_SETTINGS, as commander names them. */
  readonly [attribute: string]: unknown;
}

export function registerServe(program: Command): void {
  const command = program
    .command('serve')
    .description('serve block devices over NBD from a store')
    .option('--config <file>', 'JSON file of settings, read again at SIGHUP (or TMEM_SERVE_CONFIG)')
    .option('--check', 'check the settings and end', false);
  const options = TEXT_SETTINGS.map((setting) => ({ setting, option: optionOf(setting) }));
  for (const { option } of options) command.addOption(option);
  command
    .addHelpText(
      'after',
      `\nEach option may be given in the environment, too: --http as ${variableOf(HTTP)}.`,
    )
    .action((given: Options, self: Command) => {
      const { config, check } = given;
      const flags = Object.fromEntries(
        options.map(({ setting, option }) => [setting.name, given[option.attributeName()] as string]),
      );
      return run(self, (signal) => {
        // A log that nobody reads any more is no reason to end.
        process.stderr.on('error', () => {});
        return serve({ config, check, flags }, world(), signal);
      });
    });
}

const HTTP = TEXT_SETTINGS.find(({ name }) => name === 'http') as TextSetting;

function optionOf(setting: TextSetting): Option {
  const { name, value, description } = setting;
  const option = new Option(`--${name} <${value}>`, description);
  if (!isList(setting)) return option;
  return option.argParser((text, before: readonly string[] | undefined) => [...(before ?? []), text]);
}

function world() {
  const { env: environment, pid } = process;
  return {
    log: new Log({
      write: (text) => process.stderr.write(text),
      wallMs: () => Date.now(),
      isJournal: isJournal(environment.JOURNAL_STREAM),
    }),
    print: (text: string) => process.stdout.write(text),
    environment,
    pid,
    exit: (status: number) => process.exit(status),
    onHangUp: (hungUp: () => void) => {
      process.on('SIGHUP', hungUp);
      return () => process.off('SIGHUP', hungUp);
    },
  };
}

/** Whether the journal reads the standard error output. The variable alone may come from whoever started a terminal. */
function isJournal(stream: string | undefined): boolean {
  if (stream === undefined) return false;
  const { dev, ino } = fstatSync(process.stderr.fd);
  return stream === `${dev}:${ino}`;
}
