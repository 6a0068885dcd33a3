// The repository as its own tests see it: the files that are, or would be, committed, and what each one imports.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';

export const root = join(import.meta.dirname, '../..');

export const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

function git(...args: string[]): string[] {
  return execFileSync('git', args, { cwd: root, encoding: 'utf8' }).split('\n').filter(Boolean);
}

/** Paths that git holds, relative to the repository. */
export const committed = git('ls-files');

/** Paths that git holds, or that the next commit could add, as far as they exist; relative to the repository. */
export const files = git('ls-files', '--cached', '--others', '--exclude-standard').filter((path) =>
  existsSync(join(root, path)),
);

export const isCode = (path: string): boolean => /\.(ts|js|mjs|c|h)$/.test(path);

const texts = new Map<string, string>();

export function textOf(path: string): string {
  const known = texts.get(path);
  if (known !== undefined) return known;
  const text = readFileSync(join(root, path), 'utf8');
  texts.set(path, text);
  return text;
}

export interface Import {
  /** As written: './frame.ts', 'node:fs', 'valibot'. */
  specifier: string;
  /** Path in the repository for a relative import. */
  path: string | undefined;
  /** Erased before the code runs. */
  typeOnly: boolean;
}

// `import … from 'x'`, `export … from 'x'`, `import 'x'`, `import('x')`, and files named to be started as a worker.
const importForms = [
  /^(?:import|export)\s+(type\s)?[^'"`;]*?from\s+['"]([^'"]+)['"]/gm,
  /^import\s+()['"]([^'"]+)['"]/gm,
  /\bimport\(\s*()['"]([^'"]+)['"]/g,
  /new URL\(\s*()['"]([^'"]+)['"],\s*import\.meta\.url/g,
];

/** What a file imports. Imports of AssemblyScript name no extension; the path returned always has it. */
export function importsOf(path: string): Import[] {
  const text = textOf(path);
  return importForms.flatMap((form) =>
    [...text.matchAll(form)].map(([, typeOnly, specifier = '']) => {
      const target = posix.join(dirname(path), specifier);
      return {
        specifier,
        path: specifier.startsWith('.') ? (/\.\w+$/.test(target) ? target : `${target}.ts`) : undefined,
        typeOnly: Boolean(typeOnly),
      };
    }),
  );
}
