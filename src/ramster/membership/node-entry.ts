/** A node as lists and messages have it: its name, and the address where others connect to it. */

import * as v from 'valibot';
import { isNodeName } from '../place.ts';
import { parseNodeAddress } from '../transport/address.ts';

const NAME_ALLOWED = "1 to 40 letters, digits, '.', '_' and '-', beginning with a letter or digit";
const ADDRESS_ALLOWED = "'host:port', '[::1]:port', or 'unix:' and an absolute path";

/** Whether it can be connected to. (Port 0 is any: one may listen there, and nobody finds it.) */
function isAddress(text: string): boolean {
  // Addresses are shown to people.
  if (/\p{Cc}/u.test(text)) return false;
  try {
    const address = parseNodeAddress(text);
    return 'path' in address || address.port !== 0;
  } catch {
    return false;
  }
}

export const nodeName = v.pipe(
  v.string(NAME_ALLOWED),
  v.check((name) => isNodeName(name), NAME_ALLOWED),
);
const nodeAddress = v.pipe(v.string(ADDRESS_ALLOWED), v.check(isAddress, ADDRESS_ALLOWED));
export const nodeEntry = v.object({ name: nodeName, address: nodeAddress }, 'an object { name, address }');
