// What a request for a page and its answer take at least on any wire.

export const REQUEST_BYTES = 32;
export const REPLY_BYTES = 4096;
