/** Errors of the wire: the other side sent, or this one was asked to send, what the protocol does not have. */

/** `message` says in words which field is wrong; it never repeats text that arrived. */
export class WireError extends Error {
  override readonly name = 'WireError';
}
