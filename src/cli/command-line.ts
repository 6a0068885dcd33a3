/**
 * How a command begins and ends, alike for all of them.
 *
 * A failure is one line on the standard error output, `tmem <command>: message`, and exit status 1. Ctrl-C, SIGTERM,
 * and a reader of our output that goes away (EPIPE, as with `| head`) end a command in order: its signal is aborted,
 * it detaches from its store, and that is no failure. A second signal ends it at once.
 */

import type { Command } from 'commander';
import { TmemError } from '../errors.ts';

export const EXIT_FAILED = 1;
/** What a shell reports for a command ended by Ctrl-C: 128 and the number of SIGINT. */
export const EXIT_INTERRUPTED = 130;

const END_SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** A failure that is told to people in one line, without a stack. */
export class CommandError extends Error {}

/**
 * Runs the action of `command` and sets the exit status to what it returns.
 *
 * @param action - ends soon after its signal is aborted; what it throws then is of no interest
 */
export async function run(
  command: Command,
  action: (signal: AbortSignal) => number | Promise<number>,
): Promise<void> {
  const stop = new AbortController();
  const end = () => stop.abort();
  const onSignal = () => {
    for (const name of END_SIGNALS) process.off(name, onSignal);
    end();
  };
  const fail = (message: string) => {
    process.stderr.write(failureLine(command, message));
    process.exitCode = EXIT_FAILED;
  };
  // May also come after the action has ended.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') fail(`cannot write the output: ${error.message}`);
    end();
  });
  for (const name of END_SIGNALS) process.on(name, onSignal);
  try {
    const status = await action(stop.signal);
    process.exitCode ??= status;
  } catch (error) {
    if (stop.signal.aborted && isAbort(error)) return;
    if (!isForPeople(error)) throw error;
    fail(error.message);
  } finally {
    for (const name of END_SIGNALS) process.off(name, onSignal);
    // What a reader has not taken until now would keep the process.
    if (stop.signal.aborted && process.stdout.writableLength > 0) process.exit();
  }
}

function failureLine(command: Command, message: string): string {
  return `${nameOf(command)}: ${message.trim().replace(/\s*\n\s*/g, ' ')}\n`;
}

/** With the names of the commands that it is part of, as it is called. */
function nameOf(command: Command): string {
  return command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`;
}

/** Commander's own failures (a missing argument, an unknown option) in the same form. */
export function reportMisuse(command: Command): Command {
  return command.configureOutput({
    outputError: (text, write) => write(failureLine(command, text.replace(/^error: /, ''))),
  });
}

/** What a wait throws whose signal is aborted. */
function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}

function isForPeople(error: unknown): error is Error {
  if (error instanceof CommandError || TmemError.is(error)) return true;
  // What the operating system refused: its message names the call and the path.
  return error instanceof Error && 'syscall' in error;
}
