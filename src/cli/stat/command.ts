/**
 * `tmem stat`: looks at a store once, or again and again, and shows what it saw.
 *
 * It attaches as one more thread of the store and leaves it at the end, however the end comes.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { prometheusText } from '../../zcache/index.ts';
import { CommandError } from '../command-line.ts';
import { listView } from '../ls/view.ts';
import { linesText } from '../output.ts';
import { Screen } from '../screen.ts';
import { chosenStore, type Stores } from '../stores.ts';
import { type Environment, isLive, type Output, usableColumns, usableRows, usesColor } from '../terminal.ts';
import { render } from '../text/line.ts';
import { printable } from '../text/width.ts';
import { sampleJson } from './json.ts';
import type { Sample } from './sample.ts';
import { type Frame, statView } from './view.ts';

export interface StatOptions {
  readonly directory: string;
  readonly json: boolean;
  readonly prometheus: boolean;
  /** Undefined: one look. */
  readonly watch: number | undefined;
}

/** What the command is given by the process it runs in. */
export interface StatWorld {
  readonly stores: Stores;
  readonly out: Output;
  readonly env: Environment;
  /** Writes, and waits until that is done: no more than one picture is ever under way. */
  readonly write: (text: string) => Promise<void>;
  readonly clock: { readonly wallMs: () => number; readonly steadyMs: () => number };
}

type Show = (now: Sample, before: Sample | undefined) => string;

/**
 * @returns the exit status
 * @throws CommandError if it is not clear which store is meant, or the store goes away; TmemError of the store
 */
export async function stat(
  name: string | undefined,
  options: StatOptions,
  world: StatWorld,
  signal: AbortSignal,
): Promise<number> {
  const { stores, write, clock } = world;
  const { directory } = options;
  const file = await chosen(name, options, world);
  const store = stores.attach(file.name, directory);
  try {
    const take = (): Sample => {
      const now = stores.list(directory).find(({ path }) => path === file.path);
      if (now === undefined || now.createdMs !== file.createdMs) {
        throw new CommandError(`store '${printable(file.name)}' was removed`);
      }
      return { file: now, statistics: store.stats(), takenMs: clock.steadyMs(), atMs: clock.wallMs() };
    };
    const show = shower(options, world);
    let before: Sample | undefined;
    for (;;) {
      const now = take();
      await write(show(now, before));
      if (options.watch === undefined || signal.aborted) return 0;
      await sleep(options.watch * 1000, undefined, { signal });
      before = now;
    }
  } finally {
    store.close();
  }
}

/** The store that is meant. Where a person has to choose, there is a list to choose from. */
async function chosen(
  name: string | undefined,
  options: StatOptions,
  { stores, out, env, write, clock }: StatWorld,
) {
  const files = stores.list(options.directory);
  const forPeople = !options.json && !options.prometheus;
  if (name === undefined && forPeople && files.filter(({ state }) => state === 'ready').length > 1) {
    await write(
      linesText(out, env, (columns) => listView(files, options.directory, clock.wallMs(), columns)),
    );
  }
  return chosenStore(files, name, options.directory);
}

/** What turns a sample into text. */
function shower({ json, prometheus, watch }: StatOptions, { out, env }: StatWorld): Show {
  if (prometheus) return ({ statistics }) => prometheusText(statistics);
  if (json) return (now) => `${JSON.stringify(sampleJson(now))}\n`;
  const watched = watch !== undefined;
  const draw = (now: Sample, before: Sample | undefined, rows: number): string[] => {
    const frame: Frame = { columns: usableColumns(out), rows, watched };
    const color = usesColor(out, env);
    return statView(now, before, frame).map((line) => render(line, frame.columns, color));
  };
  if (watched && isLive(out, env)) {
    const screen = new Screen(out);
    return (now, before) => screen.draw(draw(now, before, usableRows(out)));
  }
  // Elsewhere pictures follow each other, a blank line between.
  return (now, before) =>
    `${before === undefined ? '' : '\n'}${draw(now, before, Number.POSITIVE_INFINITY).join('\n')}\n`;
}
