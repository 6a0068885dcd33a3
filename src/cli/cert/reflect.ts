/**
 * What @peculiar/x509 expects of the global `Reflect`, and the language does not have: metadata about classes, for
 * the container of extensions and algorithms inside of it. Only the three functions it calls, without inheritance.
 */

type Metadata = Map<unknown, unknown>;

const metadata = new WeakMap<object, Metadata>();

function defineMetadata(key: unknown, value: unknown, target: object): void {
  const own: Metadata = metadata.get(target) ?? new Map();
  own.set(key, value);
  metadata.set(target, own);
}

function getOwnMetadata(key: unknown, target: object): unknown {
  return metadata.get(target)?.get(key);
}

/** Must have run before the package is loaded. A complete implementation that is there already stays. */
export function prepareReflect(): void {
  if ('getMetadata' in Reflect) return;
  Object.assign(Reflect, { defineMetadata, getOwnMetadata, getMetadata: getOwnMetadata });
}
