/**
 * A peer as it is written on a command line: NAME=ADDRESS, such as b=10.0.0.2:7300 or b=unix:/run/tmem/b.sock.
 */

/** The object of settings; text that is no peer stays as it is, for the check to complain about. */
export function parsePeer(text: string): unknown {
  const at = text.indexOf('=');
  return at < 1 ? text : { name: text.slice(0, at), address: text.slice(at + 1) };
}
