// One kind of wrong server for each check, and short ways to write them down.
import { Command, ExportFlag, Reply } from '../../../conformance/protocol/numbers.ts';
import { errorReplies, successReplies } from '../tiny-commands.ts';
import type { Ask, Memory, Next, Outcome, Replies, Request, Settings, Wrongs } from '../tiny-types.ts';

export interface Flaw {
  /** 'a server that …' */
  readonly server: string;
  /** Of the wrong server and of the right one that it is compared with. */
  readonly settings?: Partial<Settings>;
  /** Asked over TLS. */
  readonly secure?: boolean;
  /** Shows by saying nothing: the suite waits for it, but not long. */
  readonly silent?: boolean;
  readonly wrong: Wrongs;
}

export type Flaws = Record<string, Flaw>;

/** What the servers of these tests advertise. */
export const USUAL_FLAGS =
  ExportFlag.HAS_FLAGS |
  ExportFlag.SEND_FLUSH |
  ExportFlag.SEND_FUA |
  ExportFlag.SEND_TRIM |
  ExportFlag.SEND_WRITE_ZEROES |
  ExportFlag.CAN_MULTI_CONN |
  ExportFlag.SEND_CACHE |
  ExportFlag.SEND_FAST_ZERO;

type When = (ask: Ask, right: Outcome) => boolean;

/** Answers an option with one reply of `type`. */
export function answering(option: number, type: number, when: When = () => true, next?: Next): Wrongs {
  return changing(option, (ask, right) => (when(ask, right) ? { replies: [{ type }], next } : undefined));
}

export function closingOn(option: number, when: When = () => true): Wrongs {
  return changing(option, (ask, right) => (when(ask, right) ? { replies: [], next: 'close' } : undefined));
}

/** Changes the answer to an option. */
export function changing(option: number, change: (ask: Ask, right: Outcome) => Outcome | undefined): Wrongs {
  return { option: (ask, right) => (ask.option === option ? change(ask, right) : undefined) };
}

const isError = (type: number): boolean => type > Reply.META_CONTEXT;
export const refused: When = (_ask, { replies }) => isError(replies.at(-1)?.type ?? 0);

type If = (request: Request) => boolean;

/** Replies to a command with an error, and does not obey. */
export function failing(command: number, error: number, when: If = () => true): Wrongs {
  return instead(command, when, (request) => errorReplies(request, error));
}

/** Replies success without obeying; a READ brings zeroes. */
export function pretending(command: number, when: If = () => true): Wrongs {
  return instead(command, when, (request) => {
    const { structured, extended } = request.state;
    if (command !== Command.READ || structured || extended) return successReplies(request);
    return { messages: [{ error: 0, data: Buffer.alloc(Number(request.length)) }] };
  });
}

export function hangingUpOn(command: number, when: If = () => true): Wrongs {
  return instead(command, when, () => ({ messages: [], next: 'close' }));
}

export function instead(
  command: number,
  when: If,
  make: (request: Request, memory: Memory) => Replies,
): Wrongs {
  return {
    instead: (request, memory) =>
      request.type === command && when(request) ? make(request, memory) : undefined,
  };
}

/** Obeys, and changes the replies. */
export function altering(
  command: number,
  change: (request: Request, right: Replies, memory: Memory) => Replies | undefined,
): Wrongs {
  return {
    command: (request, right, memory) =>
      request.type === command ? change(request, right, memory) : undefined,
  };
}

export const hasFlag =
  (flag: number): If =>
  ({ flags }) =>
    (flags & flag) !== 0;

export const isEmpty: If = ({ length }) => length === 0n;

/** Length of a request longer than so many bytes. */
export const longerThan =
  (bytes: number): If =>
  ({ length }) =>
    length > BigInt(bytes);
