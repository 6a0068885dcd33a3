// What an operation has done already. An operation can be unwound after its change is visible (while it frees what it
// replaced, say, and meets a dead thread's lock); recovery then frees the rest, and repeating the operation would do
// it twice. So it notes its result at the moment of the change, and the host returns that instead of repeating.

let done: bool = false;
let result: i32 = 0;

/** A new operation has done nothing yet. */
export function commitNothing(): void {
  done = false;
}

/** The change is visible; what is left is to free and to count. */
export function commit(outcome: i32): void {
  done = true;
  result = outcome;
}

export function isCommitted(): bool {
  return done;
}

export function committedResult(): i32 {
  return result;
}
