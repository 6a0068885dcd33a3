// Outcomes of operations: what a put, get or flush returns to the host. Above 0 is success (1 = stored, or a length),
// below 0 a reason. src/tmem/outcome.ts gives them their names.

export const MISS: i32 = 0;
export const STORED: i32 = 1;
export const REFUSED_FROZEN: i32 = -1;
/** Above what the memory takes. */
export const REFUSED_POOR: i32 = -2;
/** Above what the memory takes on the mean. */
export const REFUSED_MEAN_POOR: i32 = -3;
/** The store's limit of persistent pages, or a pool's of raw ones. */
export const REFUSED_LIMIT: i32 = -4;
/** The client's cap. */
export const REFUSED_CAP: i32 = -5;
export const REFUSED_NO_FRAME: i32 = -6;
/** No memory for cells: of the index, or of a page of one repeated value. */
export const REFUSED_NO_CELL: i32 = -7;
export const REFUSED_POOL_GONE: i32 = -8;
/** Another thread kept changing the page. */
export const REFUSED_CONTENDED: i32 = -9;
/** Others changed the index so often that the cells taken for it were never enough. */
export const REFUSED_PRELOAD: i32 = -10;
/** The caller's buffer is shorter than the page. */
export const TOO_SHORT: i32 = -20;
/** A persistent page does not decode to what was put. */
export const DAMAGED: i32 = -21;
/** The page is with a peer: only who can wait gets it. Nothing was changed. */
export const REMOTE: i32 = -23;
/** write at: there is no such page. */
export const NOT_THERE: i32 = -22;
