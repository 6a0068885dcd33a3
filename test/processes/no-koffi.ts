// Preloaded into a child: koffi cannot be found, as where it was not installed.

import { registerHooks } from 'node:module';

registerHooks({
  resolve(specifier, context, next) {
    if (specifier !== 'koffi') return next(specifier, context);
    throw Object.assign(new Error("Cannot find module 'koffi'"), { code: 'MODULE_NOT_FOUND' });
  },
});
