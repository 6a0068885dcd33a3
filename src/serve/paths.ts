/** Paths in the settings. */

import * as v from 'valibot';

const PATH_ALLOWED = 'the path of a file';

export const pathSchema = v.pipe(
  v.string(PATH_ALLOWED),
  v.check((path) => path !== '' && !path.includes('\0'), PATH_ALLOWED),
);
